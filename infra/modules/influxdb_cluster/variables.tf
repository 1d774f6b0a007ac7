variable "name" {
  description = "Name of the cluster: 3 to 40 letters and digits, single hyphens inside, a letter first."
  type        = string
  nullable    = false
  validation {
    condition     = can(regex("^[a-zA-Z][a-zA-Z0-9]*(-[a-zA-Z0-9]+)*$", var.name)) && length(var.name) >= 3 && length(var.name) <= 40
    error_message = "name \"${var.name}\": 3 to 40 letters and digits with single hyphens inside, a letter first (no underscores: the service refuses them)."
  }
}

variable "engine" {
  description = "v2: InfluxDB 2 with read replicas; v3-core or v3-enterprise: InfluxDB 3. Another engine means another cluster."
  type        = string
  nullable    = false
  default     = "v2"
  validation {
    condition     = contains(["v2", "v3-core", "v3-enterprise"], var.engine)
    error_message = "engine \"${var.engine}\": v2, v3-core or v3-enterprise."
  }
}

variable "marketplace_subscribed" {
  description = "True: the account has subscribed to the add-on for read replicas, which Terraform cannot do. Needed with v2."
  type        = bool
  nullable    = false
  default     = false
  validation {
    condition     = var.engine != "v2" || var.marketplace_subscribed
    error_message = "Read replicas of InfluxDB 2 need a subscription of this account to InfluxData's add-on in AWS Marketplace. Subscribe in the console (Timestream, InfluxDB clusters), then set marketplace_subscribed = true."
  }
}

# --- what is inside: InfluxDB 2 alone ------------------------------------------------------------------------------------------------

variable "organization" {
  description = "InfluxDB's organisation; null: ons."
  type        = string
  default     = null
  validation {
    condition     = var.organization == null || (try(length(var.organization), 0) >= 1 && try(length(var.organization), 0) <= 64)
    error_message = "organization: 1 to 64 characters."
  }
  validation {
    condition     = var.organization == null || var.engine == "v2"
    error_message = "organization: the service refuses it with InfluxDB 3. Leave it out, or take engine = \"v2\"."
  }
}

variable "bucket" {
  description = "First bucket; null: energy_data."
  type        = string
  default     = null
  validation {
    condition     = var.bucket == null || can(regex("^[^_\"][^\"]{1,63}$", var.bucket))
    error_message = "bucket: 2 to 64 characters, no underscore first (those are InfluxDB's own) and no quotation mark."
  }
  validation {
    condition     = var.bucket == null || var.engine == "v2"
    error_message = "bucket: the service refuses it with InfluxDB 3. Leave it out, or take engine = \"v2\"."
  }
}

variable "username" {
  description = "First user, an administrator; null: admin."
  type        = string
  default     = null
  validation {
    condition     = var.username == null || can(regex("^[a-zA-Z][a-zA-Z0-9]*(-[a-zA-Z0-9]+)*$", var.username))
    error_message = "username: letters and digits with single hyphens inside, a letter first."
  }
  validation {
    condition     = var.username == null || var.engine == "v2"
    error_message = "username: the service refuses it with InfluxDB 3. Leave it out, or take engine = \"v2\"."
  }
}

variable "password" {
  description = "First password; null: one is made up. It stands in Terraform's state whoever made it: replace it at once."
  type        = string
  default     = null
  sensitive   = true
  validation {
    condition     = var.password == null || can(regex("^[a-zA-Z0-9]{8,64}$", var.password))
    error_message = "password: 8 to 64 letters and digits, nothing else (the service's rule). Leave it out to have one made up."
  }
  validation {
    condition     = var.password == null || var.engine == "v2"
    error_message = "password: the service refuses it with InfluxDB 3. Leave it out, or take engine = \"v2\"."
  }
}

variable "parameter_group_id" {
  description = "Parameter group of yours, by identifier; null: the service's default. InfluxDB 3 gets the group of its engine."
  type        = string
  default     = null
  validation {
    condition     = var.parameter_group_id == null || can(regex("^[a-zA-Z0-9]{3,64}$", var.parameter_group_id))
    error_message = "parameter_group_id: the group's identifier, 3 to 64 letters and digits (not its name or ARN)."
  }
  validation {
    condition     = var.parameter_group_id == null || var.engine == "v2"
    error_message = "parameter_group_id: the service refuses it with InfluxDB 3. Leave it out, or take engine = \"v2\"."
  }
}

variable "failover_mode" {
  description = "AUTOMATIC: a replica takes over; NO_FAILOVER: none does. With v2."
  type        = string
  nullable    = false
  default     = "AUTOMATIC"
  validation {
    condition     = contains(["AUTOMATIC", "NO_FAILOVER"], var.failover_mode)
    error_message = "failover_mode \"${var.failover_mode}\": AUTOMATIC or NO_FAILOVER."
  }
}

# --- size ------------------------------------------------------------------------------------------------------------------------

