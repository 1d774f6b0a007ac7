output "put_files_into" {
  description = "Where Parquet files are to be put."
  value       = "s3://${module.ingest.bucket}/dataset=..."
}

output "api_url" {
  description = "Where queries go, signed for execute-api."
  value       = module.api.url
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

output "grafana_dashboard" {
  description = "For Grafana: terraform output -raw grafana_dashboard > afluxo.json"
  value       = module.observability.grafana_dashboard
}
