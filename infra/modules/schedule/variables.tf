variable "name" {
  description = "Name of the schedule; its role is called the same with \"-schedule\" behind it."
  type        = string
  nullable    = false
}

variable "description" {
  description = "What it is for."
  type        = string
  nullable    = false
}

variable "expression" {
  description = "When: rate(...) or cron(...)."
  type        = string
  nullable    = false
}

variable "function_arn" {
  description = "The function that it starts."
  type        = string
  nullable    = false
}

variable "input" {
  description = "The event, JSON; null: what the scheduler sends by itself."
  type        = string
  default     = null
}

variable "max_age_s" {
  description = "A start that could not be made is given up after so long: the next one comes anyway."
  type        = number
  nullable    = false
  default     = 60
}

variable "tags" {
  description = "Tags of the role."
  type        = map(string)
  nullable    = false
  default     = {}
}
