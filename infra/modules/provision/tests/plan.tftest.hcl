mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name = "grid"
  zip  = "versions.tf" # a file that is there
}

run "nothing_is_asked_for_and_nothing_is_called" {
  command = plan
  assert {
    condition     = length(aws_lambda_invocation.group) == 0 && length(aws_lambda_invocation.bootstrap) == 0 && length(aws_lambda_invocation.revoke) == 0
    error_message = "Without a group and an instance there is nothing to do."
  }
  assert {
    condition     = toset(keys(output.token_secret_names)) == toset(["loader", "monitor", "query"]) && output.token_secret_names["loader"] == "grid/token/loader"
    error_message = "A secret a token."
  }
  assert {
    condition     = length([for statement in data.aws_iam_policy_document.provision.statement : statement if statement.sid == "MakeGroup"]) == 0
    error_message = "Who makes no group needs no wildcard."
  }
}

run "a_group" {
  command = plan
  variables {
    parameter_group = { parameters = { queryConcurrency = 10, logLevel = "info", httpIdleTimeout = { durationType = "minutes", value = 3 } } }
  }
  assert {
    condition     = jsondecode(one(values(aws_lambda_invocation.group)).input).parameters.queryConcurrency == 10
    error_message = "The parameters as they are given."
  }
  assert {
    condition     = one(values(aws_lambda_invocation.group)).lifecycle_scope == "CRUD"
    error_message = "A delete says what stays."
  }
  assert {
    condition     = one([for statement in data.aws_iam_policy_document.provision.statement : statement if statement.sid == "ReadGroup"]).resources == toset(["arn:aws:timestream-influxdb:us-east-1:123456789012:db-parameter-group/*"])
    error_message = "Groups of this account and region."
  }
}

run "an_instance" {
  command = plan
  variables {
    rotation_days = 30
    instance = {
      id               = "abc123"
      arn              = "arn:aws:timestream-influxdb:us-east-1:123456789012:db-instance/abc123"
      url              = "https://db:8086"
      admin_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:READONLY-first"
    }
  }
  assert {
    condition     = aws_lambda_invocation.bootstrap[0].lifecycle_scope == "CREATE_ONLY" && aws_lambda_invocation.revoke[0].lifecycle_scope == "CRUD"
    error_message = "A bootstrap that failed is tried again; only the other one revokes."
  }
  assert {
    condition     = length(module.rotation) == 1
    error_message = "A schedule."
  }
  assert {
    condition     = one([for statement in data.aws_iam_policy_document.instance[0].statement : statement if statement.sid == "FirstPassword"]).resources == toset([var.instance.admin_secret_arn])
    error_message = "The first password is read, this one alone."
  }
}

run "a_parameter_that_is_none_is_refused" {
  command = plan
  variables {
    parameter_group = { parameters = { query-concurrency = 10 } }
  }
  expect_failures = [var.parameter_group]
}

run "a_number_that_is_too_large_is_refused" {
  command = plan
  variables {
    parameter_group = { parameters = { queryQueueSize = 2048 } }
  }
  expect_failures = [var.parameter_group]
}

run "a_word_that_is_none_is_refused" {
  command = plan
  variables {
    parameter_group = { parameters = { logLevel = "warn" } }
  }
  expect_failures = [var.parameter_group]
}

run "an_empty_group_is_refused" {
  command = plan
  variables {
    parameter_group = { parameters = {} }
  }
  expect_failures = [var.parameter_group]
}

run "passwords_never_travel_in_the_clear" {
  command = plan
  variables {
    instance = { url = "http://db:8086", admin_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:READONLY-first" }
  }
  expect_failures = [var.instance]
}

run "an_instance_by_half_is_refused" {
  command = plan
  variables {
    instance = { id = "abc123", url = "https://db:8086", admin_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:READONLY-first" }
  }
  expect_failures = [var.instance]
}

run "a_token_for_nothing_is_refused" {
  command = plan
  variables {
    tokens = { idle = {} }
  }
  expect_failures = [var.tokens]
}

run "an_operator_of_one_bucket_is_refused" {
  command = plan
  variables {
    tokens = { boss = { read = ["energy_data"], operator = true } }
  }
  expect_failures = [var.tokens]
}

run "a_bucket_of_influxdbs_own_is_refused" {
  command = plan
  variables {
    buckets = [{ name = "_tasks" }]
  }
  expect_failures = [var.buckets]
}

run "a_minute_is_no_retention" {
  command = plan
  variables {
    buckets = [{ name = "short", retention_s = 60 }]
  }
  expect_failures = [var.buckets]
}

run "a_rotation_after_the_end_is_refused" {
  command = plan
  variables {
    rotation_days = 400
  }
  expect_failures = [var.rotation_days]
}

run "secrets_recovered_for_a_day_are_refused" {
  command = plan
  variables {
    recovery_days = 1
  }
  expect_failures = [var.recovery_days]
}
