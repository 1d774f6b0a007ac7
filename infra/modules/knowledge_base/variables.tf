variable "name" {
  description = "Prefix of every name: lower-case letters, digits and single hyphens, 3 to 24 characters."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 24
    error_message = "name \"${var.name}\": start with a letter, then lower-case letters, digits and single hyphens, 3 to 24 characters in all."
  }
}

variable "documents_bucket" {
  description = "Bucket of this account that holds the documents; null: one is made."
  type        = string
  default     = null
  validation {
    condition     = var.documents_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.documents_bucket))
    error_message = "documents_bucket: a bucket's name, 3 to 63 lower-case letters, digits, dots and hyphens (no s3://, no ARN)."
  }
}

variable "prefix" {
  description = "Only documents below it are read; empty: all."
  type        = string
  nullable    = false
  default     = ""
  validation {
    condition     = !startswith(var.prefix, "/") && length(var.prefix) <= 300
    error_message = "prefix \"${var.prefix}\": at most 300 characters, without a slash first (keys have none)."
  }
}

variable "model" {
  description = "Bedrock's model that makes vectors, by its id; the account must have access to it."
  type        = string
  nullable    = false
  default     = "amazon.titan-embed-text-v2:0"
  validation {
    condition     = can(regex("^[a-z0-9-]+\\.[a-z0-9.:-]+$", var.model))
    error_message = "model \"${var.model}\": the id of a foundation model such as amazon.titan-embed-text-v2:0 (no ARN, no inference profile)."
  }
}

variable "dimension" {
  description = "Numbers of a vector, as the model makes them: Titan v2 256, 512 or 1024. Another number means another index."
  type        = number
  nullable    = false
  default     = 1024
  validation {
    condition     = var.dimension >= 1 && var.dimension <= 4096 && floor(var.dimension) == var.dimension
    error_message = "dimension ${var.dimension}: a whole number from 1 to 4096."
  }
  validation {
    condition     = !startswith(var.model, "amazon.titan-embed-text-v2") || contains([256, 512, 1024], var.dimension)
    error_message = "dimension ${var.dimension}: amazon.titan-embed-text-v2 makes 256, 512 or 1024 numbers."
  }
}

variable "distance" {
  description = "cosine or euclidean."
  type        = string
  nullable    = false
  default     = "cosine"
  validation {
    condition     = contains(["cosine", "euclidean"], var.distance)
    error_message = "distance \"${var.distance}\": cosine or euclidean."
  }
}

variable "chunk_tokens" {
  description = "Tokens of a piece that a document is cut into."
  type        = number
  nullable    = false
  default     = 300
  validation {
    condition     = var.chunk_tokens >= 20 && var.chunk_tokens <= 8192
    error_message = "chunk_tokens ${var.chunk_tokens}: 20 to 8192 (what Titan v2 reads at once)."
  }
}

variable "chunk_overlap_percent" {
  description = "How much of a piece the next one repeats."
  type        = number
  nullable    = false
  default     = 20
  validation {
    condition     = var.chunk_overlap_percent >= 1 && var.chunk_overlap_percent <= 99
    error_message = "chunk_overlap_percent ${var.chunk_overlap_percent}: 1 to 99."
  }
}

variable "force_destroy" {
  description = "True: destroy deletes documents and vectors too. Otherwise a bucket with documents, or with vectors, stops a destroy."
  type        = bool
  nullable    = false
  default     = false
}

variable "encryption" {
  description = "Key of documents and vectors; its policy must let indexing.s3vectors.amazonaws.com decrypt. Null: S3's own."
  type        = object({ kms_key_arn = string })
  default     = null
  validation {
    condition     = var.encryption == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/", var.encryption.kms_key_arn))
    error_message = "encryption: kms_key_arn is the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/...), not an alias."
  }
}

variable "tags" {
  description = "Tags of everything made here."
  type        = map(string)
  nullable    = false
  default     = {}
}
