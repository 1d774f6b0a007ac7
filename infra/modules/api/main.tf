# The platform's API: WAF -> API Gateway (requests signed by IAM) -> query function -> InfluxDB.

data "aws_partition" "here" {}

locals {
  kms_key_arn = var.encryption == null ? null : var.encryption.kms_key_arn
  tags        = merge(var.tags, { "afluxo:module" = "api" })
  # path -> method; what the query function knows (docs/platform-api.md)
  routes = {
    "health"         = "GET"
    "openapi.json"   = "GET"
    "query/flux"     = "POST"
    "query/influxql" = "POST"
  }
  resources = {
    "health"         = aws_api_gateway_resource.health.id
    "openapi.json"   = aws_api_gateway_resource.openapi.id
    "query/flux"     = aws_api_gateway_resource.language["flux"].id
    "query/influxql" = aws_api_gateway_resource.language["influxql"].id
  }
}

data "aws_iam_policy_document" "query" {
  statement {
    sid       = "Token"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.token_secret_arn]
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

module "query" {
  source               = "../function"
  name                 = "${var.name}-query"
  handler              = "query"
  zip                  = var.zip
  architecture         = var.architecture
  memory_mb            = var.memory_mb
  timeout_s            = var.timeout_s
  reserved_concurrency = var.concurrency
  policy_json          = data.aws_iam_policy_document.query.json
  subnet_ids           = var.subnet_ids
  security_group_ids   = var.security_group_ids
  log_days             = var.log_days
  kms_key_arn          = local.kms_key_arn
  tags                 = local.tags
  environment = {
    INFLUXDB_URL               = var.influxdb_url
    INFLUXDB_BUCKET            = var.influxdb_bucket
    INFLUXDB_ORG               = var.influxdb_org
    INFLUXDB_VERSION           = "2"
    INFLUXDB_TOKEN_SECRET_NAME = var.token_secret_arn
    METRICS_NAMESPACE          = var.namespace
  }
}

# --- API ---------------------------------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "callers" {
  statement {
    sid       = "Callers"
    actions   = ["execute-api:Invoke"]
    resources = ["execute-api:/${var.stage}/*"]
    principals {
      type        = "AWS"
      identifiers = var.callers
    }
  }
  # Within an account a caller's own policy is enough to be let in: everybody else is refused.
  statement {
    sid       = "NobodyElse"
    effect    = "Deny"
    actions   = ["execute-api:Invoke"]
    resources = ["execute-api:/*"]
    principals {
      type        = "*"
      identifiers = ["*"]
    }
    condition {
      test     = "ArnNotEquals"
      variable = "aws:PrincipalArn"
      values   = var.callers
    }
  }
}

resource "aws_api_gateway_rest_api" "this" {
  name        = var.name
  description = "Queries of ${var.name}: Flux and InfluxQL, answers in the platform's schemas"
  policy      = data.aws_iam_policy_document.callers.json
  tags        = local.tags
  endpoint_configuration {
    types = ["REGIONAL"]
  }
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_api_gateway_resource" "health" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_rest_api.this.root_resource_id
  path_part   = "health"
}

resource "aws_api_gateway_resource" "openapi" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_rest_api.this.root_resource_id
  path_part   = "openapi.json"
}

resource "aws_api_gateway_resource" "query" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_rest_api.this.root_resource_id
  path_part   = "query"
}

resource "aws_api_gateway_resource" "language" {
  for_each    = toset(["flux", "influxql"])
  rest_api_id = aws_api_gateway_rest_api.this.id
  parent_id   = aws_api_gateway_resource.query.id
  path_part   = each.key
}

resource "aws_api_gateway_method" "route" {
  #checkov:skip=CKV2_AWS_53:bodies are query texts: the function parses them and answers with the place of the fault
  for_each      = local.routes
  rest_api_id   = aws_api_gateway_rest_api.this.id
  resource_id   = local.resources[each.key]
  http_method   = each.value
  authorization = "AWS_IAM"
}

resource "aws_api_gateway_integration" "route" {
  for_each                = local.routes
  rest_api_id             = aws_api_gateway_rest_api.this.id
  resource_id             = local.resources[each.key]
  http_method             = aws_api_gateway_method.route[each.key].http_method
  integration_http_method = "POST"
  type                    = "AWS_PROXY"
  uri                     = module.query.invoke_arn
}

resource "aws_lambda_permission" "api" {
  for_each      = local.routes
  statement_id  = "api-${replace(replace(each.key, "/", "-"), ".", "-")}"
  action        = "lambda:InvokeFunction"
  function_name = module.query.name
  principal     = "apigateway.amazonaws.com"
  source_arn    = "${aws_api_gateway_rest_api.this.execution_arn}/${var.stage}/${each.value}/${each.key}"
}

# A change of routes is live only with a new deployment. What was asked for is hashed, not what was made: AWS fills in values after a
# creation, and the next plan would deploy again.
resource "aws_api_gateway_deployment" "this" {
  rest_api_id = aws_api_gateway_rest_api.this.id
  triggers = {
    routes = sha1(jsonencode([local.routes, module.query.invoke_arn, data.aws_iam_policy_document.callers.json]))
  }
  depends_on = [aws_api_gateway_method.route, aws_api_gateway_integration.route]
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_cloudwatch_log_group" "access" {
  #checkov:skip=CKV_AWS_338:days are the caller's to say: log_days
  name              = "/afluxo/${var.name}/api"
  retention_in_days = var.log_days
  kms_key_id        = local.kms_key_arn
  tags              = local.tags
}

