# What Terraform has no resource for, made by a function that it calls (docs/infra/provision.md): a parameter group, a new password in place
# of the first one, which state holds, buckets, and a token for each who needs one, in a secret of its own.
#
#   group --> module influxdb (parameter_group_id) --> bootstrap --> whoever uses a token
#
# The group comes before the instance, so nothing that the function itself needs may come from the instance: what it may do there is a
# policy of its own, which bootstrap waits for.

data "aws_partition" "here" {}
data "aws_region" "here" {}
data "aws_caller_identity" "me" {}

locals {
  kms_key_arn = var.encryption == null ? null : var.encryption.kms_key_arn
  tags        = merge(var.tags, { "afluxo:module" = "provision" })
  groups      = "arn:${data.aws_partition.here.partition}:timestream-influxdb:${data.aws_region.here.id}:${data.aws_caller_identity.me.account_id}:db-parameter-group/*"
  secret_arns = concat([aws_secretsmanager_secret.admin.arn], [for token in aws_secretsmanager_secret.token : token.arn])

  # Other parameters are another group: the service changes none. So they are another invocation, too, whose result is not known before.
  group = var.parameter_group == null ? {} : {
    (substr(sha1(jsonencode(var.parameter_group.parameters)), 0, 8)) = {
      do          = "parameter-group"
      prefix      = "afluxo-${var.name}"
      description = coalesce(var.parameter_group.description, "Made for ${var.name}")
      parameters  = var.parameter_group.parameters
    }
  }

  where = var.instance == null ? null : {
    instance = var.instance.id
    url      = var.instance.url
    org      = var.instance.org
    prefix   = "afluxo ${var.name} "
    admin    = { initial_secret = var.instance.admin_secret_arn, secret = aws_secretsmanager_secret.admin.arn }
  }
  what = {
    buckets = var.buckets
    tokens = [for name, token in var.tokens : {
      secret      = aws_secretsmanager_secret.token[name].arn
      description = "afluxo ${var.name} ${name}"
      read        = token.read
      write       = token.write
      operator    = token.operator
      valid_days  = token.valid_days
    }]
  }
}

# --- secrets -----------------------------------------------------------------------------------------------------------------------

resource "aws_secretsmanager_secret" "admin" {
  #checkov:skip=CKV2_AWS_57:the function itself replaces it, every rotation_days; a rotation of Secrets Manager's would not reach InfluxDB
  name                    = "${var.name}/admin"
  description             = "InfluxDB's administrator: {\"username\": \"...\", \"password\": \"...\"}"
  kms_key_id              = local.kms_key_arn
  recovery_window_in_days = var.recovery_days
  tags                    = local.tags
}

resource "aws_secretsmanager_secret" "token" {
  #checkov:skip=CKV2_AWS_57:the function itself replaces it, every rotation_days; a rotation of Secrets Manager's would not reach InfluxDB
  for_each                = var.tokens
  name                    = "${var.name}/token/${each.key}"
  description             = "InfluxDB's token of the ${each.key}: {\"token\": \"...\", \"id\": \"...\", \"expires\": \"2027-01-31\"}"
  kms_key_id              = local.kms_key_arn
  recovery_window_in_days = var.recovery_days
  tags                    = local.tags
}

# --- the function ------------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "provision" {
  statement {
    sid       = "OwnSecrets"
    actions   = ["secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"]
    resources = local.secret_arns
  }
  dynamic "statement" {
    for_each = var.encryption == null ? [] : [var.encryption.kms_key_arn]
    content {
      sid       = "Key"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
  dynamic "statement" {
    for_each = var.parameter_group == null ? [] : [1]
    content {
      sid       = "MakeGroup"
      actions   = ["timestream-influxdb:ListDbParameterGroups", "timestream-influxdb:CreateDbParameterGroup"]
      resources = ["*"] # a list knows no resource, and a group that is to be made has no identifier yet
    }
  }
  dynamic "statement" {
    for_each = var.parameter_group == null ? [] : [local.groups]
    content {
      sid       = "ReadGroup"
      actions   = ["timestream-influxdb:GetDbParameterGroup"]
      resources = [statement.value] # by its name it is known, by its identifier only once it is there
    }
  }
}

# One at a time: two who replace a password would get in each other's way (one of them would be refused, and nobody locked out).
module "function" {
  source               = "../function"
  name                 = "${var.name}-provision"
  handler              = "provision"
  zip                  = var.zip
  architecture         = var.architecture
  memory_mb            = 128
  timeout_s            = 300
  reserved_concurrency = 1
  subnet_ids           = var.subnet_ids
  security_group_ids   = var.security_group_ids
  policy_json          = data.aws_iam_policy_document.provision.json
  environment          = { PROVISION_WAIT_SECONDS = "120" }
  kms_key_arn          = local.kms_key_arn
  tags                 = local.tags
}

resource "aws_lambda_invocation" "group" {
  for_each        = local.group
  function_name   = module.function.name
  input           = jsonencode(each.value)
  lifecycle_scope = "CRUD" # a delete is a call, too: it answers what stays
}

# --- the instance ------------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "instance" {
  count = var.instance == null ? 0 : 1
  statement {
    sid       = "FirstPassword"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.instance.admin_secret_arn]
  }
  dynamic "statement" {
    for_each = var.instance.arn == null ? [] : [var.instance.arn]
    content {
      sid       = "Look"
      actions   = ["timestream-influxdb:GetDbInstance"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role_policy" "instance" {
  count  = var.instance == null ? 0 : 1
  name   = "instance"
  role   = module.function.role_name
  policy = data.aws_iam_policy_document.instance[0].json
}

# Two invocations, since an update that failed would be taken as done by the next plan: this one is made anew whenever it changes, which
# is a call each time until one succeeds, and its end is no call.
resource "aws_lambda_invocation" "bootstrap" {
  count           = var.instance == null ? 0 : 1
  function_name   = module.function.name
  input           = jsonencode(merge(local.where, local.what, { do = "bootstrap" }))
  lifecycle_scope = "CREATE_ONLY"
  depends_on      = [aws_iam_role_policy.instance, aws_lambda_invocation.revoke]
}

# The other one does nothing until it is destroyed: then it revokes the tokens.
resource "aws_lambda_invocation" "revoke" {
  count           = var.instance == null ? 0 : 1
  function_name   = module.function.name
  input           = jsonencode(merge(local.where, { do = "revoke" }))
  lifecycle_scope = "CRUD"
  depends_on      = [aws_iam_role_policy.instance]
}

module "rotation" {
  count        = var.rotation_days == null || var.instance == null ? 0 : 1
  source       = "../schedule"
  name         = "${var.name}-rotation"
  description  = "New password and tokens of ${var.name}"
  expression   = "rate(${var.rotation_days} day${var.rotation_days == 1 ? "" : "s"})"
  function_arn = module.function.arn
  input        = jsonencode(merge(local.where, local.what, { do = "rotate" }))
  max_age_s    = 3600
  tags         = local.tags
}
