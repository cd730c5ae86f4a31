# A shared module: one name and one set of tags for everything that belongs to an environment.

variable "component" {
  type        = string
  description = "What is named: `network`, `site`, ..."
}

variable "environment" {
  type        = string
  description = "The environment it belongs to."
}

output "name" {
  value = "${var.component}-${var.environment}"
}

output "tags" {
  value = {
    component   = var.component
    environment = var.environment
    managed_by  = "doit-tofu"
  }
}
