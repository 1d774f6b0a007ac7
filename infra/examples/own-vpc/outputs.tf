output "put_files_into" {
  description = "Where Parquet files are to be put."
  value       = "s3://${module.ingest.bucket}/dataset=..."
}

output "influxdb_url" {
  description = "InfluxDB, from inside the network."
  value       = module.influxdb.url
}

output "token_secrets" {
  description = "Secrets of the tokens."
  value       = module.provision.token_secret_names
}

output "admin_secret" {
  description = "ARN of the secret with the administrator's password."
  value       = module.provision.admin_secret_arn
}

output "endpoints" {
  description = "Endpoints of the VPC that the functions go through."
  value       = { for name, endpoint in data.aws_vpc_endpoint.needed : name => endpoint.id }
}
