variable "name" {
  description = "Name of the instance: 3 to 40 letters and digits, single hyphens inside, a letter first."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9]*(-[a-zA-Z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 40
    error_message = "name \"${var.name}\": 3 to 40 letters and digits with single hyphens inside, a letter first (no underscores: the service refuses them)."
  }
}

# --- what is inside ------------------------------------------------------------------------------------------------------------

variable "organization" {
  description = "InfluxDB's organisation."
  type        = string
  nullable    = false
  default     = "ons"
  validation {
    condition     = length(var.organization) >= 1 && length(var.organization) <= 64
    error_message = "organization \"${var.organization}\": 1 to 64 characters."
  }
}

variable "bucket" {
  description = "First bucket."
  type        = string
  nullable    = false
  default     = "energy_data"
  validation {
    condition     = length(var.bucket) >= 2 && length(var.bucket) <= 64 && !startswith(var.bucket, "_") && !strcontains(var.bucket, "\"")
    error_message = "bucket \"${var.bucket}\": 2 to 64 characters, no underscore first (those are InfluxDB's own) and no quotation mark."
  }
}

variable "username" {
  description = "First user, an administrator."
  type        = string
  nullable    = false
  default     = "admin"
  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9]*(-[a-zA-Z0-9]+)*$", var.username))
    error_message = "username \"${var.username}\": letters and digits with single hyphens inside, a letter first."
  }
}

variable "password" {
  description = "First password; null: one is made up. It stands in Terraform's state whoever made it, so the provisioning step replaces it at once (docs/infra/README.md)."
  type        = string
  default     = null
  sensitive   = true
  validation {
    condition     = var.password == null || can(regex("^[a-zA-Z0-9]{8,64}$", var.password))
    error_message = "password: 8 to 64 letters and digits, nothing else (the service's rule). Leave it out to have one made up."
  }
}

# --- size ------------------------------------------------------------------------------------------------------------------------

variable "instance_class" {
  description = "Class: db.influx.medium (1 vCPU, 8 GiB) to db.influx.24xlarge (96, 768). Where a scaler owns the size: the first one."
  type        = string
  nullable    = false
  default     = "db.influx.large"
  validation {
    condition     = can(regex("^db\\.influx\\.(medium|large|xlarge|2xlarge|4xlarge|8xlarge|12xlarge|16xlarge|24xlarge)$", var.instance_class))
    error_message = "instance_class \"${var.instance_class}\": one of db.influx.medium, large, xlarge, 2xlarge, 4xlarge, 8xlarge, 12xlarge, 16xlarge, 24xlarge."
  }
}

variable "storage_tier" {
  description = "T1 (3,000 operations a second), T2 (12,000) or T3 (16,000)."
  type        = string
  nullable    = false
  default     = "T1"
  validation {
    condition     = contains(["T1", "T2", "T3"], var.storage_tier)
    error_message = "storage_tier \"${var.storage_tier}\": T1, T2 or T3."
  }
}

variable "storage_gib" {
  description = "Storage in GiB, 20 to 15,360 (what the API takes; the provider would let 16,384 pass); T2 and T3 begin at 400. It can grow, never shrink."
  type        = number
  nullable    = false
  default     = 100
  validation {
    condition     = var.storage_gib >= 20 && var.storage_gib <= 15360 && floor(var.storage_gib) == var.storage_gib
    error_message = "storage_gib ${var.storage_gib}: a whole number from 20 to 15360."
  }
  validation {
    condition     = var.storage_tier == "T1" || var.storage_gib >= 400
    error_message = "storage_gib ${var.storage_gib}: ${var.storage_tier} begins at 400 GiB. Take 400 or more, or storage_tier = \"T1\"."
  }
}

variable "scaler_owns_size" {
  description = "True: class, tier and storage above are the first ones only; afterwards the scaler (module autoscaling) writes them to a parameter of Systems Manager, and Terraform follows."
  type        = bool
  nullable    = false
  default     = false
}

# --- network ------------------------------------------------------------------------------------------------------------------

variable "vpc_id" {
  description = "VPC of the subnets."
  type        = string
  nullable    = false
  validation {
    condition     = startswith(var.vpc_id, "vpc-")
    error_message = "vpc_id \"${var.vpc_id}\" is no VPC's id: it begins with vpc-."
  }
}

