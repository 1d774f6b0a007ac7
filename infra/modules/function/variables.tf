variable "name" {
  description = "Name of the function, and of its role and log group."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-zA-Z0-9-_]{1,55}$", var.name))
    error_message = "name \"${var.name}\": 1 to 55 letters, digits, hyphens and underscores; the role is called the same with \"-function\" behind it, and IAM ends at 64."
  }
}

variable "handler" {
  description = "Which of afluxo's functions: loader, monitor, query, scaler, provision ..."
  type        = string
  nullable    = false
}

variable "zip" {
  description = "Path of function.zip (make lambda), of the same architecture."
  type        = string
  nullable    = false
  validation {
    condition     = fileexists(var.zip)
    error_message = "zip \"${var.zip}\" is not there: make it with `make lambda`."
  }
}

variable "architecture" {
  description = "arm64 (cheaper) or x86_64."
  type        = string
  nullable    = false
  default     = "arm64"
  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "architecture \"${var.architecture}\": arm64 or x86_64."
  }
}

variable "memory_mb" {
  description = "Memory, and with it processor time: 1769 MB are one processor."
  type        = number
  nullable    = false
  default     = 256
  validation {
    condition     = var.memory_mb >= 128 && var.memory_mb <= 10240
    error_message = "memory_mb ${var.memory_mb}: 128 to 10240."
  }
}

variable "timeout_s" {
  description = "Time-out of an invocation."
  type        = number
  nullable    = false
  default     = 60
  validation {
    condition     = var.timeout_s >= 3 && var.timeout_s <= 900
    error_message = "timeout_s ${var.timeout_s}: 3 to 900."
  }
}

variable "reserved_concurrency" {
  description = "At most so many at once, and so many kept for it; -1: neither."
  type        = number
  nullable    = false
  default     = -1
}

variable "environment" {
  description = "Its environment (docs/lambda.md). No secrets: those stand in Secrets Manager."
  type        = map(string)
  nullable    = false
  default     = {}
  validation {
    condition     = !contains(keys(var.environment), "INFLUXDB_TOKEN")
    error_message = "environment: INFLUXDB_TOKEN would stand in the clear in state and console. Name a secret in INFLUXDB_TOKEN_SECRET_NAME."
  }
}

variable "policy_json" {
  description = "What it may do besides writing its log and living in its subnets: a policy document."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "Private subnets; empty: outside of any VPC."
  type        = list(string)
  nullable    = false
  default     = []
}

variable "security_group_ids" {
  description = "Its groups in the VPC."
  type        = list(string)
  nullable    = false
  default     = []
}

variable "dead_letter_arn" {
  description = "Queue for events of asynchronous calls that failed every time; null: they are dropped."
  type        = string
  default     = null
}

variable "log_days" {
  description = "Days its log is kept."
  type        = number
  nullable    = false
  default     = 30
}

variable "kms_key_arn" {
  description = "Key of log and environment; null: AWS's own."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything made here."
  type        = map(string)
  nullable    = false
  default     = {}
}
