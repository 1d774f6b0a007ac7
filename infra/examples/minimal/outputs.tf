output "put_files_into" {
  description = "Where Parquet files are to be put."
  value       = "s3://${module.ingest.bucket}/dataset=..."
}

output "influxdb_url" {
  description = "InfluxDB, from inside the network."
  value       = module.influxdb.url
}

output "token_secrets" {
  description = "Secrets that wait for their tokens."
  value       = { for name, secret in aws_secretsmanager_secret.token : name => secret.name }
}
