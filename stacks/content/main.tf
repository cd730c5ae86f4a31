# The content of the site. The editor's token is sensitive: only the state and the saved plan contain it.

terraform {
  required_version = ">= 1.12"
  backend "local" {}
}

variable "environment" {
  type = string
}

variable "title" {
  type    = string
  default = "Deployed by doit-tofu"
}

variable "editor_token" {
  type      = string
  sensitive = true
  default   = "example-editor-token-4711"
}

module "label" {
  source      = "../../modules/label"
  component   = "content"
  environment = var.environment
}

resource "terraform_data" "page" {
  input = templatefile("${path.module}/page.html.tftpl", {
    title = var.title
    tags  = module.label.tags
  })
}

resource "terraform_data" "editor" {
  input = {
    name  = module.label.name
    token = var.editor_token
  }
}

output "page" {
  value = terraform_data.page.output
}
