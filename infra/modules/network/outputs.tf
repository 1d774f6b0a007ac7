output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "subnet_ids" {
  description = "Private subnets, in the order of the zones, with a way to AWS: who is in them comes after the endpoints and goes before them."
  value       = [for zone in var.availability_zones : aws_subnet.private[zone].id]
  # A function that Terraform calls at its end must still reach what it ends.
  depends_on = [aws_vpc_endpoint.interface, aws_vpc_endpoint.s3, aws_route_table_association.private, aws_vpc_security_group_egress_rule.clients_to_endpoints,
  aws_vpc_security_group_egress_rule.clients_to_s3, aws_vpc_security_group_ingress_rule.endpoints_from_clients]
}

output "client_security_group_id" {
  description = "Group of whatever may speak to the database and to AWS."
  value       = aws_security_group.clients.id
}

output "route_table_id" {
  description = "Route table of the private subnets."
  value       = aws_route_table.private.id
}

output "s3_endpoint_id" {
  description = "Gateway endpoint of S3."
  value       = aws_vpc_endpoint.s3.id
}
