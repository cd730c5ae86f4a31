# The dashboard of this repository's own runs, as a service on loopback. The pipeline builds it from app/, the apply
# starts it. If it does not run, or runs a different build or start script than the deployed one, that is drift.

terraform {
  required_version = ">= 1.12"
  backend "local" {}
}

variable "environment" {
  type = string
}

variable "host" {
  type = string
}

variable "port" {
  type = number
}

variable "image" {
  description = "The image of the same build, for container platforms; this stack runs the built files directly."
  type        = string
}

locals {
  # Not in .state: other files in that folder would be inputs of the stack `site`.
  run   = "${path.module}/../../.run/dashboard-${var.environment}"
  build = "${path.module}/../../app/build"
  files = { for name in fileset(local.build, "**") : name => filesha256("${local.build}/${name}") }
  spec  = sha256(jsonencode([var.host, var.port, local.files, filesha256("${path.module}/service.py")]))

  # As in stacks/site: every plan reads what is actually running.
  process = try(file("/proc/${trimspace(file("${local.run}/pid"))}/status"), "")
  alive   = fileexists("/proc/self/status") ? can(regex("State:\\s+[^ZX]", local.process)) : fileexists("${local.run}/pid")
  same    = try(trimspace(file("${local.run}/spec")), "") == local.spec
  starts  = try(tonumber(trimspace(file("${local.run}/starts"))), 0)
  wanted  = local.alive && local.same ? local.starts : local.starts + 1
}

resource "terraform_data" "service" {
  input            = { run = local.run }
  triggers_replace = [local.spec, local.wanted]

  lifecycle {
    precondition {
      condition     = contains(keys(local.files), "index.js")
      error_message = "app/build is not there; `doit build:dashboard` makes it."
    }
  }

  provisioner "local-exec" {
    command = "python3 service.py start"
    environment = {
      RUN    = local.run
      HOST   = var.host
      PORT   = var.port
      SPEC   = local.spec
      STARTS = local.wanted
    }
  }

  provisioner "local-exec" {
    when        = destroy
    command     = "python3 service.py stop"
    environment = { RUN = self.input.run }
  }
}

output "url" {
  value = "http://${var.host}:${var.port}"
}

output "version" {
  value = local.spec
}

output "image" {
  value = var.image
}