variable "subnet_ids" {
  description = "One to three private subnets; two in different zones for a standby. Another list means another instance: the data goes with the old one."
  type        = list(string)
  nullable    = false
  validation {
    condition     = length(var.subnet_ids) >= 1 && length(var.subnet_ids) <= 3
    error_message = "subnet_ids: one to three subnets, not ${length(var.subnet_ids)}."
  }
  validation {
    condition     = alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "subnet_ids: ${join(", ", var.subnet_ids)} holds something that is no subnet's id (subnet-...)."
  }
}

variable "multi_az" {
  description = "A standby in a second zone (it serves no reads)."
  type        = bool
  nullable    = false
  default     = false
  validation {
    condition     = !var.multi_az || length(var.subnet_ids) >= 2
    error_message = "multi_az needs two subnets in different zones: subnet_ids names ${length(var.subnet_ids)}."
  }
}

variable "allowed_security_groups" {
  description = "Who may connect: security groups by a name of yours."
  type        = map(string)
  nullable    = false
  default     = {}
  validation {
    condition     = alltrue([for id in values(var.allowed_security_groups) : startswith(id, "sg-")])
    error_message = "allowed_security_groups: ${join(", ", values(var.allowed_security_groups))} holds something that is no security group's id (sg-...)."
  }
}

variable "allowed_cidrs" {
  description = "Who may connect besides: private networks by a name of yours."
  type        = map(string)
  nullable    = false
  default     = {}
  validation {
    condition     = alltrue([for cidr in values(var.allowed_cidrs) : can(cidrnetmask(cidr)) && can(regex("^(10\\.|192\\.168\\.|172\\.(1[6-9]|2[0-9]|3[01])\\.)", cidr))])
    error_message = "allowed_cidrs: ${join(", ", values(var.allowed_cidrs))}: only private IPv4 networks may reach the database, never 0.0.0.0/0."
  }
}

variable "port" {
  description = "Port, 1024 to 65535 without those that the service keeps."
  type        = number
  nullable    = false
  default     = 8086
  validation {
    condition     = var.port >= 1024 && var.port <= 65535 && !contains(concat([2375, 2376, 8090, 51678, 51679, 51680], range(7788, 7800)), var.port)
    error_message = "port ${var.port}: 1024 to 65535, but not 2375, 2376, 7788-7799, 8090 or 51678-51680, which the service keeps for itself."
  }
}

variable "network_type" {
  description = "IPV4 or DUAL."
  type        = string
  nullable    = false
  default     = "IPV4"
  validation {
    condition     = contains(["IPV4", "DUAL"], var.network_type)
    error_message = "network_type \"${var.network_type}\": IPV4 or DUAL."
  }
}

# --- beside it ----------------------------------------------------------------------------------------------------------------

variable "parameter_group_id" {
  description = "Parameter group, by identifier (module provision makes one); null: the service's default. To take one away replaces the instance."
  type        = string
  default     = null
  validation {
    condition     = var.parameter_group_id == null || can(regex("^[a-zA-Z0-9]{3,64}$", var.parameter_group_id))
    error_message = "parameter_group_id: the group's identifier, 3 to 64 letters and digits (not its name or ARN)."
  }
}

variable "log_bucket" {
  description = "S3 bucket of the engine's log, in the same region, with a policy that lets the service write; null: no log is delivered."
  type        = string
  default     = null
  validation {
    condition     = var.log_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.log_bucket))
    error_message = "log_bucket: a bucket's name, 3 to 63 lower-case letters, digits, dots and hyphens (no s3://, no ARN)."
  }
}

variable "encryption" {
  description = "Customer key, at creation only; null: the service's own key. Made through CloudFormation, since the provider has no such argument."
  type        = object({ kms_key_arn = string })
  default     = null
  validation {
    condition     = var.encryption == null || can(regex("^arn:[^:]+:kms:[^:]+:[0-9]{12}:key/", var.encryption.kms_key_arn))
    error_message = "encryption: kms_key_arn is the ARN of a key (arn:aws:kms:REGION:ACCOUNT:key/...), not an alias."
  }
  validation {
    condition     = var.encryption == null || !var.scaler_owns_size
    error_message = "encryption and scaler_owns_size exclude each other: CloudFormation would undo what the scaler does. Leave one out."
  }
}

variable "tags" {
  description = "Tags of everything made here."
  type        = map(string)
  nullable    = false
  default     = {}
}
