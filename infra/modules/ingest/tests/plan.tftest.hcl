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
}

run "objects_go_to_the_loader" {
  command = plan
  assert {
    condition     = one(aws_s3_bucket_notification.arrivals.queue).filter_suffix == ".parquet" && one(aws_s3_bucket_notification.arrivals.queue).filter_prefix == "dataset="
    error_message = "Parquet files below dataset= are announced."
  }
  assert {
    condition     = aws_sqs_queue.arrivals.visibility_timeout_seconds == 720 && aws_sqs_queue.dead_letters.message_retention_seconds == 1209600
    error_message = "Hidden for six time-outs; dead letters are kept longer than messages."
  }
  assert {
    condition     = aws_lambda_event_source_mapping.arrivals.function_response_types == toset(["ReportBatchItemFailures"]) && aws_lambda_event_source_mapping.arrivals.scaling_config[0].maximum_concurrency == 5
    error_message = "One bad file does not take the others with it; five loaders at most."
  }
  assert {
    condition     = output.queues == { arrivals = "grid-arrivals", dead_letters = "grid-dead-letters", failures = "grid-failures" }
    error_message = "Names as observability takes them."
  }
}

run "encrypted_by_sqs_without_a_key" {
  command = plan
  assert {
    condition     = alltrue([for queue in [aws_sqs_queue.arrivals, aws_sqs_queue.dead_letters, aws_sqs_queue.failures] : queue.sqs_managed_sse_enabled && queue.kms_master_key_id == null])
    error_message = "Encrypted all the same."
  }
  assert {
    condition     = !contains([for statement in data.aws_iam_policy_document.loader.statement : statement.sid], "Key")
    error_message = "No right to use a key where there is none."
  }
}

run "with_a_key" {
  command = plan
  variables {
    encryption = { kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555" }
  }
  assert {
    condition     = alltrue([for queue in [aws_sqs_queue.arrivals, aws_sqs_queue.dead_letters, aws_sqs_queue.failures] : queue.kms_master_key_id == var.encryption.kms_key_arn])
    error_message = "Every queue has the key."
  }
  assert {
    condition     = contains([for statement in data.aws_iam_policy_document.loader.statement : statement.sid], "Key")
    error_message = "The loader may use it."
  }
}

run "never_archived" {
  command = plan
  variables {
    archive_after_days = 0
  }
  assert {
    condition     = [for rule in aws_s3_bucket_lifecycle_configuration.data.rule : rule.id] == ["old-versions"]
    error_message = "Zero days: objects stay where they are."
  }
}

run "bucket_of_ones_own_name" {
  command = plan
  variables {
    bucket_name = "my-data"
    suffixes    = [".parquet", ".csv"]
  }
  assert {
    condition     = toset([for queue in aws_s3_bucket_notification.arrivals.queue : queue.filter_suffix]) == toset([".parquet", ".csv"])
    error_message = "Both kinds are announced."
  }
}

run "short_visibility_is_refused" {
  command = plan
  variables {
    timeout_s = 121
  }
  expect_failures = [var.visibility_s]
}

run "clear_text_is_refused" {
  command = plan
  variables {
    influxdb_url = "http://db:8086"
  }
  expect_failures = [var.influxdb_url]
}

run "single_try_is_refused" {
  command = plan
  variables {
    attempts = 1
  }
  expect_failures = [var.attempts]
}
