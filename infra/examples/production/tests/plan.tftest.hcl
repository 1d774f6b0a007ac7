mock_provider "aws" {
  source = "../../mocks"
}

# Each subnet in a zone of its own.
override_data {
  target = module.influxdb.data.aws_subnet.each[1]
  values = { vpc_id = "vpc-00000001", availability_zone = "us-east-1b" }
}

variables {
  emails         = ["a@example.org"]
  callers        = ["arn:aws:iam::123456789012:role/analyst"]
  monthly_budget = 5000
  zip            = "versions.tf" # a file that is there
}

run "two_zones_and_a_key_of_its_own" {
  command = plan
  assert {
    condition     = aws_kms_key.this.enable_key_rotation && aws_kms_key.this.deletion_window_in_days == 30
    error_message = "The key turns every year, and can be saved for a month."
  }
  assert {
    condition     = module.influxdb.size_parameter == "/afluxo/grid/size"
    error_message = "The scaler owns the size."
  }
  assert {
    condition     = contains(keys(output.token_secrets), "query") && module.api.stage == "v1" && module.autoscaling.scaler == "grid-scaler"
    error_message = "An API and a scaler."
  }
}
