# Into a VPC that is there already: its subnets and the group of its functions are named, nothing of the network is made.

provider "aws" {
  region = var.region
  default_tags {
    tags = { project = var.name }
  }
}

# --- what is there, and whether it will do --------------------------------------------------------------------------------------------

data "aws_vpc" "own" {
  id = var.vpc_id
  lifecycle {
    postcondition {
      condition     = length(var.endpoints) == 0 || (self.enable_dns_support && self.enable_dns_hostnames)
      error_message = "${var.vpc_id}: endpoints are found by private names. Turn on DNS support and DNS host names of the VPC."
    }
  }
}

data "aws_security_group" "functions" {
  id = var.security_group_id
  lifecycle {
    postcondition {
      condition     = self.vpc_id == var.vpc_id
      error_message = "security_group_id: ${var.security_group_id} belongs to ${self.vpc_id}, not to ${var.vpc_id}."
    }
  }
}

# Without a way to these services a function waits until its time is over and says nothing: better a plan that fails.
data "aws_vpc_endpoint" "needed" {
  for_each     = var.endpoints
  vpc_id       = data.aws_vpc.own.id
  service_name = "com.amazonaws.${var.region}.${each.key}"
}

# --- the platform in it -----------------------------------------------------------------------------------------------------------------

module "influxdb" {
  source                  = "../../modules/influxdb"
  name                    = var.name
  instance_class          = var.instance_class
  vpc_id                  = data.aws_vpc.own.id
  subnet_ids              = var.subnet_ids
  multi_az                = var.multi_az
  allowed_security_groups = { functions = data.aws_security_group.functions.id }
  allowed_cidrs           = var.allowed_cidrs
}

# A new password in place of the first one, the monitor's bucket, a token for each function.
module "provision" {
  source             = "../../modules/provision"
  name               = var.name
  zip                = var.zip
  subnet_ids         = var.subnet_ids
  security_group_ids = [data.aws_security_group.functions.id]
  instance = {
    url              = module.influxdb.url
    org              = module.influxdb.organization
    admin_secret_arn = module.influxdb.admin_secret_arn
  }
}

module "ingest" {
  source             = "../../modules/ingest"
  name               = var.name
  influxdb_url       = module.influxdb.url
  token_secret_arn   = module.provision.token_secret_arns["loader"]
  zip                = var.zip
  subnet_ids         = var.subnet_ids
  security_group_ids = [data.aws_security_group.functions.id]
}

module "observability" {
  source        = "../../modules/observability"
  name          = var.name
  emails        = var.emails
  instance_name = module.influxdb.name
  loader        = { name = module.ingest.loader, timeout_s = 120, log_group = module.ingest.loader_log_group }
  queues        = module.ingest.queues
  monitor = {
    zip                = var.zip
    influxdb_url       = module.influxdb.url
    token_secret_arn   = module.provision.token_secret_arns["monitor"]
    failures_queue_url = module.ingest.queue_urls.failures
    failures_queue_arn = module.ingest.queue_arns.failures
    subnet_ids         = var.subnet_ids
    security_group_ids = [data.aws_security_group.functions.id]
  }
}
