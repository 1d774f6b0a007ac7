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
  default     = "afluxo"
}

variable "zip" {
  description = "Path of function.zip for arm64 (make lambda)."
  type        = string
  nullable    = false
  default     = "../../../build/lambda/arm64/function.zip"
}

variable "emails" {
  description = "Who hears of alarms."
  type        = set(string)
  nullable    = false
}
