output "id" {
  description = "Identifier of the cluster, which the service's calls take."
  value       = aws_timestreaminfluxdb_db_cluster.this.id
}

output "arn" {
  description = "ARN of the cluster."
  value       = aws_timestreaminfluxdb_db_cluster.this.arn
}

output "engine_type" {
  description = "What the service says it runs: INFLUXDB_V2, INFLUXDB_V3_CORE or INFLUXDB_V3_ENTERPRISE."
  value       = aws_timestreaminfluxdb_db_cluster.this.engine_type
}

output "url" {
  description = "Where points and queries go."
  value       = "https://${aws_timestreaminfluxdb_db_cluster.this.endpoint}:${local.port}"
}

output "reader_url" {
  description = "Where queries go that may be answered a little late, by a replica; null with InfluxDB 3."
  value       = local.v2 ? "https://${aws_timestreaminfluxdb_db_cluster.this.reader_endpoint}:${local.port}" : null
}

output "admin_secret_arn" {
  description = "Secret of the service's own with the first user and password; with InfluxDB 3 its token."
  value       = aws_timestreaminfluxdb_db_cluster.this.influx_auth_parameters_secret_arn
}

output "security_group_id" {
  description = "Group of the database."
  value       = aws_security_group.database.id
}
