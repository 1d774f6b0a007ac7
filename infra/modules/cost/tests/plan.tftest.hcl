mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name           = "grid"
  emails         = ["a@example.org"]
  monthly_budget = 1000
  tag            = { key = "project", value = "grid" }
}

run "budget_by_tag" {
  command = plan
  assert {
    condition     = aws_budgets_budget.month.limit_amount == "1000.00" && one(aws_budgets_budget.month.cost_filter).values == tolist(["user:project$grid"])
    error_message = "What carries the tag is counted."
  }
  assert {
    condition     = length(aws_budgets_budget.month.notification) == 4 && length([for note in aws_budgets_budget.month.notification : note if note.notification_type == "FORECASTED"]) == 1
    error_message = "At half, four fifths and all of it, and when the forecast passes it."
  }
}

run "no_monitor" {
  command = plan
  variables {
    anomaly_at_least = 0
  }
  assert {
    condition     = length(aws_ce_anomaly_monitor.this) + length(aws_ce_anomaly_subscription.this) == 0
    error_message = "Zero: none is made."
  }
}

run "tag_is_activated_by_the_payer_alone" {
  command = plan
  variables {
    activate_tag = true
  }
  assert {
    condition     = aws_ce_cost_allocation_tag.this[0].tag_key == "project"
    error_message = "Asked for, the tag is activated."
  }
}

run "five_notifications_and_the_forecast_are_refused" {
  command = plan
  variables {
    alert_percent = [10, 20, 30, 40, 50]
  }
  expect_failures = [var.alert_percent]
}
