# What it costs: a budget over the platform's tag, a forecast, and what is unusual.

locals {
  tags = merge(var.tags, { "afluxo:module" = "cost" })
}

resource "aws_budgets_budget" "month" {
  name         = "${var.name}-month"
  budget_type  = "COST"
  time_unit    = "MONTHLY" # from when on is AWS's to say: a start made of timestamp() would be another one at every plan
  limit_amount = format("%.2f", var.monthly_budget)
  limit_unit   = var.currency
  tags         = local.tags

  cost_filter {
    name   = "TagKeyValue"
    values = [join("$", ["user:${var.tag.key}", var.tag.value])]
  }

  dynamic "notification" {
    for_each = var.alert_percent
    content {
      notification_type          = "ACTUAL"
      comparison_operator        = "GREATER_THAN"
      threshold                  = notification.value
      threshold_type             = "PERCENTAGE"
      subscriber_email_addresses = sort(var.emails)
    }
  }
  notification {
    notification_type          = "FORECASTED"
    comparison_operator        = "GREATER_THAN"
    threshold                  = 100
    threshold_type             = "PERCENTAGE"
    subscriber_email_addresses = sort(var.emails)
  }
}

resource "aws_ce_cost_allocation_tag" "this" {
  count   = var.activate_tag ? 1 : 0
  tag_key = var.tag.key
  status  = "Active"
}

# Keys that costs are counted by beside it: afluxo:module tells the modules apart (`afluxo costs --tag afluxo:module=ingest`).
resource "aws_ce_cost_allocation_tag" "others" {
  for_each = var.other_tag_keys
  tag_key  = each.value
  status   = "Active"
  lifecycle {
    precondition {
      condition     = var.activate_tag
      error_message = "other_tag_keys: only the payer's account activates tags. Set activate_tag there, or leave other_tag_keys empty here."
    }
  }
}

# What `afluxo costs` asks. Cost Explorer's figures are the account's and these two actions of CloudWatch know no resource: none is narrower.
data "aws_iam_policy_document" "reader" {
  count = var.reader_policy ? 1 : 0
  statement {
    sid       = "ReadCosts"
    actions   = ["ce:GetCostAndUsage", "ce:GetCostForecast", "ce:GetDimensionValues"]
    resources = ["*"]
  }
  statement {
    sid       = "ReadPointsWritten"
    actions   = ["cloudwatch:GetMetricData", "cloudwatch:ListMetrics"]
    resources = ["*"]
  }
}

resource "aws_iam_policy" "reader" {
  count       = var.reader_policy ? 1 : 0
  name        = "${var.name}-costs"
  description = "Reads what ${var.name} costs: afluxo costs"
  policy      = data.aws_iam_policy_document.reader[0].json
  tags        = local.tags
}

resource "aws_ce_anomaly_monitor" "this" {
  count        = var.anomaly_at_least > 0 ? 1 : 0
  name         = "${var.name}-costs"
  monitor_type = "CUSTOM"
  monitor_specification = jsonencode({
    And            = null
    CostCategories = null
    Dimensions     = null
    Not            = null
    Or             = null
    Tags           = { Key = var.tag.key, MatchOptions = null, Values = [var.tag.value] }
  })
  tags = local.tags
}

resource "aws_ce_anomaly_subscription" "this" {
  count            = var.anomaly_at_least > 0 ? 1 : 0
  name             = "${var.name}-costs"
  frequency        = "DAILY"
  monitor_arn_list = [aws_ce_anomaly_monitor.this[0].arn]
  tags             = local.tags
  dynamic "subscriber" {
    for_each = var.emails
    content {
      type    = "EMAIL"
      address = subscriber.value
    }
  }
  threshold_expression {
    dimension {
      key           = "ANOMALY_TOTAL_IMPACT_ABSOLUTE"
      match_options = ["GREATER_THAN_OR_EQUAL"]
      values        = [tostring(var.anomaly_at_least)]
    }
  }
}
