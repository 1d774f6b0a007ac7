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
  default     = ["us-east-1a"]
  validation {
    condition     = alltrue([for zone in var.availability_zones : startswith(zone, var.region)])
    error_message = "availability_zones: ${join(", ", var.availability_zones)}: name zones of ${var.region}."
  }
}

variable "name" {
  description = "Prefix of every name."
  type        = string
  nullable    = false
  default     = "afluxo"
}

variable "zip" {
  description = "Path of function.zip for arm64 (make lambda)."
  type        = string
  nullable    = false
  default     = "../../../build/lambda/arm64/function.zip"
}

variable "emails" {
  description = "Who hears of alarms."
  type        = set(string)
  nullable    = false
}
