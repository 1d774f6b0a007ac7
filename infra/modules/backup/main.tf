# Backups of an instance, the proof that they can be restored, the last one before a destroy, and a bucket for `afluxo backup` (docs/infra/backup.md).
#
#    schedules --> function --> the service's backups; an instance restored beside the other, compared, removed
#    destroy --> final --> function --> the last backup       before the instance goes, since this module names it

data "aws_region" "here" {}
data "aws_caller_identity" "me" {}
data "aws_partition" "here" {}

locals {
  kms_key_arn = var.encryption == null ? null : var.encryption.kms_key_arn
  tags        = merge(var.tags, { "afluxo:module" = "backup" })
  service     = "arn:${data.aws_partition.here.partition}:timestream-influxdb:${data.aws_region.here.id}:${data.aws_caller_identity.me.account_id}"
  # Backups and the instance of a test have identifiers that nobody knows before they are there: tags say which are ours.
  backups   = "${local.service}:db-backup/*"
  instances = "${local.service}:db-instance/*"
  tests     = var.restore_test != null
}

# --- the function ------------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "backup" {
  statement {
    sid       = "Look" # at things whose identifiers the service gives: whether they are ours is what their tags are read for
    actions   = ["timestream-influxdb:GetDbInstance", "timestream-influxdb:ListTagsForResource"]
    resources = [local.instances, local.backups]
  }
  statement {
    sid       = "List"
    actions   = ["timestream-influxdb:ListDbBackups", "timestream-influxdb:ListDbInstances"]
    resources = ["*"] # a list knows no resource
  }
  statement {
    sid       = "Make" # of this instance; what the backup will be called inside, the service says
    actions   = ["timestream-influxdb:CreateDbBackup"]
    resources = [var.instance.arn, local.backups]
  }
  statement {
    sid       = "Tag" # with tags of ours alone, so that nothing else becomes what Drop and RemoveTest may delete
    actions   = ["timestream-influxdb:TagResource"]
    resources = concat([local.backups], local.tests ? [local.instances] : [])
    condition {
      test     = "ForAllValues:StringEquals"
      variable = "aws:TagKeys"
      values   = ["afluxo:backup-of", "afluxo:restore-tested", "afluxo:restore-test-of", "afluxo:backup", "afluxo:started"]
    }
  }
  statement {
    sid       = "Drop" # what was made with our tag
    actions   = ["timestream-influxdb:DeleteDbBackup"]
    resources = [local.backups]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceTag/afluxo:backup-of"
      values   = [var.instance.id]
    }
  }
  dynamic "statement" {
    for_each = local.tests ? [1] : []
    content {
      sid       = "Restore"
      actions   = ["timestream-influxdb:RestoreFromDbBackup"]
      resources = [local.backups, local.instances]
      condition {
        test     = "StringEquals"
        variable = "timestream-influxdb:RestoreMode"
        values   = ["NEW_RESOURCE"]
      }
    }
  }
  dynamic "statement" {
    for_each = local.tests ? [1] : []
    content {
      sid       = "RemoveTest" # what carries the tag of our tests, and nothing else
      actions   = ["timestream-influxdb:DeleteDbInstance"]
      resources = [local.instances]
      condition {
        test     = "StringEquals"
        variable = "aws:ResourceTag/afluxo:restore-test-of"
        values   = [var.instance.id]
      }
    }
  }
  statement {
    sid       = "NeverTheInstance" # whatever other policies and tags say
    effect    = "Deny"
    actions   = ["timestream-influxdb:DeleteDbInstance", "timestream-influxdb:UpdateDbInstance"]
    resources = [var.instance.arn]
  }
  statement {
    sid       = "NeverInPlace" # whatever other policies say
    effect    = "Deny"
    actions   = ["timestream-influxdb:RestoreFromDbBackup"]
    resources = ["*"] # a refusal is as wide as it can be
    condition {
      test     = "StringEquals"
      variable = "timestream-influxdb:RestoreMode"
      values   = ["REPLACE_EXISTING"]
    }
  }
  # The service makes the network interfaces of a restored instance with the caller's rights.
  dynamic "statement" {
    for_each = local.tests ? [1] : []
    content {
      sid       = "Place"
      actions   = ["ec2:CreateNetworkInterface", "ec2:DescribeSubnets", "ec2:DescribeVpcs", "ec2:DescribeSecurityGroups", "ec2:DescribeRouteTables", "ec2:DescribeVpcEndpoints"]
      resources = ["*"] # AWS offers no narrower resource for what is asked before an interface is there
      condition {
        test     = "StringEquals"
        variable = "aws:CalledViaLast"
        values   = ["timestream-influxdb.amazonaws.com"]
      }
    }
  }
  dynamic "statement" {
    for_each = local.tests ? [var.restore_test.token_secret_arn] : []
    content {
      sid       = "Token"
      actions   = ["secretsmanager:GetSecretValue"]
      resources = [statement.value]
    }
  }
  dynamic "statement" {
    for_each = local.tests && var.encryption != null ? [var.encryption.kms_key_arn] : []
    content {
      sid       = "Key"
      actions   = ["kms:Decrypt"]
      resources = [statement.value]
    }
  }
}

