mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name = "grid"
  zip  = "versions.tf" # a file that is there
  instance = {
    id  = "abc123"
    arn = "arn:aws:timestream-influxdb:us-east-1:123456789012:db-instance/abc123"
    url = "https://db:8086"
  }
}

run "without_restore_tests_nothing_is_restored_or_deleted" {
  command = plan
  assert {
    condition     = !contains(flatten([for s in data.aws_iam_policy_document.backup.statement : tolist(s.actions) if s.effect != "Deny"]), "timestream-influxdb:DeleteDbInstance")
    error_message = "No instance may be deleted."
  }
  assert {
    condition     = !contains(flatten([for s in data.aws_iam_policy_document.backup.statement : tolist(s.actions) if s.effect != "Deny"]), "timestream-influxdb:RestoreFromDbBackup")
    error_message = "Nor restored."
  }
}

run "a_restore_never_replaces" {
  command = plan
  variables {
    subnet_ids         = ["subnet-1"]
    security_group_ids = ["sg-1"]
    restore_test       = { token_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:token-AbCdEf" }
  }
  assert {
    condition     = one([for s in data.aws_iam_policy_document.backup.statement : s if s.sid == "NeverInPlace"]).effect == "Deny"
    error_message = "REPLACE_EXISTING is denied."
  }
  assert {
    condition     = one(one([for s in data.aws_iam_policy_document.backup.statement : s if s.sid == "RemoveTest"]).condition).values == tolist(["abc123"])
    error_message = "Only an instance that carries our tag may be deleted."
  }
}

run "a_final_backup_is_what_destroy_makes" {
  command = plan
  assert {
    condition     = jsondecode(aws_lambda_invocation.final.input).final_backup && aws_lambda_invocation.final.lifecycle_scope == "CRUD"
    error_message = "By default, at its delete."
  }
}

run "a_name_that_is_no_backups_is_refused" {
  command = plan
  variables {
    name = "final-grid"
  }
  expect_failures = [var.name]
}

run "a_restore_test_without_a_way_to_the_instance_is_refused" {
  command = plan
  variables {
    restore_test = { token_secret_arn = "arn:aws:secretsmanager:us-east-1:123456789012:secret:token-AbCdEf" }
  }
  expect_failures = [var.restore_test]
}

run "a_destroy_says_what_stays" {
  command = plan
  variables {
    final_retention_days = 90
    keep_backups         = true
  }
  assert {
    condition     = strcontains(terraform_data.stays.input.text, "the backup final-grid-..., until 90 days are over; the other backups grid-..., for 35 days;")
    error_message = "The last backup, and those that are kept."
  }
}
