output "url" {
  description = "Where requests go, signed for execute-api."
  value       = aws_api_gateway_stage.this.invoke_url
}

output "api_name" {
  description = "Name of the API: the dimension ApiName of its metrics."
  value       = aws_api_gateway_rest_api.this.name
}

output "stage" {
  description = "Its stage: the dimension Stage."
  value       = aws_api_gateway_stage.this.stage_name
}

output "query" {
  description = "Name of the query function."
  value       = module.query.name
}

output "query_log_group" {
  description = "Its log group."
  value       = module.query.log_group
}

output "web_acl_arn" {
  description = "The WAF's access list."
  value       = aws_wafv2_web_acl.this.arn
}
