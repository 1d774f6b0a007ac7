variable "name" {
  description = "Name of the bucket."
  type        = string
  nullable    = false
  validation {
    condition     = length(var.name) >= 3 && length(var.name) <= 63
    error_message = "The bucket's name \"${var.name}\" must have 3 to 63 characters: give a shorter prefix, or a name of your own."
  }
}

variable "force_destroy" {
  description = "True: destroy deletes the objects too, every version."
  type        = bool
  nullable    = false
  default     = false
}

variable "kms_key" {
  description = "Key of the objects; null: S3's own."
  type        = object({ arn = string })
  default     = null
}

variable "tags" {
  description = "Tags of the bucket."
  type        = map(string)
  nullable    = false
  default     = {}
}
