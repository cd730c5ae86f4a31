# The dashboard's image as a Deployment and a Service. It shows the runs found at `records`.

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

variable "records" {
  description = "Where `doit publish` sends records: an http(s):// or s3:// address; or /records, an empty folder."
  type        = string
  default     = "/records"
}

variable "replicas" {
  type    = number
  default = 2
}

locals {
  labels = { app = "dashboard" }
}

resource "kubernetes_deployment" "dashboard" {
  # `verify` waits instead, and reports why a pod does not become ready.
  wait_for_rollout = false

  metadata {
    name      = "dashboard"
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
          name  = "dashboard"
          image = var.image

          port {
            container_port = 3000
          }

          env {
            name  = "DASHBOARD_SOURCE"
            value = var.records
          }

          # Credentials for `records`, if needed: a secret `dashboard` with keys like DASHBOARD_TOKEN.
          env_from {
            secret_ref {
              name     = "dashboard"
              optional = true
            }
          }

          volume_mount {
            name       = "records"
            mount_path = "/records"
            read_only  = true
          }

          liveness_probe {
            http_get {
              path = "/healthz"
              port = 3000
            }
          }

          readiness_probe {
            http_get {
              path = "/readyz"
              port = 3000
            }
          }

          security_context {
            allow_privilege_escalation = false
            read_only_root_filesystem  = true
            run_as_non_root            = true
            run_as_user                = 1000
          }
        }

        volume {
          name = "records"
          empty_dir {}
        }
      }
    }
  }
}

resource "kubernetes_service" "dashboard" {
  metadata {
    name      = "dashboard"
    namespace = var.namespace
  }

  spec {
    selector = local.labels

    port {
      port        = 80
      target_port = 3000
    }
  }
}

output "namespace" {
  value = var.namespace
}

output "image" {
  value = var.image
}
