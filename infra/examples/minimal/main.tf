# The smallest whole: one zone, one instance, files in S3 become points, somebody hears when it stops. About 30 resources of a kind.

provider "aws" {
  region = var.region
  default_tags {
    tags = { project = var.name }
  }
}

module "network" {
  source              = "../../modules/network"
  name                = var.name
  availability_zones  = var.availability_zones
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

# A new password in place of the first one, the monitor's bucket, a token for each function.
module "provision" {
  source             = "../../modules/provision"
  name               = var.name
  zip                = var.zip
  recovery_days      = 0
  subnet_ids         = module.network.subnet_ids
  security_group_ids = [module.network.client_security_group_id]
  tokens = {
    loader  = { write = ["energy_data"] }
    monitor = { read = ["afluxo_monitor"], write = ["afluxo_monitor"] }
  }
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
    token_secret_arn   = module.provision.token_secret_arns["monitor"]
    failures_queue_url = module.ingest.queue_urls.failures
    failures_queue_arn = module.ingest.queue_arns.failures
    subnet_ids         = module.network.subnet_ids
    security_group_ids = [module.network.client_security_group_id]
  }
}
