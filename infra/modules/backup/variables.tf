variable "name" {
  description = "Prefix of every name, of backups too."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 20 && !startswith(var.name, "final-")
    error_message = "name \"${var.name}\": start with a letter, then lower-case letters, digits and single hyphens, 3 to 20 characters in all, and not final- in front, which final backups have."
  }
}

variable "instance" {
  description = "The instance: id, arn and url of module influxdb, and its organisation."
  type        = object({ id = string, arn = string, url = optional(string), org = optional(string, "ons-energy") })
  nullable    = false
}

variable "schedule" {
  description = "When a backup is made: rate(...) or cron(...)."
  type        = string
  nullable    = false
  default     = "cron(10 6 * * ? *)"
  validation {
    condition     = can(regex("^(rate|cron)\\(.+\\)$", var.schedule))
    error_message = "schedule \"${var.schedule}\": rate(1 day) or cron(10 6 * * ? *)."
  }
}

variable "keep" {
  description = "So many backups are kept."
  type        = number
  nullable    = false
  default     = 14
  validation {
    condition     = var.keep >= 1 && var.keep <= 400
    error_message = "keep ${var.keep}: 1 to 400."
  }
}

variable "retention_days" {
  description = "Older ones are dropped, by the service itself too."
  type        = number
  nullable    = false
  default     = 35
  validation {
    condition     = var.retention_days >= 1 && var.retention_days <= 3650
    error_message = "retention_days ${var.retention_days}: 1 to 3650."
  }
}

variable "final_backup" {
  description = "True: destroy makes a last backup before the instance goes, and fails while it cannot."
  type        = bool
  nullable    = false
  default     = true
}

variable "final_retention_days" {
  description = "Days that the last backup is kept; null: until somebody deletes it."
  type        = number
  default     = null
  validation {
    condition     = var.final_retention_days == null || try(var.final_retention_days >= 1 && var.final_retention_days <= 3650, false)
    error_message = "final_retention_days: 1 to 3650, or null."
  }
}

variable "keep_backups" {
  description = "True: destroy leaves the other backups of this module, too; they go on costing."
  type        = bool
  nullable    = false
  default     = false
}

variable "restore_test" {
  description = "The newest backup is restored into an instance of its own, compared with this one and removed: when, whose token reads the buckets on both sides (a secret's ARN), which buckets, the day that many days before the backup, given up after so many hours. While it lasts it costs what the instance costs. null: never."
  type = object({
    schedule         = optional(string, "cron(30 8 ? * SUN *)")
    token_secret_arn = string
    buckets          = optional(list(string), ["energy_data"])
    days_back        = optional(number, 2)
    hours_max        = optional(number, 6)
  })
  default = null
  validation {
    condition     = var.restore_test == null || length(try(var.restore_test.buckets, [])) > 0
    error_message = "restore_test: buckets is empty: what is to be compared?"
  }
  validation {
    condition     = var.restore_test == null || try(var.restore_test.days_back >= 1 && var.restore_test.hours_max >= 1 && var.restore_test.hours_max <= 168, false)
    error_message = "restore_test: days_back is at least 1, hours_max 1 to 168."
  }
  validation {
    condition     = var.restore_test == null || (length(var.subnet_ids) > 0 && var.instance.url != null)
    error_message = "restore_test: needs subnet_ids from which the instance is reached, and instance.url."
  }
}

variable "subnet_ids" {
  description = "Private subnets from which the instance is reached, with the endpoints timestream-influxdb and secretsmanager."
  type        = list(string)
  nullable    = false
  default     = []
}

variable "security_group_ids" {
  description = "Groups that the instance admits."
  type        = list(string)
  nullable    = false
  default     = []
}

variable "archive_days" {
  description = "Objects of the bucket of archives (`afluxo backup s3://...`) are deleted after so many days."
  type        = number
  nullable    = false
  default     = 90
  validation {
    condition     = var.archive_days > 30
    error_message = "archive_days ${var.archive_days}: more than 30, after which they move to cheaper storage."
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

variable "force_destroy" {
  description = "True: destroy deletes the archives, too."
  type        = bool
  nullable    = false
  default     = false
}

variable "encryption" {
  description = "Key of bucket, log and secret; null: AWS's own."
  type        = object({ kms_key_arn = string })
  default     = null
}

variable "tags" {
  description = "Tags of everything made here."
  type        = map(string)
  nullable    = false
  default     = {}
}
