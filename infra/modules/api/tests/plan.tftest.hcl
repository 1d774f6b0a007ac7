mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name               = "grid"
  influxdb_url       = "https://db:8086"
  token_secret_arn   = "arn:aws:secretsmanager:us-east-1:123456789012:secret:token-AbCdEf"
  zip                = "versions.tf" # a file that is there
  subnet_ids         = ["subnet-00000001"]
  security_group_ids = ["sg-00000001"]
  callers            = ["arn:aws:iam::123456789012:role/analyst"]
}

run "every_route_is_signed" {
  command = plan
  assert {
    condition     = length(aws_api_gateway_method.route) == 4 && alltrue([for method in aws_api_gateway_method.route : method.authorization == "AWS_IAM"])
    error_message = "No route without IAM."
  }
  assert {
    condition     = one([for statement in data.aws_iam_policy_document.callers.statement : statement if statement.sid == "NobodyElse"]).effect == "Deny"
    error_message = "Who is not named is refused, whatever their own policies say."
  }
}

run "behind_a_firewall_with_a_rate" {
  command = plan
  assert {
    condition     = length(aws_wafv2_web_acl.this.rule) == 4 && one([for rule in aws_wafv2_web_acl.this.rule : rule if rule.name == "rate"]).statement[0].rate_based_statement[0].limit == 2000
    error_message = "A rate an address, and three groups of AWS's rules."
  }
  assert {
    condition     = aws_api_gateway_method_settings.all.settings[0].throttling_rate_limit == 50 && aws_api_gateway_method_settings.all.settings[0].throttling_burst_limit == 100
    error_message = "A rate for all together."
  }
}

run "queries_are_not_logged" {
  command = plan
  assert {
    condition     = aws_api_gateway_method_settings.all.settings[0].data_trace_enabled == false && alltrue([for rule in aws_wafv2_web_acl.this.rule : !rule.visibility_config[0].sampled_requests_enabled])
    error_message = "Neither bodies nor samples of requests are kept."
  }
}

run "account_keeps_its_log_role" {
  command = plan
  assert {
    condition     = length(aws_api_gateway_account.this) + length(aws_iam_role.log) == 0
    error_message = "What an account has once is not touched unasked."
  }
}

run "account_gets_a_log_role" {
  command = plan
  variables {
    account_log_role = true
  }
  assert {
    condition     = length(aws_api_gateway_account.this) == 1 && length(aws_iam_role.log) == 1
    error_message = "Asked for, it is set."
  }
}

run "everybody_is_refused" {
  command = plan
  variables {
    callers = ["*"]
  }
  expect_failures = [var.callers]
}

run "minute_is_refused" {
  command = plan
  variables {
    timeout_s = 60
  }
  expect_failures = [var.timeout_s]
}

run "no_rate_is_refused" {
  command = plan
  variables {
    rate = 0
  }
  expect_failures = [var.rate]
}
