variable "name" {
  description = "Prefix of every name, of the parameter group's and the tokens' too."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 24
    error_message = "name \"${var.name}\": start with a letter, then lower-case letters, digits and single hyphens, 3 to 24 characters in all."
  }
}

# --- before the instance -----------------------------------------------------------------------------------------------------------

locals {
  words = { logLevel = ["debug", "info", "error"], tracingType = ["log", "jaeger", "disabled"] }
  flags = ["fluxLogEnabled", "metricsDisabled", "noTasks", "pprofDisabled", "sessionRenewDisabled", "storageNoValidateFieldSize", "uiDisabled"]
  durations = ["httpIdleTimeout", "httpReadHeaderTimeout", "httpReadTimeout", "httpWriteTimeout", "storageCacheSnapshotWriteColdDuration",
  "storageCompactFullWriteColdDuration", "storageRetentionCheckInterval", "storageWalMaxWriteDelay"]
  numbers = merge(
    { for name in ["queryConcurrency", "queryQueueSize", "storageWalMaxConcurrentWrites"] : name => [0, 256] },
    { for name in ["storageMaxConcurrentCompactions", "storageSeriesFileMaxConcurrentSnapshotCompactions"] : name => [0, 64] },
    { for name in ["influxqlMaxSelectBuckets", "influxqlMaxSelectPoint", "influxqlMaxSelectSeries", "queryInitialMemoryBytes", "queryMaxMemoryBytes",
      "queryMemoryBytes", "storageCacheMaxMemorySize", "storageCacheSnapshotMemorySize", "storageCompactThroughputBurst", "storageMaxIndexLogFileSize",
    "storageSeriesIdSetCacheSize"] : name => [0, 1000000000000] },
  { sessionLength = [1, 2880] })
  parameters = concat(keys(local.words), local.flags, local.durations, keys(local.numbers))
}

variable "parameter_group" {
  description = "Parameters of InfluxDB (docs/infra/provision.md lists them); null: the service's default group. parameters = { queryConcurrency = 10, storageRetentionCheckInterval = { durationType = \"minutes\", value = 30 } }"
  type        = object({ parameters = any, description = optional(string) })
  default     = null
  validation {
    condition     = var.parameter_group == null || try(length(keys(var.parameter_group.parameters)) > 0, false)
    error_message = "parameter_group: parameters names none. Leave parameter_group out to have the service's defaults."
  }
  validation {
    condition     = alltrue([for name in try(keys(var.parameter_group.parameters), []) : contains(local.parameters, name)])
    error_message = "parameter_group: the service has no ${join(", ", [for name in try(keys(var.parameter_group.parameters), []) : name if !contains(local.parameters, name)])}. Names are written as in queryConcurrency; there are ${join(", ", local.parameters)}."
  }
  validation {
    condition = alltrue([for name, range in local.numbers : try(var.parameter_group.parameters[name] >= range[0] && var.parameter_group.parameters[name] <= range[1]
    && floor(var.parameter_group.parameters[name]) == var.parameter_group.parameters[name], !contains(try(keys(var.parameter_group.parameters), []), name))])
    error_message = "parameter_group: ${join("; ", [for name, range in local.numbers : "${name} is a whole number from ${range[0]} to ${range[1]}" if contains(try(keys(var.parameter_group.parameters), []), name)])}."
  }
  validation {
    condition     = alltrue([for name, words in local.words : contains(words, try(var.parameter_group.parameters[name], words[0]))])
    error_message = "parameter_group: ${join("; ", [for name, words in local.words : "${name} is one of ${join(", ", words)}" if contains(try(keys(var.parameter_group.parameters), []), name)])}."
  }
}

# --- in the instance ---------------------------------------------------------------------------------------------------------------

variable "instance" {
  description = "The instance: url and admin_secret_arn (outputs of module influxdb) and its organisation; with id and arn the function asks the service for its state, for which its subnets need the endpoint timestream-influxdb. null: nothing is done to any instance."
  type        = object({ url = string, org = optional(string, "ons"), admin_secret_arn = string, id = optional(string), arn = optional(string) })
  default     = null
  validation {
    condition     = var.instance == null || try(startswith(var.instance.url, "https://"), true)
    error_message = "instance: url begins with https://, since passwords go there."
  }
  validation {
    condition     = var.instance == null || try((var.instance.id == null) == (var.instance.arn == null), true)
    error_message = "instance: name both id and arn, or neither."
  }
}

