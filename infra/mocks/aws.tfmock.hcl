# What the AWS provider answers in `terraform test`: an account, a region, a partition, private subnets in two zones, policies that parse.

mock_data "aws_caller_identity" {
  defaults = {
    account_id = "123456789012"
    arn        = "arn:aws:iam::123456789012:user/test"
  }
}

mock_data "aws_partition" {
  defaults = {
    partition  = "aws"
    dns_suffix = "amazonaws.com"
  }
}

mock_data "aws_region" {
  defaults = {
    id   = "us-east-1"
    name = "us-east-1"
  }
}

mock_data "aws_availability_zones" {
  defaults = {
    names = ["us-east-1a", "us-east-1b", "us-east-1c"]
  }
}

mock_data "aws_iam_policy_document" {
  defaults = {
    json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}"
  }
}

mock_data "aws_subnet" {
  defaults = {
    vpc_id            = "vpc-00000001"
    availability_zone = "us-east-1a"
  }
}

mock_data "aws_route_tables" {
  defaults = {
    ids = []
  }
}

mock_data "aws_vpc" {
  defaults = {
    enable_dns_support   = true
    enable_dns_hostnames = true
  }
}

mock_data "aws_security_group" {
  defaults = {
    vpc_id = "vpc-00000001"
  }
}

mock_data "aws_secretsmanager_random_password" {
  defaults = {
    random_password = "Abcdefgh12345678"
  }
}
