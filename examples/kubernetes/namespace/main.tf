terraform {
  backend "local" {}
  required_providers {
    kubernetes = {
      source  = "hashicorp/kubernetes"
      version = ">= 1.13.4"
    }
  }
}

provider "kubernetes" {}

variable "name" {
  type    = string
  default = "dashboard"
}

resource "kubernetes_namespace" "this" {
  metadata {
    name = var.name
  }
}

output "name" {
  value = kubernetes_namespace.this.metadata[0].name
}
