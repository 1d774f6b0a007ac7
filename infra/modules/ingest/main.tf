# Objects that arrive in S3 become points: bucket -> queue -> loader -> InfluxDB. What fails ends in one of two queues, never nowhere.
#
#   arrivals        what S3 announces; five times unanswered for -> dead letters
#   dead letters    messages that the loader never finished: the target was away for long
#   failures        what the loader gave up for good, with the reason: broken files, rows that are no points

data "aws_region" "here" {}
data "aws_caller_identity" "me" {}

locals {
  kms_key_arn = var.encryption == null ? null : var.encryption.kms_key_arn
  tags        = merge(var.tags, { "afluxo:module" = "ingest" })
  bucket      = coalesce(var.bucket_name, "${var.name}-data-${data.aws_caller_identity.me.account_id}-${data.aws_region.here.id}")
}

# --- bucket ------------------------------------------------------------------------------------------------------------------

module "bucket" {
  source        = "../bucket"
  name          = local.bucket
  force_destroy = var.force_destroy
  kms_key       = var.encryption == null ? null : { arn = local.kms_key_arn }
  tags          = local.tags
}

resource "aws_s3_bucket_lifecycle_configuration" "data" {
  #checkov:skip=CKV_AWS_300:rule old-versions does; the scan sees the dynamic rule alone
  bucket = module.bucket.id
  rule {
    id     = "old-versions"
    status = "Enabled"
    filter {}
    noncurrent_version_expiration {
      noncurrent_days = 30
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
  dynamic "rule" {
    for_each = var.archive_after_days > 0 ? [var.archive_after_days] : []
    content {
      id     = "archive"
      status = "Enabled"
      filter {}
      transition {
        days          = rule.value
        storage_class = "GLACIER_IR"
      }
    }
  }
}

# --- queues --------------------------------------------------------------------------------------------------------------------

resource "aws_sqs_queue" "arrivals" {
  name                       = "${var.name}-arrivals"
  visibility_timeout_seconds = var.visibility_s
  message_retention_seconds  = 345600 # 4 days
  receive_wait_time_seconds  = 20
  sqs_managed_sse_enabled    = var.encryption == null ? true : null
  kms_master_key_id          = local.kms_key_arn
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = var.attempts
  })
  tags = local.tags
}

# Age counts from the first queue: these are kept longer.
resource "aws_sqs_queue" "dead_letters" {
  name                      = "${var.name}-dead-letters"
  message_retention_seconds = 1209600 # 14 days
  sqs_managed_sse_enabled   = var.encryption == null ? true : null
  kms_master_key_id         = local.kms_key_arn
  tags                      = local.tags
}

resource "aws_sqs_queue_redrive_allow_policy" "dead_letters" {
  queue_url = aws_sqs_queue.dead_letters.id
  redrive_allow_policy = jsonencode({
    redrivePermission = "byQueue"
    sourceQueueArns   = [aws_sqs_queue.arrivals.arn]
  })
}

resource "aws_sqs_queue" "failures" {
  name                      = "${var.name}-failures"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = var.encryption == null ? true : null
  kms_master_key_id         = local.kms_key_arn
  tags                      = local.tags
}

data "aws_iam_policy_document" "arrivals" {
  statement {
    sid       = "S3Announces"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.arrivals.arn]
    principals {
      type        = "Service"
      identifiers = ["s3.amazonaws.com"]
    }
    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [module.bucket.arn]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.me.account_id]
    }
  }
}

resource "aws_sqs_queue_policy" "arrivals" {
  queue_url = aws_sqs_queue.arrivals.id
  policy    = data.aws_iam_policy_document.arrivals.json
}

resource "aws_s3_bucket_notification" "arrivals" {
  bucket = module.bucket.id
  dynamic "queue" {
    for_each = var.suffixes
    content {
      queue_arn     = aws_sqs_queue.arrivals.arn
      events        = ["s3:ObjectCreated:*"]
      filter_prefix = var.prefix
      filter_suffix = queue.value
    }
  }
  depends_on = [aws_sqs_queue_policy.arrivals]
}

# --- loader ------------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "loader" {
  statement {
    sid       = "ReadObjects"
    actions   = ["s3:GetObject", "s3:GetObjectVersion"]
    resources = ["${module.bucket.arn}/${var.prefix}*"]
  }
  statement {
    sid       = "MissingIsNotFound" # without it S3 says 403 of an object that is gone
    actions   = ["s3:ListBucket"]
    resources = [module.bucket.arn]
  }
  statement {
    sid       = "TakeMessages"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ChangeMessageVisibility"]
    resources = [aws_sqs_queue.arrivals.arn]
  }
  statement {
    sid       = "SayWhatFailed"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.failures.arn]
  }
  statement {
    sid       = "Token"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.token_secret_arn]
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

module "loader" {
  source             = "../function"
  name               = "${var.name}-loader"
  handler            = "loader"
  zip                = var.zip
  architecture       = var.architecture
  memory_mb          = var.memory_mb
  timeout_s          = var.timeout_s
  policy_json        = data.aws_iam_policy_document.loader.json
  subnet_ids         = var.subnet_ids
  security_group_ids = var.security_group_ids
  log_days           = var.log_days
  kms_key_arn        = local.kms_key_arn
  tags               = local.tags
  environment = {
    INFLUXDB_URL               = var.influxdb_url
    INFLUXDB_BUCKET            = var.influxdb_bucket
    INFLUXDB_ORG               = var.influxdb_org
    INFLUXDB_VERSION           = "2"
    INFLUXDB_TOKEN_SECRET_NAME = var.token_secret_arn
    METRICS_NAMESPACE          = var.namespace
    FAILED_WRITES_QUEUE_URL    = aws_sqs_queue.failures.id
  }
}

resource "aws_lambda_event_source_mapping" "arrivals" {
  event_source_arn        = aws_sqs_queue.arrivals.arn
  function_name           = module.loader.arn
  batch_size              = var.batch_size
  function_response_types = ["ReportBatchItemFailures"]
  tags                    = local.tags
  scaling_config {
    maximum_concurrency = var.concurrency
  }
}
