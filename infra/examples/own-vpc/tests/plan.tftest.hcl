mock_provider "aws" {
  source = "../../mocks"
}

variables {
  vpc_id            = "vpc-00000001"
  subnet_ids        = ["subnet-00000001"]
  security_group_id = "sg-00000001"
  emails            = ["a@example.org"]
  zip               = "versions.tf" # a file that is there
}

override_data {
  target = data.aws_vpc.own
  values = { id = "vpc-00000001", enable_dns_support = true, enable_dns_hostnames = true }
}

override_data {
  target = data.aws_security_group.functions
  values = { id = "sg-00000001", vpc_id = "vpc-00000001" }
}

run "nothing_of_the_network_is_made" {
  command = plan
  assert {
    condition     = toset(keys(data.aws_vpc_endpoint.needed)) == toset(["s3", "sqs", "secretsmanager"]) && data.aws_vpc_endpoint.needed["sqs"].service_name == "com.amazonaws.us-east-1.sqs"
    error_message = "Endpoints are looked for, not made."
  }
  assert {
    condition     = module.ingest.loader == "afluxo-loader" && module.observability.monitor == "afluxo-monitor"
    error_message = "Loader and monitor are named after the platform."
  }
}

run "a_nat_leads_there" {
  command = plan
  variables {
    endpoints = []
  }
  assert {
    condition     = length(data.aws_vpc_endpoint.needed) == 0
    error_message = "Then no endpoint has to be there."
  }
}

run "group_of_another_network_is_refused" {
  command = plan
  override_data {
    target = data.aws_security_group.functions
    values = { id = "sg-00000001", vpc_id = "vpc-00000009" }
  }
  expect_failures = [data.aws_security_group.functions]
}

run "network_without_names_is_refused" {
  command = plan
  override_data {
    target = data.aws_vpc.own
    values = { id = "vpc-00000001", enable_dns_support = true, enable_dns_hostnames = false }
  }
  expect_failures = [data.aws_vpc.own]
}
