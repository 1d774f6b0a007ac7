# What is watched, who hears of it, and the pictures. The alarms are in alarms.tf, the pictures in dashboard.tf.

data "aws_region" "here" {}
data "aws_caller_identity" "me" {}

locals {
  kms_key_arn = var.encryption == null ? null : var.encryption.kms_key_arn
  region      = data.aws_region.here.id
  tags        = merge(var.tags, { "afluxo:module" = "observability" })
}

# --- who hears of it -------------------------------------------------------------------------------------------------------------

resource "aws_sns_topic" "alarms" {
  for_each          = toset(["page", "ticket"]) # now; in working hours
  name              = "${var.name}-${each.key}"
  kms_master_key_id = local.kms_key_arn
  tags              = local.tags
}

data "aws_iam_policy_document" "topic" {
  for_each = aws_sns_topic.alarms
  statement {
    sid       = "AlarmsPublish"
    actions   = ["sns:Publish"]
    resources = [each.value.arn]
    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.me.account_id]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  for_each = aws_sns_topic.alarms
  arn      = each.value.arn
  policy   = data.aws_iam_policy_document.topic[each.key].json
}

resource "aws_sns_topic_subscription" "email" {
  for_each  = { for pair in setproduct(["page", "ticket"], var.emails) : "${pair[0]} ${pair[1]}" => { topic = pair[0], address = pair[1] } }
  topic_arn = aws_sns_topic.alarms[each.value.topic].arn
  protocol  = "email"
  endpoint  = each.value.address
}

# --- the monitor -----------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "monitor" {
  statement {
    sid       = "Token"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.monitor.token_secret_arn]
  }
  dynamic "statement" {
    for_each = var.monitor.failures_queue_arn == null ? [] : [var.monitor.failures_queue_arn]
    content {
      sid       = "CountFailures"
      actions   = ["sqs:GetQueueAttributes"]
      resources = [statement.value]
    }
  }
  dynamic "statement" {
    for_each = var.encryption == null ? [] : [var.encryption.kms_key_arn]
    content {
      sid       = "Key"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }
}

module "monitor" {
  source             = "../function"
  name               = "${var.name}-monitor"
  handler            = "monitor"
  zip                = var.monitor.zip
  architecture       = var.monitor.architecture
  memory_mb          = 128
  timeout_s          = 50
  policy_json        = data.aws_iam_policy_document.monitor.json
  subnet_ids         = var.monitor.subnet_ids
  security_group_ids = var.monitor.security_group_ids
  kms_key_arn        = local.kms_key_arn
  tags               = local.tags
  environment = merge({
    INFLUXDB_URL               = var.monitor.influxdb_url
    INFLUXDB_ORG               = var.monitor.influxdb_org
    INFLUXDB_VERSION           = "2"
    INFLUXDB_TOKEN_SECRET_NAME = var.monitor.token_secret_arn
    METRICS_NAMESPACE          = var.namespace
  }, var.monitor.failures_queue_url == null ? {} : { FAILED_WRITES_QUEUE_URL = var.monitor.failures_queue_url })
}

module "schedule" {
  source       = "../schedule"
  name         = "${var.name}-monitor"
  description  = "Is InfluxDB well?"
  expression   = "rate(1 minute)"
  function_arn = module.monitor.arn
  tags         = local.tags
}

# --- errors in logs as metrics -----------------------------------------------------------------------------------------------------

locals {
  logs = merge({ monitor = module.monitor.log_group }, var.loader == null ? {} : { loader = var.loader.log_group },
    var.api == null ? {} : { query = var.api.log_group }, var.scaler == null ? {} : { scaler = var.scaler.log_group },
  var.backup == null ? {} : { backup = var.backup.log_group })
}

resource "aws_cloudwatch_log_metric_filter" "errors" {
  for_each       = local.logs
  name           = "${var.name}-${each.key}-errors"
  log_group_name = each.value
  pattern        = "{ $.level = \"ERROR\" }"
  metric_transformation {
    namespace     = var.namespace
    name          = "LogErrors-${each.key}"
    value         = "1"
    default_value = "0"
  }
}
