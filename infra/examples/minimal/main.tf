# The smallest whole: one zone, one instance, files in S3 become points, somebody hears when it stops. About 30 resources of a kind.

provider "aws" {
  region = var.region
  default_tags {
    tags = { project = var.name }
  }
}

data "aws_availability_zones" "here" {
  state = "available"
}

module "network" {
  source              = "../../modules/network"
  name                = var.name
  availability_zones  = slice(data.aws_availability_zones.here.names, 0, 1)
  interface_endpoints = ["sqs", "secretsmanager", "monitoring", "logs"]
  flow_log_days       = 0
}

module "influxdb" {
  source                  = "../../modules/influxdb"
  name                    = var.name
  instance_class          = "db.influx.medium"
  storage_gib             = 20
  vpc_id                  = module.network.vpc_id
  subnet_ids              = module.network.subnet_ids
  allowed_security_groups = { functions = module.network.client_security_group_id }
}

# Tokens are put in by hand here (docs/infra/README.md); example production lets the provisioning step do it.
resource "aws_secretsmanager_secret" "token" {
  for_each                = toset(["loader", "monitor"])
  name                    = "${var.name}/token/${each.key}"
  description             = "InfluxDB's token of the ${each.key}: {\"token\": \"...\", \"expires\": \"2027-01-31\"}"
  recovery_window_in_days = 0
}

module "ingest" {
  source             = "../../modules/ingest"
  name               = var.name
  influxdb_url       = module.influxdb.url
  token_secret_arn   = aws_secretsmanager_secret.token["loader"].arn
  zip                = var.zip
  subnet_ids         = module.network.subnet_ids
  security_group_ids = [module.network.client_security_group_id]
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
    token_secret_arn   = aws_secretsmanager_secret.token["monitor"].arn
    failures_queue_url = module.ingest.queue_urls.failures
    failures_queue_arn = module.ingest.queue_arns.failures
    subnet_ids         = module.network.subnet_ids
    security_group_ids = [module.network.client_security_group_id]
  }
}