variable "buckets" {
  description = "Buckets that are made where they are missing (seconds; 0: kept for ever, and the shards InfluxDB's own). One that is there is left as it is, and none is ever deleted."
  type        = list(object({ name = string, retention_s = optional(number, 0), shard_group_s = optional(number, 0) }))
  nullable    = false
  default     = [{ name = "energy_data" }, { name = "afluxo_monitor", retention_s = 2592000 }]
  validation {
    condition     = alltrue([for bucket in var.buckets : !startswith(bucket.name, "_") && length(bucket.name) > 0])
    error_message = "buckets: ${join(", ", [for bucket in var.buckets : "\"${bucket.name}\"" if startswith(bucket.name, "_") || bucket.name == ""])}: a name begins with no underscore, those are InfluxDB's own."
  }
  validation {
    condition     = alltrue([for bucket in var.buckets : bucket.retention_s == 0 || bucket.retention_s >= 3600])
    error_message = "buckets: retention_s is 0 (for ever) or at least 3600, an hour."
  }
  validation {
    condition     = length(distinct([for bucket in var.buckets : bucket.name])) == length(var.buckets)
    error_message = "buckets: ${join(", ", [for bucket in var.buckets : bucket.name])} names one twice."
  }
}

variable "tokens" {
  description = "A token by a name of yours: buckets that it reads and writes, and days until it is to be replaced (InfluxDB itself ends none). operator = true may everything: for backups and migrations of a whole instance."
  type        = map(object({ read = optional(list(string), []), write = optional(list(string), []), operator = optional(bool, false), valid_days = optional(number, 365) }))
  nullable    = false
  default = {
    loader  = { write = ["energy_data"] }
    monitor = { read = ["afluxo_monitor"], write = ["afluxo_monitor"] }
    query   = { read = ["energy_data"] }
  }
  validation {
    condition     = alltrue([for name, token in var.tokens : token.operator ? length(token.read) + length(token.write) == 0 : length(token.read) + length(token.write) > 0])
    error_message = "tokens: ${join(", ", [for name, token in var.tokens : name if token.operator == (length(token.read) + length(token.write) > 0)])}: name buckets to read or write, or operator = true and none."
  }
  validation {
    condition     = alltrue([for name in keys(var.tokens) : can(regex("^[a-z][a-z0-9-]{0,39}$", name))])
    error_message = "tokens: ${join(", ", keys(var.tokens))}: a name is 1 to 40 lower-case letters, digits and hyphens."
  }
  validation {
    condition     = alltrue([for token in values(var.tokens) : token.valid_days >= 1 && token.valid_days <= 3650])
    error_message = "tokens: valid_days is 1 to 3650."
  }
}

variable "rotation_days" {
  description = "New password and new tokens every so many days; null: only when Terraform asks. Whoever holds a token asks its secret again when it is refused, as afluxo's functions do."
  type        = number
  default     = null
  validation {
    condition     = var.rotation_days == null || try(var.rotation_days >= 1 && floor(var.rotation_days) == var.rotation_days && alltrue([for token in values(var.tokens) : token.valid_days > var.rotation_days]), false)
    error_message = "rotation_days ${coalesce(var.rotation_days, 0)}: a whole number of days, fewer than any token's valid_days."
  }
}

variable "recovery_days" {
  description = "Days that secrets can be recovered after a destroy: 7 to 30, and their names are taken as long; 0: none."
  type        = number
  nullable    = false
  default     = 30
  validation {
    condition     = var.recovery_days == 0 || (var.recovery_days >= 7 && var.recovery_days <= 30)
    error_message = "recovery_days ${var.recovery_days}: 0, or 7 to 30."
  }
}

# --- the function ------------------------------------------------------------------------------------------------------------------

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

variable "subnet_ids" {
  description = "Private subnets from where the instance and the endpoints are reached: secretsmanager, with a parameter group or an instance's id timestream-influxdb too."
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

variable "encryption" {
  description = "Key of secrets and log; null: AWS's own."
  type        = object({ kms_key_arn = string })
  default     = null
}

variable "tags" {
  description = "Tags of everything made here."
  type        = map(string)
  nullable    = false
  default     = {}
}
