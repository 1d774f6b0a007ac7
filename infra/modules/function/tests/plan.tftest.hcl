mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name        = "grid-loader"
  handler     = "loader"
  zip         = "versions.tf" # a file that is there
  policy_json = "{}"
}

run "outside_of_any_network_by_default" {
  command = plan
  assert {
    condition     = aws_lambda_function.this.runtime == "provided.al2023" && aws_lambda_function.this.architectures == tolist(["arm64"]) && aws_lambda_function.this.handler == "loader"
    error_message = "A program of its own, for arm64."
  }
  assert {
    condition     = length(aws_lambda_function.this.vpc_config) == 0 && length(data.aws_iam_policy_document.base.statement) == 1
    error_message = "No network, and no right to make interfaces."
  }
  assert {
    condition     = aws_cloudwatch_log_group.this.name == "/aws/lambda/grid-loader" && aws_cloudwatch_log_group.this.retention_in_days == 30
    error_message = "The log is ours before Lambda makes one that is kept for ever."
  }
}

run "in_a_network" {
  command = plan
  variables {
    subnet_ids         = ["subnet-00000001"]
    security_group_ids = ["sg-00000001"]
  }
  assert {
    condition     = aws_lambda_function.this.vpc_config[0].subnet_ids == toset(["subnet-00000001"])
    error_message = "In the subnet named."
  }
  assert {
    condition     = [for statement in data.aws_iam_policy_document.base.statement : statement.sid] == ["Log", "NetworkInterfaces", "NotByCode"]
    error_message = "Lambda may make interfaces, the function's code may not."
  }
}

run "dead_letters" {
  command = plan
  variables {
    dead_letter_arn = "arn:aws:sqs:us-east-1:123456789012:grid-dead"
  }
  assert {
    condition     = aws_lambda_function.this.dead_letter_config[0].target_arn == var.dead_letter_arn
    error_message = "Failed events go to the queue."
  }
}

run "secrets_are_refused" {
  command = plan
  variables {
    environment = { INFLUXDB_TOKEN = "x" }
  }
  expect_failures = [var.environment]
}

run "missing_archive_is_refused" {
  command = plan
  variables {
    zip = "nowhere.zip"
  }
  expect_failures = [var.zip]
}

run "long_name_is_refused" {
  command = plan
  variables {
    name = "a-name-that-leaves-no-room-for-what-the-role-puts-behind-it"
  }
  expect_failures = [var.name]
}

run "hours_are_refused" {
  command = plan
  variables {
    timeout_s = 3600
  }
  expect_failures = [var.timeout_s]
}