variable "instance_class" {
  description = "Class: db.influx.medium (1 vCPU, 8 GiB) to db.influx.24xlarge (96, 768)."
  type        = string
  nullable    = false
  default     = "db.influx.large"
  validation {
    condition     = can(regex("^db\\.influx\\.(medium|large|xlarge|2xlarge|4xlarge|8xlarge|12xlarge|16xlarge|24xlarge)$", var.instance_class))
    error_message = "instance_class \"${var.instance_class}\": one of db.influx.medium, large, xlarge, 2xlarge, 4xlarge, 8xlarge, 12xlarge, 16xlarge, 24xlarge."
  }
}

variable "storage_tier" {
  description = "With v2: T1 (3,000 operations a second), T2 (12,000) or T3 (16,000). Another tier means another cluster."
  type        = string
  nullable    = false
  default     = "T1"
  validation {
    condition     = contains(["T1", "T2", "T3"], var.storage_tier)
    error_message = "storage_tier \"${var.storage_tier}\": T1, T2 or T3."
  }
}

variable "storage_gib" {
  description = "With v2: storage in GiB, 20 to 15,360; T2 and T3 begin at 400. The service cannot change it later. InfluxDB 3 keeps its data in S3: null."
  type        = number
  default     = null
  validation {
    condition     = var.engine != "v2" || try(var.storage_gib >= 20 && var.storage_gib <= 15360 && floor(var.storage_gib) == var.storage_gib, false)
    error_message = "storage_gib: engine v2 needs a whole number from 20 to 15360."
  }
  validation {
    condition     = var.engine == "v2" || var.storage_gib == null
    error_message = "storage_gib: the service refuses it with InfluxDB 3, which keeps its data in S3. Leave it out."
  }
  validation {
    condition     = var.engine != "v2" || var.storage_tier == "T1" || try(var.storage_gib >= 400, true)
    error_message = "storage_gib: ${var.storage_tier} begins at 400 GiB. Take 400 or more, or storage_tier = \"T1\"."
  }
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
  description = "One to three private subnets; two in different zones for replicas. Another list means another cluster: the data goes with the old one."
  type        = list(string)
  nullable    = false
  validation {
    condition     = length(var.subnet_ids) >= (var.engine == "v2" ? 2 : 1) && length(var.subnet_ids) <= 3
    error_message = "subnet_ids: one to three subnets, with v2 at least two, not ${length(var.subnet_ids)}."
  }
  validation {
    condition     = alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "subnet_ids: ${join(", ", var.subnet_ids)} holds something that is no subnet's id (subnet-...)."
  }
}

variable "s3_endpoint_id" {
  description = "Gateway endpoint of S3 in the VPC, which a private cluster of InfluxDB 3 keeps its data through (output s3_endpoint_id of module network); null with v2."
  type        = string
  default     = null
  validation {
    condition     = var.engine == "v2" || can(regex("^vpce-", var.s3_endpoint_id))
    error_message = "s3_endpoint_id: a private cluster of InfluxDB 3 needs a gateway endpoint of S3 in its VPC, with the route tables of its subnets. Make one and name it (vpce-...)."
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
  description = "Port, 1024 to 65535 without those that the service keeps; null: 8086 with v2, 8181 with InfluxDB 3."
  type        = number
  default     = null
  validation {
    condition     = var.port == null || try(var.port >= 1024 && var.port <= 65535 && !contains(concat([2375, 2376, 8090, 51678, 51679, 51680], range(7788, 7800)), var.port), false)
    error_message = "port: 1024 to 65535, but not 2375, 2376, 7788-7799, 8090 or 51678-51680, which the service keeps for itself."
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

variable "log_bucket" {
  description = "S3 bucket of the engine's log, in the same region, with a policy that lets the service write; null: no log is delivered."
  type        = string
  default     = null
  validation {
    condition     = var.log_bucket == null || can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.log_bucket))
    error_message = "log_bucket: a bucket's name, 3 to 63 lower-case letters, digits, dots and hyphens (no s3://, no ARN)."
  }
}

variable "maintenance" {
  description = "When the service may do its upkeep: window such as Sun:03:00-Sun:05:00, timezone by its IANA name or UTC; null: the service's choice."
  type        = object({ window = string, timezone = optional(string, "UTC") })
  default     = null
  validation {
    condition     = var.maintenance == null || can(regex("^((Mon|Tue|Wed|Thu|Fri|Sat|Sun):([01][0-9]|2[0-3]):[0-5][0-9](-|$)){2}$", var.maintenance.window))
    error_message = "maintenance: window is written Sun:03:00-Sun:05:00."
  }
  validation {
    condition     = var.maintenance == null || try(length(var.maintenance.timezone) <= 19, false)
    error_message = "maintenance: timezone is an IANA name such as America/Sao_Paulo, or UTC; the service takes at most 19 characters."
  }
}

variable "tags" {
  description = "Tags of everything made here."
  type        = map(string)
  nullable    = false
  default     = {}
}
