mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name         = "grid-monitor"
  description  = "Is InfluxDB well?"
  expression   = "rate(1 minute)"
  function_arn = "arn:aws:lambda:us-east-1:123456789012:function:grid-monitor"
}

run "starts_the_function_and_may_nothing_else" {
  command = plan
  assert {
    condition     = aws_scheduler_schedule.this.target[0].arn == var.function_arn && aws_scheduler_schedule.this.schedule_expression == "rate(1 minute)"
    error_message = "The function, when it is told."
  }
  assert {
    condition     = aws_scheduler_schedule.this.target[0].retry_policy[0].maximum_retry_attempts == 0
    error_message = "The next time is the next try."
  }
  assert {
    condition     = data.aws_iam_policy_document.invoke.statement[0].actions == toset(["lambda:InvokeFunction"]) && data.aws_iam_policy_document.invoke.statement[0].resources == toset([var.function_arn])
    error_message = "It may start this function, and nothing else."
  }
}
