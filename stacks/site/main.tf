# A real HTTP service on loopback, started by the apply. If it does not run, or its page has changed, that is drift.

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

variable "page" {
  type = string
}

locals {
  run  = "${path.module}/../../.state/site-${var.environment}"
  spec = sha256(jsonencode([var.host, var.port, var.page, filesha256("${path.module}/server.py")]))

  # Every plan reads what is actually running. On systems with /proc, the process itself is inspected; a zombie (state Z)
  # does not count.
  process = try(file("/proc/${trimspace(file("${local.run}/pid"))}/status"), "")
  alive   = fileexists("/proc/self/status") ? can(regex("State:\\s+[^ZX]", local.process)) : fileexists("${local.run}/pid")
  same    = try(trimspace(file("${local.run}/spec")), "") == local.spec
  page    = try(filesha256("${local.run}/page.html"), "") == sha256(var.page)

  # The start script counts its starts. While the service is healthy, the desired start is the last one; otherwise it is
  # the next one, which replaces the service. So the next plan finds exactly the planned value.
  starts = try(tonumber(trimspace(file("${local.run}/starts"))), 0)
  wanted = local.alive && local.same && local.page ? local.starts : local.starts + 1
}

resource "terraform_data" "service" {
  input            = { run = local.run }
  triggers_replace = [local.spec, local.wanted]

  provisioner "local-exec" {
    command = "python3 server.py start"
    environment = {
      RUN    = local.run
      HOST   = var.host
      PORT   = var.port
      PAGE   = var.page
      SPEC   = local.spec
      STARTS = local.wanted
    }
  }

  provisioner "local-exec" {
    when        = destroy
    command     = "python3 server.py stop"
    environment = { RUN = self.input.run }
  }
}

output "url" {
  value = "http://${var.host}:${var.port}"
}

output "version" {
  value = local.spec
}
