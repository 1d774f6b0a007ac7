locals {
  made = var.encryption == null ? {
    id       = one(aws_timestreaminfluxdb_db_instance.this[*].id)
    arn      = one(aws_timestreaminfluxdb_db_instance.this[*].arn)
    endpoint = one(aws_timestreaminfluxdb_db_instance.this[*].endpoint)
    secret   = one(aws_timestreaminfluxdb_db_instance.this[*].influx_auth_parameters_secret_arn)
    } : {
    id       = aws_cloudformation_stack.encrypted[0].outputs["Id"]
    arn      = aws_cloudformation_stack.encrypted[0].outputs["Arn"]
    endpoint = aws_cloudformation_stack.encrypted[0].outputs["Endpoint"]
    secret   = aws_cloudformation_stack.encrypted[0].outputs["Secret"]
  }
}

output "id" {
  description = "Identifier of the instance, which the service's calls take."
  value       = local.made.id
}

output "arn" {
  description = "ARN of the instance."
  value       = local.made.arn
}

output "name" {
  description = "Name of the instance: the dimension DbInstanceName of its metrics."
  value       = var.name
}

output "organization" {
  description = "InfluxDB's organisation."
  value       = var.organization
}

output "url" {
  description = "What INFLUXDB_URL is set to. Who is told it may connect, from the first moment to the last."
  value       = "https://${local.made.endpoint}:${var.port}"
  depends_on  = [aws_vpc_security_group_ingress_rule.groups, aws_vpc_security_group_ingress_rule.cidrs, aws_vpc_security_group_egress_rule.groups]
}

output "admin_secret_arn" {
  description = "Secret of the service's own with the first user and password; worthless once the provisioning step has run."
  value       = local.made.secret
}

output "security_group_id" {
  description = "Group of the database."
  value       = aws_security_group.database.id
}

output "size_parameter" {
  description = "Parameter of Systems Manager that the scaler writes; null where Terraform owns the size."
  value       = one(aws_ssm_parameter.size[*].name)
}

output "size_parameter_arn" {
  description = "Its ARN."
  value       = one(aws_ssm_parameter.size[*].arn)
}
