variable "name" {
  description = "Prefix of every name: lower-case letters, digits and single hyphens, 3 to 24 characters."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 24
    error_message = "name \"${var.name}\": start with a letter, then lower-case letters, digits and single hyphens, 3 to 24 characters in all."
  }
}

variable "stage" {
  description = "Name of the stage: the first part of every path."
  type        = string
  nullable    = false
  default     = "v1"
  validation {
    condition     = can(regex("^[a-zA-Z0-9_]{1,128}$", var.stage))
    error_message = "stage \"${var.stage}\": letters, digits and underscores."
  }
}

variable "influxdb_url" {
  description = "https://host:port of the target (output url of module influxdb)."
  type        = string
  nullable    = false
  validation {
    condition     = startswith(var.influxdb_url, "https://")
    error_message = "influxdb_url \"${var.influxdb_url}\": https://host:port. Answers and token never travel in the clear."
  }
}

variable "influxdb_bucket" {
  description = "InfluxDB's bucket, where a request names none."
  type        = string
  nullable    = false
  default     = "energy_data"
}

variable "influxdb_org" {
  description = "InfluxDB's organisation."
  type        = string
  nullable    = false
  default     = "ons"
}

variable "token_secret_arn" {
  description = "Secret with a token that may read, and nothing else."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^arn:[^:]+:secretsmanager:", var.token_secret_arn))
    error_message = "token_secret_arn \"${var.token_secret_arn}\" is no secret's ARN (arn:aws:secretsmanager:...)."
  }
}

variable "namespace" {
  description = "Namespace of afluxo's metrics; the same in every module."
  type        = string
  nullable    = false
  default     = "Afluxo"
}

variable "zip" {
  description = "Path of function.zip (make lambda)."
  type        = string
  nullable    = false
}

variable "architecture" {
  description = "arm64 or x86_64."
  type        = string
  nullable    = false
  default     = "arm64"
}

variable "memory_mb" {
  description = "Memory of the query function."
  type        = number
  nullable    = false
  default     = 256
}

variable "timeout_s" {
  description = "Time-out of a query. API Gateway itself ends at 29 seconds unless the account's quota was raised."
  type        = number
  nullable    = false
  default     = 28
  validation {
    condition     = var.timeout_s >= 3 && var.timeout_s <= 29
    error_message = "timeout_s ${var.timeout_s}: 3 to 29; API Gateway has answered with a time-out of its own by then."
  }
}

variable "concurrency" {
  description = "Queries at once, at most; -1: as many as the account has."
  type        = number
  nullable    = false
  default     = 50
}

variable "callers" {
  description = "Who may call: ARNs of IAM roles or users of this account. The resource policy refuses everybody else, whatever their own policies say."
  type        = set(string)
  nullable    = false
  validation {
    condition     = length(var.callers) > 0 && alltrue([for arn in var.callers : can(regex("^arn:[^:]+:iam::[0-9]{12}:(role|user)/", arn))])
    error_message = "callers: ${join(", ", var.callers)}: give ARNs of IAM roles or users, at least one (arn:aws:iam::ACCOUNT:role/NAME); a wildcard would open the API to the account."
  }
}

variable "rate" {
  description = "Requests a second of all callers together."
  type        = number
  nullable    = false
  default     = 50
  validation {
    condition     = var.rate > 0 && var.rate <= 10000
    error_message = "rate ${var.rate}: 1 to 10000 (the account's own limit)."
  }
}

variable "rate_per_address" {
  description = "Requests of one address in five minutes before WAF blocks it."
  type        = number
  nullable    = false
  default     = 2000
  validation {
    condition     = var.rate_per_address >= 10
    error_message = "rate_per_address ${var.rate_per_address}: WAF's smallest limit is 10."
  }
}

variable "account_log_role" {
  description = "True: also set the role with which API Gateway writes logs, which an account has once for each region. Leave it false where it is set already."
  type        = bool
  nullable    = false
  default     = false
}

variable "subnet_ids" {
  description = "Private subnets of the query function."
  type        = list(string)
  nullable    = false
}

variable "security_group_ids" {
  description = "Groups of the query function: one of them must be admitted by the database."
  type        = list(string)
  nullable    = false
}

variable "encryption" {
  description = "Key of the logs; null: CloudWatch's own."
  type        = object({ kms_key_arn = string })
  default     = null
}

variable "log_days" {
  description = "Days the logs are kept."
  type        = number
  nullable    = false
  default     = 30
}

variable "tags" {
  description = "Tags of everything made here."
  type        = map(string)
  nullable    = false
  default     = {}
}
