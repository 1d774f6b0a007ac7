mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name = "grid"
  zip  = "versions.tf" # a file that is there
  instance = {
    id    = "abc123"
    arn   = "arn:aws:timestream-influxdb:us-east-1:123456789012:db-instance/abc123"
    class = "db.influx.large"
  }
}

run "advice_changes_nothing" {
  command = plan
  assert {
    condition     = !contains(flatten([for statement in data.aws_iam_policy_document.scaler.statement : tolist(statement.actions)]), "timestream-influxdb:UpdateDbInstance")
    error_message = "Who advises may not change the instance."
  }
  assert {
    condition     = !contains(flatten([for statement in data.aws_iam_policy_document.scaler.statement : tolist(statement.actions)]), "ssm:PutParameter")
    error_message = "Nor the parameter that holds its size."
  }
  assert {
    condition     = length(aws_cloudwatch_event_rule.alarm) == 0
    error_message = "No alarm is named, none starts it."
  }
}

run "acting_may_change_this_instance_alone" {
  command = plan
  variables {
    mode = "act"
    instance = {
      id                 = "abc123"
      arn                = "arn:aws:timestream-influxdb:us-east-1:123456789012:db-instance/abc123"
      class              = "db.influx.large"
      size_parameter     = "/afluxo/grid/size"
      size_parameter_arn = "arn:aws:ssm:us-east-1:123456789012:parameter/afluxo/grid/size"
    }
  }
  assert {
    condition     = one([for statement in data.aws_iam_policy_document.scaler.statement : statement if statement.sid == "Act"]).resources == toset([var.instance.arn])
    error_message = "This instance and no other."
  }
}

run "alarms_start_it" {
  command = plan
  variables {
    alarms = ["grid-cpu-high", "grid-memory-high"]
  }
  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.alarm[0].event_pattern).detail.alarmName == ["grid-cpu-high", "grid-memory-high"]
    error_message = "These alarms, when they begin to ring."
  }
}

run "acting_without_the_parameter_is_refused" {
  command = plan
  variables {
    mode = "act"
  }
  expect_failures = [var.instance]
}

run "floor_above_the_ceiling_is_refused" {
  command = plan
  variables {
    policy = { class_min = "db.influx.4xlarge", class_max = "db.influx.large" }
  }
  expect_failures = [var.policy]
}

run "swinging_is_refused" {
  command = plan
  variables {
    policy = { cpu_up = 50, cpu_down = 50 }
  }
  expect_failures = [var.policy]
}

run "budget_without_a_price_is_refused" {
  command = plan
  variables {
    policy = { budget_month = 500 }
  }
  expect_failures = [var.policy]
}
