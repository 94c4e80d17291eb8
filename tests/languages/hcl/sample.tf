# The network of each environment.
terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

variable "region" {
  type    = string
  default = "eu-central-1"
}

locals {
  tags = {
    team = "platform"
  }
}

resource "aws_vpc" "main" {
  cidr_block = "10.0.0.0/16"
  tags       = local.tags

  lifecycle {
    prevent_destroy = true
  }
}

# One subnet a zone.
resource "aws_subnet" "private" {
  for_each   = toset(["a", "b"])
  vpc_id     = aws_vpc.main.id
  cidr_block = cidrsubnet(aws_vpc.main.cidr_block, 8, 1)
  user_data  = <<-EOT
    resource "fake" "block" {
    }
  EOT
}

data "aws_ami" "base" {
  most_recent = true
}

module "cluster" {
  source = "./cluster"
  vpc    = aws_vpc.main.id
}

output "vpc_id" {
  value = aws_vpc.main.id
}
