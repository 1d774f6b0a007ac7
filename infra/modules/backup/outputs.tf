output "function" {
  description = "Name of the function, for module observability."
  value       = module.function.name
}

output "log_group" {
  description = "Its log group."
  value       = module.function.log_group
}

output "archive" {
  description = "Bucket for `afluxo backup s3://BUCKET/prefix`."
  value       = module.archive.id
}

output "archive_arn" {
  description = "The same by its ARN."
  value       = module.archive.arn
}
