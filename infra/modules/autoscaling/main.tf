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

resource "aws_s3_bucket" "journal" {
  bucket        = local.bucket
  force_destroy = var.force_destroy
  tags          = local.tags
}

resource "aws_s3_bucket_public_access_block" "journal" {
  bucket                  = aws_s3_bucket.journal.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_versioning" "journal" {
  bucket = aws_s3_bucket.journal.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "journal" {
  bucket = aws_s3_bucket.journal.id
  rule {
    bucket_key_enabled = var.encryption != null
    apply_server_side_encryption_by_default {
      sse_algorithm     = var.encryption == null ? "AES256" : "aws:kms"
      kms_master_key_id = local.kms_key_arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "journal" {
  bucket = aws_s3_bucket.journal.id
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
  }
  depends_on = [aws_s3_bucket_versioning.journal]
}

data "aws_iam_policy_document" "journal" {
  statement {
    sid       = "TlsOnly"
    effect    = "Deny"
    actions   = ["s3:*"] # a refusal is as wide as it can be
    resources = [aws_s3_bucket.journal.arn, "${aws_s3_bucket.journal.arn}/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

resource "aws_s3_bucket_policy" "journal" {
  bucket     = aws_s3_bucket.journal.id
  policy     = data.aws_iam_policy_document.journal.json
  depends_on = [aws_s3_bucket_public_access_block.journal]
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
    resources = [for name in ["lock", "state.json"] : "${aws_s3_bucket.journal.arn}/scaler/${var.instance.id}/${name}"]
  }
  statement {
    sid       = "Unlock"
    actions   = ["s3:DeleteObject"]
    resources = ["${aws_s3_bucket.journal.arn}/scaler/${var.instance.id}/lock"]
  }
  statement {
    sid       = "Audit" # what is written there is written once
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.journal.arn}/scaler/${var.instance.id}/audit/*"]
    condition {
      test     = "Null"
      variable = "s3:if-none-match"
      values   = ["false"]
    }
  }
  statement {
    sid       = "MissingIsNotFound"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.journal.arn]
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
    SCALING_BUCKET    = aws_s3_bucket.journal.id
    METRICS_NAMESPACE = var.namespace
    SERVICE_NAMESPACE = var.service_namespace
    SERVICE_DIMENSION = var.service_dimension
    }, var.mode == "act" ? { SIZE_PARAMETER = var.instance.size_parameter } : {},
    var.notify_topic_arn == null ? {} : { NOTIFY_TOPIC = var.notify_topic_arn },
  var.monitor == null ? {} : { MONITOR_FUNCTION = var.monitor })
}

# --- what starts it ------------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "schedule_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.me.account_id]
    }
  }
}

data "aws_iam_policy_document" "schedule" {
  statement {
    actions   = ["lambda:InvokeFunction"]
    resources = [module.scaler.arn]
  }
}

resource "aws_iam_role" "schedule" {
  name               = "${var.name}-scaler-schedule"
  description        = "Starts the scaler of ${var.name}"
  assume_role_policy = data.aws_iam_policy_document.schedule_trust.json
  tags               = local.tags
}

resource "aws_iam_role_policy" "schedule" {
  name   = "invoke"
  role   = aws_iam_role.schedule.id
  policy = data.aws_iam_policy_document.schedule.json
}

# An alarm that stays in alarm starts nothing again: the schedule does, after the cooldown.
resource "aws_scheduler_schedule" "scaler" {
  name                = "${var.name}-scaler"
  description         = "Does the size still fit?"
  schedule_expression = "rate(15 minutes)"
  flexible_time_window {
    mode = "OFF"
  }
  target {
    arn      = module.scaler.arn
    role_arn = aws_iam_role.schedule.arn
    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = 600
    }
  }
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
