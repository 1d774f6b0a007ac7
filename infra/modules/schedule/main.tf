# A function, started by the clock: no repetition, since the next time is the next try.

data "aws_caller_identity" "me" {}

data "aws_iam_policy_document" "trust" {
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

data "aws_iam_policy_document" "invoke" {
  statement {
    actions   = ["lambda:InvokeFunction"]
    resources = [var.function_arn]
  }
}

resource "aws_iam_role" "this" {
  name               = "${var.name}-schedule"
  description        = "Starts ${var.name}"
  assume_role_policy = data.aws_iam_policy_document.trust.json
  tags               = var.tags
}

resource "aws_iam_role_policy" "invoke" {
  name   = "invoke"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.invoke.json
}

resource "aws_scheduler_schedule" "this" {
  #checkov:skip=CKV_AWS_297:its input names a function and no secret
  name                = var.name
  description         = var.description
  schedule_expression = var.expression
  flexible_time_window {
    mode = "OFF"
  }
  target {
    arn      = var.function_arn
    role_arn = aws_iam_role.this.arn
    input    = var.input
    retry_policy {
      maximum_retry_attempts       = 0
      maximum_event_age_in_seconds = var.max_age_s
    }
  }
}
