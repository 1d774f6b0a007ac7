variable "name" {
  description = "Prefix of every name: lower-case letters, digits and single hyphens, 3 to 24 characters."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-z][a-z0-9]*(-[a-z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 24
    error_message = "name \"${var.name}\": start with a letter, then lower-case letters, digits and single hyphens, 3 to 24 characters in all (IAM and S3 names are made from it)."
  }
}

variable "cidr" {
  description = "Private addresses of the VPC, /16 to /24."
  type        = string
  nullable    = false
  default     = "10.40.0.0/20"
  validation {
    condition     = can(cidrnetmask(var.cidr)) && try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 24, false)
    error_message = "cidr \"${var.cidr}\": give an IPv4 network with a prefix from /16 to /24, such as 10.40.0.0/20."
  }
  validation {
    condition     = can(regex("^(10\\.|192\\.168\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.)", var.cidr))
    error_message = "cidr \"${var.cidr}\" is not private: take it from 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16."
  }
}

variable "availability_zones" {
  description = "Zones to put a private subnet into, one each. A Multi-AZ instance needs two."
  type        = list(string)
  nullable    = false
  validation {
    condition     = length(var.availability_zones) >= 1 && length(var.availability_zones) <= 3
    error_message = "availability_zones: name one to three zones; the service takes at most three subnets."
  }
  validation {
    condition     = length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "availability_zones: ${join(", ", var.availability_zones)} names a zone twice."
  }
}

variable "interface_endpoints" {
  description = "AWS services reached without leaving AWS's network, by the last part of their endpoint's name. Each costs an hourly rate a zone."
  type        = set(string)
  nullable    = false
  default     = ["sqs", "secretsmanager", "monitoring", "logs", "kms", "sts", "sns", "bedrock-runtime", "timestream-influxdb"]
}

variable "flow_log_days" {
  description = "Days the log of the network's connections is kept; 0: none is written."
  type        = number
  nullable    = false
  default     = 30
  validation {
    condition     = contains([0, 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731], var.flow_log_days)
    error_message = "flow_log_days ${var.flow_log_days}: CloudWatch Logs keeps for 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545 or 731 days; 0 writes no log."
  }
}

variable "kms_key_arn" {
  description = "Key that encrypts the flow log; null: CloudWatch's own."
  type        = string
  default     = null
}

variable "tags" {
  description = "Tags of everything made here."
  type        = map(string)
  nullable    = false
  default     = {}
}
