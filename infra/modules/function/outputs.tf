output "arn" {
  description = "The function."
  value       = aws_lambda_function.this.arn
}

output "name" {
  description = "Its name: the dimension FunctionName of Lambda's metrics."
  value       = aws_lambda_function.this.function_name
}

output "invoke_arn" {
  description = "What API Gateway calls."
  value       = aws_lambda_function.this.invoke_arn
}

output "role_arn" {
  description = "Its role."
  value       = aws_iam_role.this.arn
}

output "role_name" {
  description = "Its role, by name."
  value       = aws_iam_role.this.name
}

output "log_group" {
  description = "Its log group."
  value       = aws_cloudwatch_log_group.this.name
}