# One at a time.
module "function" {
  source               = "../function"
  name                 = "${var.name}-backup"
  handler              = "backup"
  zip                  = var.zip
  architecture         = var.architecture
  memory_mb            = 256
  timeout_s            = 900
  reserved_concurrency = 1
  subnet_ids           = var.subnet_ids
  security_group_ids   = var.security_group_ids
  policy_json          = data.aws_iam_policy_document.backup.json
  kms_key_arn          = local.kms_key_arn
  tags                 = local.tags
  environment = merge({
    INSTANCE_ID           = var.instance.id
    BACKUP_PREFIX         = var.name
    KEEP_BACKUPS          = tostring(var.keep)
    BACKUP_RETENTION_DAYS = tostring(var.retention_days)
    METRICS_NAMESPACE     = var.namespace
    }, local.tests ? {
    INFLUXDB_URL               = var.instance.url
    INFLUXDB_ORG               = var.instance.org
    INFLUXDB_TOKEN_SECRET_NAME = var.restore_test.token_secret_arn
    COMPARE_BUCKETS            = join(",", var.restore_test.buckets)
    COMPARE_DAYS_BACK          = tostring(var.restore_test.days_back)
    TEST_HOURS_MAX             = tostring(var.restore_test.hours_max)
  } : {})
}

# Does nothing until it is destroyed: then it makes the final backup. It names the instance, so that it goes before the instance does.
resource "aws_lambda_invocation" "final" {
  function_name   = module.function.name
  lifecycle_scope = "CRUD"
  input = jsonencode({
    do             = "final"
    instance       = var.instance.id
    final_backup   = var.final_backup
    keep_backups   = var.keep_backups
    retention_days = var.final_retention_days
  })
}

# A destroy says what it cannot take away: the function's answer stands in its log alone.
resource "terraform_data" "stays" {
  input = {
    text = join(" ", compact([
      "What AWS keeps of ${var.name}:",
      var.final_backup ? "the backup final-${var.name}-..., until ${var.final_retention_days == null ? "you delete it" : "${var.final_retention_days} days are over"};" : "",
      var.keep_backups ? "the other backups ${var.name}-..., for ${var.retention_days} days;" : "",
      "backups made by hand;",
      "parameter groups, which nothing can delete;",
      "the role AWSServiceRoleForTimestreamInfluxDB;",
      "keys and secrets until their waiting time is over.",
      "See: aws timestream-influxdb list-db-backups",
    ]))
  }
  provisioner "local-exec" {
    when    = destroy
    command = "echo \"$STAYS\""
    environment = {
      STAYS = self.input.text
    }
  }
}

# --- by the clock ------------------------------------------------------------------------------------------------------------------

module "schedule" {
  source       = "../schedule"
  name         = "${var.name}-backup"
  description  = "A backup of ${var.name}"
  expression   = var.schedule
  function_arn = module.function.arn
  input        = jsonencode({ do = "backup" })
  max_age_s    = 3600
  tags         = local.tags
}

module "look" {
  source       = "../schedule"
  name         = "${var.name}-backup-look"
  description  = "How old is the newest backup of ${var.name}, how far a restore test?"
  expression   = "rate(15 minutes)"
  function_arn = module.function.arn
  input        = jsonencode({ do = "look" })
  max_age_s    = 600
  tags         = local.tags
}

module "test" {
  count        = local.tests ? 1 : 0
  source       = "../schedule"
  name         = "${var.name}-restore-test"
  description  = "Can ${var.name} be restored?"
  expression   = var.restore_test.schedule
  function_arn = module.function.arn
  input        = jsonencode({ do = "restore-test" })
  max_age_s    = 3600
  tags         = local.tags
}

# --- archives of `afluxo backup` -----------------------------------------------------------------------------------------------------

module "archive" {
  source        = "../bucket"
  name          = "${var.name}-archives-${data.aws_caller_identity.me.account_id}-${data.aws_region.here.id}"
  force_destroy = var.force_destroy
  kms_key       = var.encryption == null ? null : { arn = local.kms_key_arn }
  tags          = local.tags
}

resource "aws_s3_bucket_lifecycle_configuration" "archive" {
  bucket = module.archive.id
  rule {
    id     = "archives"
    status = "Enabled"
    filter {}
    transition {
      days          = 30
      storage_class = "STANDARD_IA"
    }
    expiration {
      days = var.archive_days
    }
    noncurrent_version_expiration {
      noncurrent_days = 30
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}
