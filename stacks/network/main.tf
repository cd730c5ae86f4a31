# Where the site listens. It represents the network of a real platform.

terraform {
  required_version = ">= 1.12"
  backend "local" {}
}

variable "environment" {
  type = string
}

variable "port" {
  type        = number
  default     = 4173
  description = "A free port on loopback."
}

module "label" {
  source      = "../../modules/label"
  component   = "network"
  environment = var.environment
}

resource "terraform_data" "listener" {
  input = {
    name = module.label.name
    host = "127.0.0.1"
    port = var.port
  }
}

output "host" {
  value = terraform_data.listener.output.host
}

output "port" {
  value = terraform_data.listener.output.port
}
