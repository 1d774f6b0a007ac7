variable "region" {
  description = "AWS region."
  type        = string
  nullable    = false
  default     = "us-east-1"
}

variable "availability_zones" {
  description = "Zones, by name: a list that AWS gives out changes by itself, and another subnet means another instance."
  type        = list(string)
  nullable    = false
  default     = ["us-east-1a", "us-east-1b"]
  validation {
    condition     = length(var.availability_zones) >= 2 && alltrue([for zone in var.availability_zones : startswith(zone, var.region)])
    error_message = "availability_zones: ${join(", ", var.availability_zones)}: name at least two zones of ${var.region}."
  }
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
