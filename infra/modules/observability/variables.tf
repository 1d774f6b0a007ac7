variable "name" {
  description = "Prefix of every name."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 24
    error_message = "name \"${var.name}\": start with a letter, then lower-case letters, digits and single hyphens, 3 to 24 characters in all."
  }
}

variable "emails" {
  description = "Addresses that alarms go to; each must confirm once."
  type        = set(string)
  nullable    = false
  validation {
    condition     = length(var.emails) > 0 && alltrue([for address in var.emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "emails: give at least one address (\"${join("\", \"", var.emails)}\"); alarms that reach nobody are none."
  }
}

# --- what is watched: names, as the other modules put them out; null or empty: there is none, and no alarm on it -----------------------

variable "instance_name" {
  description = "Name of the InfluxDB instance."
  type        = string
  nullable    = false
}

variable "service_namespace" {
  description = "Namespace of the service's own metrics. `afluxo doctor --aws` says which one has data."
  type        = string
  nullable    = false
  default     = "AWS/Timestream/InfluxDB"
}

variable "service_dimension" {
  description = "Dimension of the service's own metrics."
  type        = string
  nullable    = false
  default     = "DbInstanceName"
}

variable "namespace" {
  description = "Namespace of afluxo's metrics (METRICS_NAMESPACE of the functions)."
  type        = string
  nullable    = false
  default     = "Afluxo"
}

variable "storage_tier" {
  description = "T1, T2 or T3: how many operations a second are many."
  type        = string
  nullable    = false
  default     = "T1"
  validation {
    condition     = contains(["T1", "T2", "T3"], var.storage_tier)
    error_message = "storage_tier \"${var.storage_tier}\": T1, T2 or T3."
  }
}

variable "loader" {
  description = "The loader: its name, time-out in seconds, and log group."
  type        = object({ name = string, timeout_s = number, log_group = string })
  default     = null
}

variable "queues" {
  description = "Names of the queues: arrivals, dead_letters, failures (output of module ingest)."
  type        = object({ arrivals = string, dead_letters = string, failures = string })
  default     = null
}

variable "api" {
  description = "The API: its name, stage, query function and that function's log group."
  type        = object({ name = string, stage = string, function = string, log_group = string })
  default     = null
}

variable "scaler" {
  description = "The scaler: its name and log group."
  type        = object({ name = string, log_group = string })
  default     = null
}

variable "backup" {
  description = "The function of the backups: its name and log group; without restore tests, raise limits.restore_test_hours."
  type        = object({ name = string, log_group = string })
  default     = null
}

variable "bucket" {
  description = "InfluxDB's bucket whose series are counted."
  type        = string
  nullable    = false
  default     = "energy_data"
}

# --- the monitor -----------------------------------------------------------------------------------------------------------------

variable "monitor" {
  description = "The function that checks health every minute: how it reaches the instance."
  type = object({
    zip                = string
    architecture       = optional(string, "arm64")
    influxdb_url       = string
    influxdb_org       = optional(string, "ons")
    token_secret_arn   = string
    failures_queue_url = optional(string)
    failures_queue_arn = optional(string)
    subnet_ids         = list(string)
    security_group_ids = list(string)
  })
  nullable = false
}

# --- limits ------------------------------------------------------------------------------------------------------------------------

variable "limits" {
  description = "When an alarm rings. Every one has a default."
  type = object({
    cpu_percent        = optional(number, 80)
    memory_percent     = optional(number, 85)
    disk_percent       = optional(number, 75)
    disk_days          = optional(number, 7)
    series             = optional(number, 1000000)
    write_ms           = optional(number, 1000)
    query_ms           = optional(number, 2000)
    oldest_message_s   = optional(number, 900)
    tls_days           = optional(number, 30)
    token_days         = optional(number, 14)
    api_errors_percent = optional(number, 1)
    backup_hours       = optional(number, 30)
    restore_test_hours = optional(number, 216)
  })
  nullable = false
  default  = {}
  validation {
    condition     = alltrue([for name in ["cpu_percent", "memory_percent", "disk_percent"] : var.limits[name] > 0 && var.limits[name] < 100])
    error_message = "limits: cpu_percent, memory_percent and disk_percent are between 1 and 99: at 100 nothing can be done any more."
  }
}

variable "runbooks" {
  description = "Where the runbooks are to be read: each alarm's is this with its name and .md."
  type        = string
  nullable    = false
  default     = "docs/runbooks/"
}

variable "encryption" {
  description = "Key of topics and logs; its policy must let cloudwatch.amazonaws.com use it. Null: topics are not encrypted, since alarms cannot use AWS's own key."
  type        = object({ kms_key_arn = string })
  default     = null
}

variable "tags" {
  description = "Tags of everything made here."
  type        = map(string)
  nullable    = false
  default     = {}
}
