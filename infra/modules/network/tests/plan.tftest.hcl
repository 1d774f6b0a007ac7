mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name               = "grid"
  availability_zones = ["us-east-1a", "us-east-1b"]
}

run "private_by_default" {
  command = plan
  assert {
    condition     = length(aws_subnet.private) == 2 && alltrue([for subnet in aws_subnet.private : subnet.map_public_ip_on_launch != true])
    error_message = "A private subnet for each zone."
  }
  assert {
    condition     = aws_subnet.private["us-east-1a"].cidr_block == "10.40.0.0/22" && aws_subnet.private["us-east-1b"].cidr_block == "10.40.4.0/22"
    error_message = "Subnets are quarters of the network, in the order of the zones."
  }
  assert {
    condition     = length(aws_vpc_endpoint.interface) == 9 && alltrue([for endpoint in aws_vpc_endpoint.interface : endpoint.private_dns_enabled])
    error_message = "Nine services have an endpoint with a private name."
  }
  assert {
    condition     = aws_vpc_endpoint.s3.vpc_endpoint_type == "Gateway" && aws_vpc_endpoint.s3.service_name == "com.amazonaws.us-east-1.s3"
    error_message = "S3 has the gateway endpoint, which costs nothing."
  }
  assert {
    condition     = aws_flow_log.this[0].traffic_type == "ALL" && aws_cloudwatch_log_group.flow[0].retention_in_days == 30
    error_message = "Connections are logged for 30 days."
  }
}

run "rules_name_groups_and_one_port" {
  command = plan
  assert {
    condition     = alltrue([for rule in [aws_vpc_security_group_egress_rule.clients_to_endpoints, aws_vpc_security_group_egress_rule.clients_to_s3] : rule.from_port == 443 && rule.to_port == 443 && rule.cidr_ipv4 == null])
    error_message = "Clients go to AWS by TLS alone, and to no address."
  }
}

run "without_a_log" {
  command = plan
  variables {
    flow_log_days       = 0
    interface_endpoints = []
  }
  assert {
    condition     = length(aws_flow_log.this) + length(aws_cloudwatch_log_group.flow) + length(aws_iam_role.flow) + length(aws_vpc_endpoint.interface) == 0
    error_message = "Zero days: no log, no role for it."
  }
}

run "with_a_key" {
  command = plan
  variables {
    kms_key_arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555"
  }
  assert {
    condition     = aws_cloudwatch_log_group.flow[0].kms_key_id == var.kms_key_arn
    error_message = "The log has the key."
  }
}

run "name_is_refused" {
  command = plan
  variables {
    name = "Grid_1"
  }
  expect_failures = [var.name]
}

run "public_addresses_are_refused" {
  command = plan
  variables {
    cidr = "8.8.8.0/20"
  }
  expect_failures = [var.cidr]
}

run "four_zones_are_refused" {
  command = plan
  variables {
    availability_zones = ["us-east-1a", "us-east-1b", "us-east-1c", "us-east-1d"]
  }
  expect_failures = [var.availability_zones]
}

run "days_that_logs_does_not_know_are_refused" {
  command = plan
  variables {
    flow_log_days = 8
  }
  expect_failures = [var.flow_log_days]
}
