# Two zones with a standby, an API, a key of one's own for what we keep, a size that follows the load, a budget.

provider "aws" {
  region = var.region
  default_tags {
    tags = { project = var.name }
  }
}

data "aws_caller_identity" "me" {}
data "aws_partition" "here" {}

# --- key of bucket, queues, logs and topics ----------------------------------------------------------------------------------------

data "aws_iam_policy_document" "key" {
  #checkov:skip=CKV_AWS_109:a key's own policy: * is this key, and its account must be able to administer it
  #checkov:skip=CKV_AWS_111:the same
  #checkov:skip=CKV_AWS_356:the same
  statement {
    sid       = "Administration" # without it the key would be nobody's; IAM policies of the account say who it is
    actions   = ["kms:*"]
    resources = ["*"] # in a key's own policy: this key
    principals {
      type        = "AWS"
      identifiers = ["arn:${data.aws_partition.here.partition}:iam::${data.aws_caller_identity.me.account_id}:root"]
    }
  }
  statement {
    sid       = "Services"
    actions   = ["kms:Decrypt", "kms:GenerateDataKey*", "kms:Encrypt", "kms:ReEncrypt*", "kms:DescribeKey"]
    resources = ["*"] # in a key's own policy: this key
    principals {
      type        = "Service"
      identifiers = ["logs.${var.region}.amazonaws.com", "cloudwatch.amazonaws.com", "s3.amazonaws.com", "sns.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.me.account_id]
    }
  }
}

resource "aws_kms_key" "this" {
  description             = "What ${var.name} keeps: files, messages, logs"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.key.json
}

# --- network and database -----------------------------------------------------------------------------------------------------------

module "network" {
  source             = "../../modules/network"
  name               = var.name
  availability_zones = var.availability_zones
  kms_key_arn        = aws_kms_key.this.arn
}

module "influxdb" {
  source                  = "../../modules/influxdb"
  name                    = var.name
  instance_class          = "db.influx.2xlarge"
  storage_tier            = "T1"
  storage_gib             = 400
  multi_az                = true
  scaler_owns_size        = true
  parameter_group_id      = module.provision.parameter_group_id
  vpc_id                  = module.network.vpc_id
  subnet_ids              = module.network.subnet_ids
  allowed_security_groups = { functions = module.network.client_security_group_id }
}

# The parameter group before the instance; in it a new password, buckets and tokens, replaced every month.
module "provision" {
  source             = "../../modules/provision"
  name               = var.name
  zip                = var.zip
  subnet_ids         = module.network.subnet_ids
  security_group_ids = [module.network.client_security_group_id]
  encryption         = { kms_key_arn = aws_kms_key.this.arn }
  parameter_group    = { parameters = { queryConcurrency = 32, queryQueueSize = 256, pprofDisabled = true } }
  rotation_days      = 30
  instance = {
    id               = module.influxdb.id
    arn              = module.influxdb.arn
    url              = module.influxdb.url
    org              = module.influxdb.organization
    admin_secret_arn = module.influxdb.admin_secret_arn
  }
}

# --- in and out ---------------------------------------------------------------------------------------------------------------------

module "ingest" {
  source             = "../../modules/ingest"
  name               = var.name
  influxdb_url       = module.influxdb.url
  token_secret_arn   = module.provision.token_secret_arns["loader"]
  zip                = var.zip
  subnet_ids         = module.network.subnet_ids
  security_group_ids = [module.network.client_security_group_id]
  encryption         = { kms_key_arn = aws_kms_key.this.arn }
}

module "api" {
  source             = "../../modules/api"
  name               = var.name
  influxdb_url       = module.influxdb.url
  token_secret_arn   = module.provision.token_secret_arns["query"]
  zip                = var.zip
  callers            = var.callers
  subnet_ids         = module.network.subnet_ids
  security_group_ids = [module.network.client_security_group_id]
  encryption         = { kms_key_arn = aws_kms_key.this.arn }
}

# --- backups: every night, restored and compared every Sunday, and the last one when all of this is destroyed ------------------------

module "backup" {
  source             = "../../modules/backup"
  name               = var.name
  zip                = var.zip
  subnet_ids         = module.network.subnet_ids
  security_group_ids = [module.network.client_security_group_id]
  encryption         = { kms_key_arn = aws_kms_key.this.arn }
  restore_test       = { token_secret_arn = module.provision.token_secret_arns["query"] }
  instance = {
    id  = module.influxdb.id
    arn = module.influxdb.arn
    url = module.influxdb.url
    org = module.influxdb.organization
  }
}

# --- watching, scaling, paying --------------------------------------------------------------------------------------------------------

module "observability" {
  source        = "../../modules/observability"
  name          = var.name
  emails        = var.emails
  instance_name = module.influxdb.name
  loader        = { name = module.ingest.loader, timeout_s = 120, log_group = module.ingest.loader_log_group }
  queues        = module.ingest.queues
  api           = { name = module.api.api_name, stage = module.api.stage, function = module.api.query, log_group = module.api.query_log_group }
  scaler        = { name = module.autoscaling.scaler, log_group = module.autoscaling.scaler_log_group }
  backup        = { name = module.backup.function, log_group = module.backup.log_group }
  encryption    = { kms_key_arn = aws_kms_key.this.arn }
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

module "autoscaling" {
  source           = "../../modules/autoscaling"
  name             = var.name
  mode             = var.scaling_mode
  zip              = var.zip
  monitor          = module.observability.monitor
  notify_topic_arn = module.observability.topics.ticket
  alarms           = [for name in ["cpu-high", "memory-high", "disk-filling", "operations-high", "write-slow"] : "${var.name}-${name}"]
  encryption       = { kms_key_arn = aws_kms_key.this.arn }
  instance = {
    id                 = module.influxdb.id
    arn                = module.influxdb.arn
    class              = "db.influx.2xlarge"
    size_parameter     = module.influxdb.size_parameter
    size_parameter_arn = module.influxdb.size_parameter_arn
  }
  policy = {
    class_min = "db.influx.xlarge"
    class_max = "db.influx.8xlarge"
    window    = "Sun:03:00-Sun:06:00"
    timezone  = "America/Sao_Paulo"
  }
}

module "cost" {
  source         = "../../modules/cost"
  name           = var.name
  emails         = var.emails
  monthly_budget = var.monthly_budget
  tag            = { key = "project", value = var.name }
}
