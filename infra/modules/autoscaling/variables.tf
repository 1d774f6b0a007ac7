variable "name" {
  description = "Prefix of every name."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 24
    error_message = "name \"${var.name}\": start with a letter, then lower-case letters, digits and single hyphens, 3 to 24 characters in all."
  }
}

variable "mode" {
  description = "advise: decisions are said and written down; act: they are carried out."
  type        = string
  nullable    = false
  default     = "advise"
  validation {
    condition     = contains(["advise", "act"], var.mode)
    error_message = "mode \"${var.mode}\": advise or act."
  }
}

variable "instance" {
  description = "The instance: its id, ARN and class now (outputs of module influxdb and its instance_class), and the parameter of Systems Manager that holds its size (null with mode advise)."
  type        = object({ id = string, arn = string, class = string, size_parameter = optional(string), size_parameter_arn = optional(string) })
  nullable    = false
  validation {
    condition     = var.mode == "advise" || (var.instance.size_parameter != null && var.instance.size_parameter_arn != null)
    error_message = "instance: mode \"act\" needs size_parameter. Set scaler_owns_size = true in module influxdb, or Terraform would undo what the scaler does."
  }
}

variable "policy" {
  description = "Limits (docs/infra/scaling.md); what is left out has a default."
  type = object({
    class_min       = optional(string, "db.influx.medium")
    class_max       = optional(string, "db.influx.4xlarge")
    tier_max        = optional(string, "T2")
    storage_max_gib = optional(number, 2000)
    cpu_up          = optional(number, 80)
    cpu_down        = optional(number, 25)
    memory_up       = optional(number, 85)
    memory_down     = optional(number, 40)
    disk_up         = optional(number, 75)
    operations_up   = optional(number, 70)
    write_ms_up     = optional(number, 1000)
    cooldown_up_s   = optional(number, 1800)
    cooldown_down_s = optional(number, 86400)
    window          = optional(string)
    timezone        = optional(string, "UTC")
    price_medium    = optional(number, 0)
    budget_month    = optional(number, 0)
  })
  nullable = false
  default  = {}
  validation {
    condition     = alltrue([for class in [var.policy.class_min, var.policy.class_max, var.instance.class] : contains(local.classes, class)])
    error_message = "policy: class_min (${var.policy.class_min}), class_max (${var.policy.class_max}) and the instance's class (${var.instance.class}) are of ${join(", ", local.classes)}."
  }
  validation {
    condition     = try(index(local.classes, var.policy.class_min) <= index(local.classes, var.policy.class_max), true)
    error_message = "policy: the floor class_min (${var.policy.class_min}) is above the ceiling class_max (${var.policy.class_max})."
  }
  validation {
    condition     = try(index(local.classes, var.instance.class) <= index(local.classes, var.policy.class_max), true)
    error_message = "policy: the ceiling class_max (${var.policy.class_max}) is below the instance's class now (${var.instance.class})."
  }
  validation {
    condition     = var.policy.cpu_down < var.policy.cpu_up && var.policy.memory_down < var.policy.memory_up
    error_message = "policy: cpu_down (${var.policy.cpu_down}) and memory_down (${var.policy.memory_down}) must lie below cpu_up (${var.policy.cpu_up}) and memory_up (${var.policy.memory_up}), or the size swings."
  }
  validation {
    condition     = var.policy.budget_month == 0 || var.policy.price_medium > 0
    error_message = "policy: budget_month needs price_medium, the price of an hour of db.influx.medium in the same currency (the price list of your region)."
  }
  validation {
    condition     = var.policy.budget_month >= 0
    error_message = "policy: budget_month ${var.policy.budget_month} is negative; 0 means none."
  }
  validation {
    condition     = var.policy.window == null || can(regex("^(Mon|Tue|Wed|Thu|Fri|Sat|Sun):[0-2][0-9]:[0-5][0-9]-(Mon|Tue|Wed|Thu|Fri|Sat|Sun):[0-2][0-9]:[0-5][0-9]$", var.policy.window))
    error_message = "policy: window is written Sun:03:00-Sun:05:00. Without one nothing is ever made smaller."
  }
  validation {
    condition     = var.policy.cooldown_up_s >= 900
    error_message = "policy: cooldown_up_s ${var.policy.cooldown_up_s}: at least 900, the quarter of an hour that is measured; a change itself takes longer."
  }
  validation {
    condition     = var.policy.storage_max_gib >= 20 && var.policy.storage_max_gib <= 15360
    error_message = "policy: storage_max_gib ${var.policy.storage_max_gib}: 20 to 15360."
  }
}

variable "alarms" {
  description = "Names of alarms that start a decision at once, besides the quarter of an hour (module observability makes them)."
  type        = set(string)
  nullable    = false
  default     = []
}

variable "monitor" {
  description = "Name of the monitor, whose write latency counts; null: it does not."
  type        = string
  default     = null
}

variable "notify_topic_arn" {
  description = "Topic that hears of decisions."
  type        = string
  default     = null
}

variable "service_namespace" {
  description = "Namespace of the service's own metrics."
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

variable "audit_days" {
  description = "Days that decisions are kept."
  type        = number
  nullable    = false
  default     = 730
  validation {
    condition     = var.audit_days >= 30
    error_message = "audit_days ${var.audit_days}: at least 30; who asks why the bill grew asks a month later."
  }
}

variable "force_destroy" {
  description = "True: destroy deletes what was written down, too."
  type        = bool
  nullable    = false
  default     = false
}

variable "encryption" {
  description = "Key of bucket and log; null: AWS's own."
  type        = object({ kms_key_arn = string })
  default     = null
}

variable "tags" {
  description = "Tags of everything made here."
  type        = map(string)
  nullable    = false
  default     = {}
}
