output "budget" {
  description = "Name of the budget."
  value       = aws_budgets_budget.month.name
}

output "reader_policy_arn" {
  description = "ARN of the policy for `afluxo costs`; null without reader_policy."
  value       = one(aws_iam_policy.reader[*].arn)
}
