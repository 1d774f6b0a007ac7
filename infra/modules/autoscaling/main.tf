# The size follows the load: alarms and a quarter-hourly schedule start the scaler, one at a time; it decides, writes down, acts or advises.

data "aws_region" "here" {}
data "aws_caller_identity" "me" {}

locals {
  kms_key_arn = var.encryption == null ? null : var.encryption.kms_key_arn
  tags        = merge(var.tags, { "afluxo:module" = "autoscaling" })
  classes     = [for size in ["medium", "large", "xlarge", "2xlarge", "4xlarge", "8xlarge", "12xlarge", "16xlarge", "24xlarge"] : "db.influx.${size}"]
  bucket      = "${var.name}-scaler-${data.aws_caller_identity.me.account_id}-${data.aws_region.here.id}"
  # What is not said is left out: JSON's null is no window.
  policy = { for key, value in var.policy : key => value if value != null }
}

# --- lock, state, audit ------------------------------------------------------------------------------------------------------------

module "journal" {
  source        = "../bucket"
  name          = local.bucket
  force_destroy = var.force_destroy
  kms_key       = var.encryption == null ? null : { arn = local.kms_key_arn }
  tags          = local.tags
}

resource "aws_s3_bucket_lifecycle_configuration" "journal" {
  bucket = module.journal.id
  rule {
    id     = "audit"
    status = "Enabled"
    filter {
      prefix = "scaler/${var.instance.id}/audit/"
    }
    expiration {
      days = var.audit_days
    }
  }
  rule {
    id     = "old-versions" # of lock and state
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = 7
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

# --- the scaler --------------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "scaler" {
  statement {
    sid       = "Look"
    actions   = ["timestream-influxdb:GetDbInstance"]
    resources = [var.instance.arn]
  }
  dynamic "statement" {
    for_each = var.mode == "act" ? [1] : []
    content {
      sid       = "Act"
      actions   = ["timestream-influxdb:UpdateDbInstance"]
      resources = [var.instance.arn]
    }
  }
  dynamic "statement" {
    for_each = var.mode == "act" ? [var.instance.size_parameter_arn] : []
    content {
      sid       = "WriteDown"
      actions   = ["ssm:PutParameter"]
      resources = [statement.value]
    }
  }
  statement {
    sid       = "Measure"
    actions   = ["cloudwatch:GetMetricData"]
    resources = ["*"] # CloudWatch knows no narrower resource for reading metrics
  }
  statement {
    sid       = "Journal"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = [for name in ["lock", "state.json"] : "${module.journal.arn}/scaler/${var.instance.id}/${name}"]
  }
  statement {
    sid       = "Unlock"
    actions   = ["s3:DeleteObject"]
    resources = ["${module.journal.arn}/scaler/${var.instance.id}/lock"]
  }
  statement {
    sid       = "Audit" # what is written there is written once
    actions   = ["s3:PutObject"]
    resources = ["${module.journal.arn}/scaler/${var.instance.id}/audit/*"]
    condition {
      test     = "Null"
      variable = "s3:if-none-match"
      values   = ["false"]
    }
  }
  statement {
    sid       = "MissingIsNotFound"
    actions   = ["s3:ListBucket"]
    resources = [module.journal.arn]
  }
  dynamic "statement" {
    for_each = var.notify_topic_arn == null ? [] : [var.notify_topic_arn]
    content {
      sid       = "Tell"
      actions   = ["sns:Publish"]
      resources = [statement.value]
    }
  }
  dynamic "statement" {
    for_each = var.encryption == null ? [] : [var.encryption.kms_key_arn]
    content {
      sid       = "Key"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

# Outside of the VPC: it speaks to AWS alone.
module "scaler" {
  source               = "../function"
  name                 = "${var.name}-scaler"
  handler              = "scaler"
  zip                  = var.zip
  architecture         = var.architecture
  memory_mb            = 128
  timeout_s            = 120
  reserved_concurrency = 1
  policy_json          = data.aws_iam_policy_document.scaler.json
  kms_key_arn          = local.kms_key_arn
  tags                 = local.tags
  environment = merge({
    INSTANCE_ID       = var.instance.id
    SCALING_MODE      = var.mode
    SCALING_POLICY    = jsonencode(local.policy)
    SCALING_BUCKET    = module.journal.id
    METRICS_NAMESPACE = var.namespace
    SERVICE_NAMESPACE = var.service_namespace
    SERVICE_DIMENSION = var.service_dimension
    }, var.mode == "act" ? { SIZE_PARAMETER = var.instance.size_parameter } : {},
    var.notify_topic_arn == null ? {} : { NOTIFY_TOPIC = var.notify_topic_arn },
  var.monitor == null ? {} : { MONITOR_FUNCTION = var.monitor })
}

# --- what starts it ------------------------------------------------------------------------------------------------------------------

# An alarm that stays in alarm starts nothing again: the schedule does, after the cooldown.
module "schedule" {
  source       = "../schedule"
  name         = "${var.name}-scaler"
  description  = "Does the size still fit?"
  expression   = "rate(15 minutes)"
  function_arn = module.scaler.arn
  max_age_s    = 600
  tags         = local.tags
}

resource "aws_cloudwatch_event_rule" "alarm" {
  count       = length(var.alarms) > 0 ? 1 : 0
  name        = "${var.name}-scaler"
  description = "An alarm on resources of ${var.name} rings"
  event_pattern = jsonencode({
    source        = ["aws.cloudwatch"]
    "detail-type" = ["CloudWatch Alarm State Change"]
    detail        = { alarmName = sort(var.alarms), state = { value = ["ALARM"] } }
  })
  tags = local.tags
}

resource "aws_cloudwatch_event_target" "alarm" {
  count = length(var.alarms) > 0 ? 1 : 0
  rule  = aws_cloudwatch_event_rule.alarm[0].name
  arn   = module.scaler.arn
  retry_policy {
    maximum_retry_attempts       = 2
    maximum_event_age_in_seconds = 600
  }
}

resource "aws_lambda_permission" "alarm" {
  count         = length(var.alarms) > 0 ? 1 : 0
  statement_id  = "alarm"
  action        = "lambda:InvokeFunction"
  function_name = module.scaler.name
  principal     = "events.amazonaws.com"
  source_arn    = aws_cloudwatch_event_rule.alarm[0].arn
}
