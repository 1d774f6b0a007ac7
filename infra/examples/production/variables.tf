variable "region" {
  description = "AWS region."
  type        = string
  nullable    = false
  default     = "us-east-1"
}

variable "name" {
  description = "Prefix of every name."
  type        = string
  nullable    = false
  default     = "grid"
}

variable "zip" {
  description = "Path of function.zip for arm64 (make lambda)."
  type        = string
  nullable    = false
  default     = "../../../build/lambda/arm64/function.zip"
}

variable "emails" {
  description = "Who hears of alarms and costs."
  type        = set(string)
  nullable    = false
}

variable "callers" {
  description = "Who may query: ARNs of IAM roles or users."
  type        = set(string)
  nullable    = false
}

variable "monthly_budget" {
  description = "What all of it may cost a month."
  type        = number
  nullable    = false
}

variable "scaling_mode" {
  description = "advise at first; act once its advice was good for a month."
  type        = string
  nullable    = false
  default     = "advise"
}
