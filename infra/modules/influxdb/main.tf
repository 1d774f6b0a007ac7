# One instance of Amazon Timestream for InfluxDB (InfluxDB 2), in private subnets, reached by those who are named alone.

locals {
  tags = merge(var.tags, { "afluxo:module" = "influxdb" })

  wanted = { class = var.instance_class, tier = var.storage_tier, storage_gib = var.storage_gib }
  # Who owns the size? The scaler writes what it is about to do before it does it, and Terraform reads it back: neither undoes the other.
  size = var.scaler_owns_size ? jsondecode(aws_ssm_parameter.size[0].insecure_value) : local.wanted

  password = var.password != null ? var.password : data.aws_secretsmanager_random_password.first[0].random_password
}

resource "aws_ssm_parameter" "size" {
  #checkov:skip=CKV2_AWS_34:a class, a tier and a number are no secret
  count          = var.scaler_owns_size ? 1 : 0
  name           = "/afluxo/${var.name}/size"
  description    = "Class, tier and storage of the instance ${var.name}, as its scaler last decided"
  type           = "String"
  insecure_value = jsonencode(local.wanted) # no secret
  tags           = local.tags
  lifecycle {
    ignore_changes = [insecure_value]
  }
}

# A new value at every reading: the instance keeps its first.
data "aws_secretsmanager_random_password" "first" {
  count               = var.password == null ? 1 : 0
  password_length     = 40
  exclude_punctuation = true
}

# --- what is asked of the network before anything is made -----------------------------------------------------------------------

data "aws_subnet" "each" {
  count = length(var.subnet_ids)
  id    = var.subnet_ids[count.index]
}

# Routes to an internet gateway make a subnet public: in its own route table, or in the VPC's main one where it has none.
data "aws_route_tables" "own" {
  count = length(var.subnet_ids)
  filter {
    name   = "association.subnet-id"
    values = [var.subnet_ids[count.index]]
  }
}

data "aws_route_tables" "public" {
  vpc_id = var.vpc_id
  filter {
    name   = "route.gateway-id"
    values = ["igw-*"]
  }
}

data "aws_route_tables" "main" {
  vpc_id = var.vpc_id
  filter {
    name   = "association.main"
    values = ["true"]
  }
}

locals {
  routed = [for own in data.aws_route_tables.own : length(own.ids) > 0 ? own.ids : data.aws_route_tables.main.ids]
  public = [for i, ids in local.routed : var.subnet_ids[i] if length(setintersection(ids, data.aws_route_tables.public.ids)) > 0]
  zones  = distinct([for subnet in data.aws_subnet.each : subnet.availability_zone])
}

# --- who may connect ------------------------------------------------------------------------------------------------------------

