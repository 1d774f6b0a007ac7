variable "name" {
  description = "Prefix of every name."
  type        = string
  nullable    = false
}

variable "emails" {
  description = "Who hears of costs."
  type        = set(string)
  nullable    = false
  validation {
    condition     = length(var.emails) > 0 && length(var.emails) <= 10 && alltrue([for address in var.emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", address))])
    error_message = "emails: one to ten addresses (\"${join("\", \"", var.emails)}\"); a budget that reaches nobody is none."
  }
}

variable "monthly_budget" {
  description = "What the platform may cost a month, in the account's currency."
  type        = number
  nullable    = false
  validation {
    condition     = var.monthly_budget > 0
    error_message = "monthly_budget ${var.monthly_budget}: more than nothing."
  }
}

variable "currency" {
  description = "The account's currency."
  type        = string
  nullable    = false
  default     = "USD"
}

variable "alert_percent" {
  description = "Percent of the budget at which somebody hears of it, spent; and once more when the forecast passes the budget."
  type        = set(number)
  nullable    = false
  default     = [50, 80, 100]
  validation {
    condition     = length(var.alert_percent) >= 1 && length(var.alert_percent) <= 4 && alltrue([for percent in var.alert_percent : percent > 0 && percent <= 1000])
    error_message = "alert_percent: one to four numbers from 1 to 1000 (a budget has five notifications, one is the forecast's)."
  }
}

variable "tag" {
  description = "Tag that everything of the platform carries (default_tags of the provider): costs are counted by it. The payer's account must have activated it as a cost allocation tag."
  type        = object({ key = string, value = string })
  nullable    = false
}

variable "activate_tag" {
  description = "True in the payer's account only: activate the tag for cost allocation. It takes up to a day, and the tag must have been used before."
  type        = bool
  nullable    = false
  default     = false
}

variable "other_tag_keys" {
  description = "Further keys of tags to count costs by, such as afluxo:module. In the payer's account only, as activate_tag."
  type        = set(string)
  nullable    = false
  default     = []
  validation {
    condition     = alltrue([for key in var.other_tag_keys : length(key) >= 1 && length(key) <= 128 && !startswith(key, "aws:")])
    error_message = "other_tag_keys: 1 to 128 characters each, and none of AWS's own (aws:...)."
  }
}

variable "reader_policy" {
  description = "Make a policy with what `afluxo costs` needs, to be attached to who may see costs."
  type        = bool
  nullable    = false
  default     = false
}

variable "anomaly_at_least" {
  description = "An unusual cost is said when it is at least so much; 0: no monitor is made."
  type        = number
  nullable    = false
  default     = 20
  validation {
    condition     = var.anomaly_at_least >= 0
    error_message = "anomaly_at_least ${var.anomaly_at_least}: 0 (no monitor) or more."
  }
}

variable "tags" {
  description = "Tags of everything made here."
  type        = map(string)
  nullable    = false
  default     = {}
}
