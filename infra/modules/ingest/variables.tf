variable "name" {
  description = "Prefix of every name: lower-case letters, digits and single hyphens, 3 to 24 characters."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 24
    error_message = "name \"${var.name}\": start with a letter, then lower-case letters, digits and single hyphens, 3 to 24 characters in all (bucket and role names are made from it)."
  }
}

variable "bucket_name" {
  description = "Bucket that the Parquet files arrive in; null: NAME-data-ACCOUNT-REGION."
  type        = string
  default     = null
  validation {
    condition     = var.bucket_name == null || can(regex("^[a-z0-9][a-z0-9-]{1,61}[a-z0-9]$", var.bucket_name))
    error_message = "bucket_name: 3 to 63 lower-case letters, digits and hyphens, without dots (a dot breaks TLS of virtual-hosted addresses)."
  }
}

variable "force_destroy" {
  description = "True: destroy deletes the objects too, every version. Otherwise a bucket with objects stops a destroy."
  type        = bool
  nullable    = false
  default     = false
}

variable "prefix" {
  description = "Only objects below it are loaded."
  type        = string
  nullable    = false
  default     = "dataset="
}

variable "suffixes" {
  description = "Only objects whose keys end so are loaded."
  type        = set(string)
  nullable    = false
  default     = [".parquet"]
  validation {
    condition     = length(var.suffixes) > 0
    error_message = "suffixes: name at least one, such as \".parquet\"."
  }
}

variable "influxdb_url" {
  description = "https://host:port of the target (output url of module influxdb)."
  type        = string
  nullable    = false
  validation {
    condition     = startswith(var.influxdb_url, "https://")
    error_message = "influxdb_url \"${var.influxdb_url}\": https://host:port. Points and token never travel in the clear."
  }
}

variable "influxdb_bucket" {
  description = "InfluxDB's bucket."
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
  description = "Secret with the token the loader writes with."
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
  description = "Memory of the loader."
  type        = number
  nullable    = false
  default     = 512
}

variable "timeout_s" {
  description = "Time-out of the loader."
  type        = number
  nullable    = false
  default     = 120
}

variable "visibility_s" {
  description = "How long a message is hidden while it is worked on: at least six times timeout_s, as AWS advises."
  type        = number
  nullable    = false
  default     = 720
  validation {
    condition     = var.visibility_s >= 6 * var.timeout_s && var.visibility_s <= 43200
    error_message = "visibility_s ${var.visibility_s}: at least six times timeout_s (${6 * var.timeout_s}) and at most 43200; a shorter one gives an object to two loaders at once."
  }
}

variable "batch_size" {
  description = "Messages of one invocation."
  type        = number
  nullable    = false
  default     = 10
  validation {
    condition     = var.batch_size >= 1 && var.batch_size <= 10
    error_message = "batch_size ${var.batch_size}: 1 to 10."
  }
}

variable "concurrency" {
  description = "Loaders at once, at most: what the instance can take in."
  type        = number
  nullable    = false
  default     = 5
  validation {
    condition     = var.concurrency >= 2 && var.concurrency <= 1000
    error_message = "concurrency ${var.concurrency}: 2 to 1000 (Lambda's limits of an event source)."
  }
}

variable "attempts" {
  description = "How often a message is tried before it goes to the dead letters."
  type        = number
  nullable    = false
  default     = 5
  validation {
    condition     = var.attempts >= 2 && var.attempts <= 1000
    error_message = "attempts ${var.attempts}: 2 to 1000. With one, a moment's fault is a dead letter."
  }
}

variable "archive_after_days" {
  description = "Days until an object moves to a cheaper class; 0: never."
  type        = number
  nullable    = false
  default     = 90
}

variable "subnet_ids" {
  description = "Private subnets of the loader."
  type        = list(string)
  nullable    = false
}

variable "security_group_ids" {
  description = "Groups of the loader: one of them must be admitted by the database."
  type        = list(string)
  nullable    = false
}

variable "encryption" {
  description = "Key of bucket, queues and logs; null: keys of S3's and SQS's own."
  type        = object({ kms_key_arn = string })
  default     = null
}

variable "log_days" {
  description = "Days the loader's log is kept."
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
