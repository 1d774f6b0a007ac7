output "scaler" {
  description = "Name of the scaler."
  value       = module.scaler.name
}

output "scaler_log_group" {
  description = "Its log group."
  value       = module.scaler.log_group
}

output "journal" {
  description = "Where decisions are written down: s3://BUCKET/scaler/INSTANCE/audit/."
  value       = "s3://${module.journal.id}/scaler/${var.instance.id}/audit/"
}
