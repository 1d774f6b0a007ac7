variable "region" {
  description = "AWS region."
  type        = string
  nullable    = false
  default     = "us-east-1"
}

variable "name" {
  description = "Prefix of every name."
  type        = string
  nullable    = false
  default     = "afluxo"
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
  nullable    = false
}

variable "subnet_ids" {
  description = "One to three private subnets of it, for the database and the functions. Named one by one and not found by tags: another list means another instance."
  type        = list(string)
  nullable    = false
}

variable "security_group_id" {
  description = "Group that the functions get. Besides the rule to the database, which is added to it, it must let them out to port 443 of the endpoints and of S3."
  type        = string
  nullable    = false
  validation {
    condition     = startswith(var.security_group_id, "sg-")
    error_message = "security_group_id \"${var.security_group_id}\" is no security group's id (sg-...)."
  }
}

variable "endpoints" {
  description = "Services that must have an endpoint in the VPC; empty: the subnets have a NAT, which leads there."
  type        = set(string)
  nullable    = false
  default     = ["s3", "sqs", "secretsmanager"]
}

variable "allowed_cidrs" {
  description = "Who may connect to the database besides: private networks by a name of yours."
  type        = map(string)
  nullable    = false
  default     = {}
}

variable "instance_class" {
  description = "Class of the instance."
  type        = string
  nullable    = false
  default     = "db.influx.large"
}

variable "multi_az" {
  description = "A standby in a second zone."
  type        = bool
  nullable    = false
  default     = false
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
