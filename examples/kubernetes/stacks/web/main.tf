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

variable "namespace" {
  type = string
}

variable "image" {
  description = "The image with its digest, from doit-tofu."
  type        = string
}

variable "replicas" {
  type    = number
  default = 2
}

locals {
  labels = { app = "web" }
}

resource "kubernetes_deployment" "web" {
  # `verify` waits, and says why a pod does not turn ready.
  wait_for_rollout = false

  metadata {
    name      = "web"
    namespace = var.namespace
    labels    = local.labels
  }

  spec {
    replicas = var.replicas

    selector {
      match_labels = local.labels
    }

    template {
      metadata {
        labels = local.labels
      }

      spec {
        automount_service_account_token = false

        container {
          name  = "web"
          image = var.image

          port {
            container_port = 8080
          }

          readiness_probe {
            http_get {
              path = "/healthz"
              port = 8080
            }
          }

          security_context {
            allow_privilege_escalation = false
            read_only_root_filesystem  = true
            run_as_non_root            = true
          }
        }
      }
    }
  }
}

resource "kubernetes_service" "web" {
  metadata {
    name      = "web"
    namespace = var.namespace
  }

  spec {
    selector = local.labels

    port {
      port        = 80
      target_port = 8080
    }
  }
}

output "namespace" {
  value = var.namespace
}

output "image" {
  value = var.image
}
