mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                    = "grid"
  vpc_id                  = "vpc-00000001"
  subnet_ids              = ["subnet-00000001"]
  allowed_security_groups = { functions = "sg-00000001" }
}

run "private_and_small_by_default" {
  command = plan
  assert {
    condition     = one(aws_timestreaminfluxdb_db_instance.this).publicly_accessible == false
    error_message = "Never public."
  }
  assert {
    condition = (one(aws_timestreaminfluxdb_db_instance.this).db_instance_type == "db.influx.large" && one(aws_timestreaminfluxdb_db_instance.this).db_storage_type == "InfluxIOIncludedT1"
    && one(aws_timestreaminfluxdb_db_instance.this).allocated_storage == 100 && one(aws_timestreaminfluxdb_db_instance.this).deployment_type == "SINGLE_AZ")
    error_message = "Size and deployment as the variables' defaults say."
  }
  assert {
    condition     = length(aws_ssm_parameter.size) == 0 && length(aws_cloudformation_stack.encrypted) == 0
    error_message = "Terraform owns the size, and no stack is made."
  }
  assert {
    condition     = aws_vpc_security_group_ingress_rule.groups["functions"].referenced_security_group_id == "sg-00000001" && aws_vpc_security_group_ingress_rule.groups["functions"].from_port == 8086
    error_message = "The group named may come in, to the port."
  }
  assert {
    condition     = aws_vpc_security_group_egress_rule.groups["functions"].security_group_id == "sg-00000001"
    error_message = "It may also go out to it."
  }
}

run "password_is_made_up" {
  command = plan
  assert {
    condition     = length(data.aws_secretsmanager_random_password.first) == 1 && data.aws_secretsmanager_random_password.first[0].exclude_punctuation
    error_message = "Letters and digits alone: the service takes nothing else."
  }
}

run "password_is_given" {
  command = plan
  variables {
    password = "Secret123"
  }
  assert {
    condition     = length(data.aws_secretsmanager_random_password.first) == 0 && nonsensitive(one(aws_timestreaminfluxdb_db_instance.this).password) == "Secret123"
    error_message = "Then none is made up."
  }
}

run "scaler_owns_the_size" {
  command = plan
  variables {
    scaler_owns_size = true
  }
  assert {
    condition     = jsondecode(aws_ssm_parameter.size[0].insecure_value) == { class = "db.influx.large", tier = "T1", storage_gib = 100 }
    error_message = "The parameter begins with what was asked for."
  }
}

run "standby_in_a_second_zone" {
  command = plan
  variables {
    multi_az   = true
    subnet_ids = ["subnet-00000001", "subnet-00000002"]
  }
  override_data {
    target = data.aws_subnet.each[1]
    values = { vpc_id = "vpc-00000001", availability_zone = "us-east-1b" }
  }
  assert {
    condition     = one(aws_timestreaminfluxdb_db_instance.this).deployment_type == "WITH_MULTIAZ_STANDBY"
    error_message = "A standby."
  }
}

run "standby_in_the_same_zone_is_refused" {
  command = plan
  variables {
    multi_az   = true
    subnet_ids = ["subnet-00000001", "subnet-00000002"]
  }
  expect_failures = [aws_timestreaminfluxdb_db_instance.this]
}

run "subnet_of_another_network_is_refused" {
  command = plan
  override_data {
    target = data.aws_subnet.each
    values = { vpc_id = "vpc-00000002", availability_zone = "us-east-1a" }
  }
  expect_failures = [aws_timestreaminfluxdb_db_instance.this]
}

run "public_subnet_is_refused" {
  command = plan
  override_data {
    target = data.aws_route_tables.own
    values = { ids = ["rtb-1"] }
  }
  override_data {
    target = data.aws_route_tables.public
    values = { ids = ["rtb-1", "rtb-2"] }
  }
  expect_failures = [aws_timestreaminfluxdb_db_instance.this]
}

run "public_main_table_counts_where_a_subnet_has_none" {
  command = plan
  override_data {
    target = data.aws_route_tables.main
    values = { ids = ["rtb-2"] }
  }
  override_data {
    target = data.aws_route_tables.public
    values = { ids = ["rtb-2"] }
  }
  expect_failures = [aws_timestreaminfluxdb_db_instance.this]
}

run "nobody_admitted_is_refused" {
  command = plan
  variables {
    allowed_security_groups = {}
  }
  expect_failures = [aws_timestreaminfluxdb_db_instance.this]
}

run "log_goes_to_a_bucket" {
  command = plan
  variables {
    log_bucket = "grid-logs"
  }
  assert {
    condition     = one(aws_timestreaminfluxdb_db_instance.this).log_delivery_configuration[0].s3_configuration[0].bucket_name == "grid-logs"
    error_message = "The engine's log is delivered."
  }
}

run "key_of_the_customer" {
  command = plan
  variables {
    encryption = { kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555" }
    password   = "Secret123"
  }
  assert {
    condition     = length(aws_timestreaminfluxdb_db_instance.this) == 0 && length(aws_cloudformation_stack.encrypted) == 1
    error_message = "Then CloudFormation makes it, since the provider has no such argument."
  }
}

run "key_and_scaler_are_refused" {
  command = plan
  variables {
    encryption       = { kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555" }
    scaler_owns_size = true
  }
  expect_failures = [var.encryption]
}

run "fast_storage_begins_at_400" {
  command = plan
  variables {
    storage_tier = "T3"
    storage_gib  = 399
  }
  expect_failures = [var.storage_gib]
}

run "whole_internet_is_refused" {
  command = plan
  variables {
    allowed_cidrs = { all = "0.0.0.0/0" }
  }
  expect_failures = [var.allowed_cidrs]
}

run "kept_port_is_refused" {
  command = plan
  variables {
    port = 7790
  }
  expect_failures = [var.port]
}
