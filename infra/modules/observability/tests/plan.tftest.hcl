mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name          = "grid"
  emails        = ["a@example.org"]
  instance_name = "grid"
  monitor = {
    zip                = "versions.tf" # a file that is there
    influxdb_url       = "https://db:8086"
    token_secret_arn   = "arn:aws:secretsmanager:us-east-1:123456789012:secret:token-AbCdEf"
    subnet_ids         = ["subnet-00000001"]
    security_group_ids = ["sg-00000001"]
  }
}

run "database_alone" {
  command = plan
  assert {
    condition     = !contains(keys(aws_cloudwatch_metric_alarm.each), "loader-errors") && !contains(keys(aws_cloudwatch_metric_alarm.each), "queue-ages") && contains(keys(aws_cloudwatch_metric_alarm.each), "cpu-high")
    error_message = "No alarm on what is not there."
  }
  assert {
    condition     = length(aws_cloudwatch_metric_alarm.queue_grows) == 0 && keys(aws_cloudwatch_log_metric_filter.errors) == ["monitor"]
    error_message = "Neither queues nor their functions' logs."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.each["connection-lost"].treat_missing_data == "breaching" && [for name, alarm in aws_cloudwatch_metric_alarm.each : name if alarm.treat_missing_data == "breaching"] == ["connection-lost"]
    error_message = "Silence is an alarm of the heartbeat alone."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.each["cpu-high"].namespace == "AWS/Timestream/InfluxDB" && aws_cloudwatch_metric_alarm.each["cpu-high"].dimensions == tomap({ DbInstanceName = "grid" }) && aws_cloudwatch_metric_alarm.each["cpu-high"].threshold == 80
    error_message = "The service's metric of this instance, at the default limit."
  }
}

run "each_alarm_names_its_page" {
  command = plan
  assert {
    condition     = alltrue([for name, alarm in aws_cloudwatch_metric_alarm.each : endswith(alarm.alarm_description, "docs/runbooks/${name}.md") || strcontains(alarm.alarm_description, "docs/runbooks/${name}.md")])
    error_message = "Every alarm says where its page is."
  }
}

run "all_of_it" {
  command = plan
  variables {
    loader = { name = "grid-loader", timeout_s = 120, log_group = "/aws/lambda/grid-loader" }
    queues = { arrivals = "grid-arrivals", dead_letters = "grid-dead-letters", failures = "grid-failures" }
    api    = { name = "grid", stage = "v1", function = "grid-query", log_group = "/aws/lambda/grid-query" }
    scaler = { name = "grid-scaler", log_group = "/aws/lambda/grid-scaler" }
  }
  assert {
    condition     = alltrue([for name in ["loader-errors", "dead-letters", "queue-ages", "api-errors", "scaler-errors"] : contains(keys(aws_cloudwatch_metric_alarm.each), name)])
    error_message = "An alarm for each part."
  }
  assert {
    condition     = keys(aws_cloudwatch_log_metric_filter.errors) == ["loader", "monitor", "query", "scaler"]
    error_message = "Errors are counted in every log."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.each["loader-slow"].threshold == 96000
    error_message = "Four fifths of the loader's time-out."
  }
}

run "limits_and_names_are_variables" {
  command = plan
  variables {
    service_namespace = "AWS/TimestreamInfluxDB"
    service_dimension = "DBInstanceIdentifier"
    storage_tier      = "T3"
    limits            = { cpu_percent = 60 }
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.each["cpu-high"].namespace == "AWS/TimestreamInfluxDB" && aws_cloudwatch_metric_alarm.each["cpu-high"].dimensions == tomap({ DBInstanceIdentifier = "grid" }) && aws_cloudwatch_metric_alarm.each["cpu-high"].threshold == 60
    error_message = "Where the service's metrics are is not known for certain: both are the caller's to say."
  }
  assert {
    condition     = aws_cloudwatch_metric_alarm.each["operations-high"].threshold == 11200
    error_message = "Seven tenths of the tier's operations."
  }
}

run "topics_with_a_key" {
  command = plan
  variables {
    encryption = { kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555" }
  }
  assert {
    condition     = alltrue([for topic in aws_sns_topic.alarms : topic.kms_master_key_id == var.encryption.kms_key_arn])
    error_message = "Both topics have the key."
  }
}

run "nobody_is_refused" {
  command = plan
  variables {
    emails = []
  }
  expect_failures = [var.emails]
}

run "limit_of_100_is_refused" {
  command = plan
  variables {
    limits = { disk_percent = 100 }
  }
  expect_failures = [var.limits]
}