resource "aws_security_group" "database" {
  #checkov:skip=CKV2_AWS_5:the instance has it, a resource that the scan does not know
  name_prefix = "${var.name}-influxdb-"
  description = "InfluxDB ${var.name}"
  vpc_id      = var.vpc_id
  tags        = merge(local.tags, { Name = "${var.name}-influxdb" })
  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_vpc_security_group_ingress_rule" "groups" {
  for_each                     = var.allowed_security_groups
  security_group_id            = aws_security_group.database.id
  description                  = each.key
  referenced_security_group_id = each.value
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
  tags                         = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "cidrs" {
  for_each          = var.allowed_cidrs
  security_group_id = aws_security_group.database.id
  description       = each.key
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = var.port
  to_port           = var.port
  tags              = local.tags
}

# The other half: those groups may go out to it.
resource "aws_vpc_security_group_egress_rule" "groups" {
  for_each                     = var.allowed_security_groups
  security_group_id            = each.value
  description                  = "InfluxDB ${var.name}"
  referenced_security_group_id = aws_security_group.database.id
  ip_protocol                  = "tcp"
  from_port                    = var.port
  to_port                      = var.port
  tags                         = local.tags
}

# --- the instance --------------------------------------------------------------------------------------------------------------

resource "aws_timestreaminfluxdb_db_instance" "this" {
  count                         = var.encryption == null ? 1 : 0
  name                          = var.name
  username                      = var.username
  password                      = local.password
  organization                  = var.organization
  bucket                        = var.bucket
  db_instance_type              = local.size.class
  db_storage_type               = "InfluxIOIncluded${local.size.tier}"
  allocated_storage             = local.size.storage_gib
  deployment_type               = var.multi_az ? "WITH_MULTIAZ_STANDBY" : "SINGLE_AZ"
  vpc_subnet_ids                = var.subnet_ids
  vpc_security_group_ids        = [aws_security_group.database.id]
  publicly_accessible           = false
  network_type                  = var.network_type
  port                          = var.port
  db_parameter_group_identifier = var.parameter_group_id
  tags                          = local.tags

  dynamic "log_delivery_configuration" {
    for_each = var.log_bucket == null ? [] : [var.log_bucket]
    content {
      s3_configuration {
        bucket_name = log_delivery_configuration.value
        enabled     = true
      }
    }
  }

  timeouts {
    create = "60m"
    update = "60m"
    delete = "60m"
  }

  lifecycle {
    # The first password is replaced at once; the rest is not readable after an import, and would ask for a new instance.
    ignore_changes = [password, username, organization, bucket]
    precondition {
      condition     = alltrue([for subnet in data.aws_subnet.each : subnet.vpc_id == var.vpc_id])
      error_message = "subnet_ids: ${join(", ", [for subnet in data.aws_subnet.each : subnet.id if subnet.vpc_id != var.vpc_id])} is not in ${var.vpc_id}. Name subnets of one VPC."
    }
    precondition {
      condition     = !var.multi_az || length(local.zones) >= 2
      error_message = "multi_az: all subnets are in ${join(", ", local.zones)}. Name a subnet in a second zone."
    }
    precondition {
      condition     = length(local.public) == 0
      error_message = "subnet_ids: ${join(", ", local.public)} has a route to an internet gateway. The database belongs into private subnets: name others, or take that route away."
    }
    precondition {
      condition     = length(var.allowed_security_groups) + length(var.allowed_cidrs) > 0
      error_message = "Nobody may connect to ${var.name}: name allowed_security_groups or allowed_cidrs."
    }
  }
}

# --- the same with a customer's key -------------------------------------------------------------------------------------------------

locals {
  stack = var.encryption == null ? null : {
    AWSTemplateFormatVersion = "2010-09-09"
    Description              = "Timestream for InfluxDB ${var.name}, encrypted with a customer's key"
    Parameters               = { Password = { Type = "String", NoEcho = true } }
    Resources = {
      Instance = {
        Type           = "AWS::Timestream::InfluxDBInstance"
        DeletionPolicy = "Delete"
        Properties = merge({
          Name                = var.name
          Username            = var.username
          Password            = { Ref = "Password" }
          Organization        = var.organization
          Bucket              = var.bucket
          DbInstanceType      = var.instance_class
          DbStorageType       = "InfluxIOIncluded${var.storage_tier}"
          AllocatedStorage    = var.storage_gib
          DeploymentType      = var.multi_az ? "WITH_MULTIAZ_STANDBY" : "SINGLE_AZ"
          VpcSubnetIds        = var.subnet_ids
          VpcSecurityGroupIds = [aws_security_group.database.id]
          PubliclyAccessible  = false
          NetworkType         = var.network_type
          Port                = var.port
          KmsKeyId            = var.encryption.kms_key_arn
          Tags                = [for key, value in local.tags : { Key = key, Value = value }]
          }, var.parameter_group_id == null ? {} : { DbParameterGroupIdentifier = var.parameter_group_id },
          var.log_bucket == null ? {} : {
            LogDeliveryConfiguration = { S3Configuration = { BucketName = var.log_bucket, Enabled = true } }
        })
      }
    }
    Outputs = {
      Id       = { Value = { "Fn::GetAtt" = ["Instance", "Id"] } }
      Arn      = { Value = { "Fn::GetAtt" = ["Instance", "Arn"] } }
      Endpoint = { Value = { "Fn::GetAtt" = ["Instance", "Endpoint"] } }
      Secret   = { Value = { "Fn::GetAtt" = ["Instance", "InfluxAuthParametersSecretArn"] } }
    }
  }
}

resource "aws_cloudformation_stack" "encrypted" {
  #checkov:skip=CKV_AWS_124:Terraform itself waits for the stack and says how it ended
  count              = var.encryption == null ? 0 : 1
  name               = "${var.name}-influxdb"
  template_body      = jsonencode(local.stack)
  parameters         = { Password = local.password }
  timeout_in_minutes = 60
  on_failure         = "DELETE"
  tags               = local.tags
  timeouts {
    create = "70m"
    update = "70m"
    delete = "70m"
  }
  lifecycle {
    ignore_changes = [parameters["Password"]]
    precondition {
      condition     = alltrue([for subnet in data.aws_subnet.each : subnet.vpc_id == var.vpc_id]) && length(local.public) == 0 && (!var.multi_az || length(local.zones) >= 2)
      error_message = "subnet_ids: private subnets of ${var.vpc_id} are needed, for multi_az in two zones. Public here: ${join(", ", local.public)}; zones: ${join(", ", local.zones)}."
    }
    precondition {
      condition     = length(var.allowed_security_groups) + length(var.allowed_cidrs) > 0
      error_message = "Nobody may connect to ${var.name}: name allowed_security_groups or allowed_cidrs."
    }
  }
}
