output "parameter_group_id" {
  description = "Identifier of the parameter group, for module influxdb; null: there is none."
  value       = one([for group in aws_lambda_invocation.group : jsondecode(group.result).id])
}

output "admin_secret_arn" {
  description = "Secret of the administrator's name and password."
  value       = aws_secretsmanager_secret.admin.arn
  depends_on  = [aws_lambda_invocation.bootstrap]
}

output "token_secret_arns" {
  description = "Secrets of the tokens by their names. Whoever takes one from here comes after the token was made, and goes before it is revoked."
  value       = { for name, secret in aws_secretsmanager_secret.token : name => secret.arn }
  depends_on  = [aws_lambda_invocation.bootstrap]
}

output "token_secret_names" {
  description = "The same by name."
  value       = { for name, secret in aws_secretsmanager_secret.token : name => secret.name }
}

output "buckets" {
  description = "Identifiers of the buckets by their names; null without an instance."
  value       = one([for made in aws_lambda_invocation.bootstrap : { for bucket in jsondecode(made.result).buckets : bucket.name => bucket.id }])
}

output "function" {
  description = "Name of the function."
  value       = module.function.name
}

output "log_group" {
  description = "Its log group."
  value       = module.function.log_group
}