# API Gateway would make it itself, for ever and without a key.
resource "aws_cloudwatch_log_group" "execution" {
  #checkov:skip=CKV_AWS_338:days are the caller's to say: log_days
  name              = "API-Gateway-Execution-Logs_${aws_api_gateway_rest_api.this.id}/${var.stage}"
  retention_in_days = var.log_days
  kms_key_id        = local.kms_key_arn
  tags              = local.tags
}

resource "aws_api_gateway_stage" "this" {
  #checkov:skip=CKV2_AWS_51:callers are known by their signatures; the function behind is reached by Lambda's own permission
  #checkov:skip=CKV2_AWS_77:AWSManagedRulesKnownBadInputsRuleSet stands in local.managed, where the scan does not look
  #checkov:skip=CKV_AWS_120:answers are of this moment: a cache would be a wrong one
  #checkov:skip=CKV_AWS_73:the access log has each request's time and end; the function speaks no X-Ray
  rest_api_id   = aws_api_gateway_rest_api.this.id
  deployment_id = aws_api_gateway_deployment.this.id
  stage_name    = var.stage
  tags          = local.tags
  # No query texts, no tokens: who, what, how long, how it ended.
  access_log_settings {
    destination_arn = aws_cloudwatch_log_group.access.arn
    format = jsonencode({
      requestId = "$context.requestId", caller = "$context.identity.userArn", address = "$context.identity.sourceIp"
      time      = "$context.requestTimeEpoch", method = "$context.httpMethod", path = "$context.resourcePath"
      status    = "$context.status", bytes = "$context.responseLength", ms = "$context.responseLatency"
      error     = "$context.error.message", waf = "$context.waf.status"
    })
  }
  depends_on = [aws_api_gateway_account.this, aws_cloudwatch_log_group.execution]
}

resource "aws_api_gateway_method_settings" "all" {
  #checkov:skip=CKV_AWS_225:answers are of this moment: a cache would be a wrong one
  rest_api_id = aws_api_gateway_rest_api.this.id
  stage_name  = aws_api_gateway_stage.this.stage_name
  method_path = "*/*"
  settings {
    metrics_enabled        = true
    logging_level          = "ERROR"
    data_trace_enabled     = false
    throttling_rate_limit  = var.rate
    throttling_burst_limit = ceil(var.rate * 2)
  }
}

# --- once an account and region: with what role API Gateway writes its logs --------------------------------------------------------

data "aws_iam_policy_document" "log_trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["apigateway.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "log" {
  count              = var.account_log_role ? 1 : 0
  name               = "${var.name}-apigateway-log"
  description        = "API Gateway's logs of this account and region"
  assume_role_policy = data.aws_iam_policy_document.log_trust.json
  tags               = local.tags
}

# AWS asks for its own managed policy here: it is what PUT /account checks for.
resource "aws_iam_role_policy_attachment" "log" {
  count      = var.account_log_role ? 1 : 0
  role       = aws_iam_role.log[0].name
  policy_arn = "arn:${data.aws_partition.here.partition}:iam::aws:policy/service-role/AmazonAPIGatewayPushToCloudWatchLogs"
}

resource "aws_api_gateway_account" "this" {
  count               = var.account_log_role ? 1 : 0
  cloudwatch_role_arn = aws_iam_role.log[0].arn
  depends_on          = [aws_iam_role_policy_attachment.log]
}

# --- WAF -----------------------------------------------------------------------------------------------------------------------

locals {
  # AWS's own rule groups. Bodies are queries: the size and SQL rules of the common group would refuse them, so those only count.
  managed = {
    common    = { group = "AWSManagedRulesCommonRuleSet", priority = 10, count = ["SizeRestrictions_BODY", "CrossSiteScripting_BODY"] }
    bad_input = { group = "AWSManagedRulesKnownBadInputsRuleSet", priority = 20, count = [] }
    sources   = { group = "AWSManagedRulesAmazonIpReputationList", priority = 30, count = [] }
  }
}

resource "aws_wafv2_web_acl" "this" {
  #checkov:skip=CKV2_AWS_31:a log of requests would hold their signatures; API Gateway's access log says what WAF did, its metrics how often
  #checkov:skip=CKV_AWS_192:AWSManagedRulesKnownBadInputsRuleSet stands in local.managed, where the scan does not look
  name        = var.name
  description = "In front of the API of ${var.name}"
  scope       = "REGIONAL"
  tags        = local.tags
  default_action {
    allow {}
  }
  rule {
    name     = "rate"
    priority = 1
    action {
      block {}
    }
    statement {
      rate_based_statement {
        limit              = var.rate_per_address
        aggregate_key_type = "IP"
      }
    }
    visibility_config {
      cloudwatch_metrics_enabled = true
      metric_name                = "${var.name}-rate"
      sampled_requests_enabled   = false # a sample would hold queries
    }
  }
  dynamic "rule" {
    for_each = local.managed
    content {
      name     = rule.key
      priority = rule.value.priority
      override_action {
        none {}
      }
      statement {
        managed_rule_group_statement {
          vendor_name = "AWS"
          name        = rule.value.group
          dynamic "rule_action_override" {
            for_each = rule.value.count
            content {
              name = rule_action_override.value
              action_to_use {
                count {}
              }
            }
          }
        }
      }
      visibility_config {
        cloudwatch_metrics_enabled = true
        metric_name                = "${var.name}-${rule.key}"
        sampled_requests_enabled   = false
      }
    }
  }
  visibility_config {
    cloudwatch_metrics_enabled = true
    metric_name                = var.name
    sampled_requests_enabled   = false
  }
}

resource "aws_wafv2_web_acl_association" "this" {
  resource_arn = aws_api_gateway_stage.this.arn
  web_acl_arn  = aws_wafv2_web_acl.this.arn
}
