output "vpc_id" {
  description = "The VPC."
  value       = aws_vpc.this.id
}

output "subnet_ids" {
  description = "Private subnets, in the order of the zones."
  value       = [for zone in var.availability_zones : aws_subnet.private[zone].id]
}

output "client_security_group_id" {
  description = "Group of whatever may speak to the database and to AWS."
  value       = aws_security_group.clients.id
}

output "route_table_id" {
  description = "Route table of the private subnets."
  value       = aws_route_table.private.id
}
