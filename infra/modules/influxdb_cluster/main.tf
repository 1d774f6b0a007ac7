# A cluster of Amazon Timestream for InfluxDB: InfluxDB 2 with read replicas, or InfluxDB 3. Needs provider 6.x, so it stands by itself.
#
#   engine           parameter group          user, organisation, bucket, storage      replicas
#   v2               none or one of yours     needed                                    by a subscription of AWS Marketplace
#   v3-core          InfluxDBV3Core           refused by the service                    one node
#   v3-enterprise    InfluxDBV3Enterprise     refused by the service                    the service's own

locals {
  tags = merge(var.tags, { "afluxo:module" = "influxdb_cluster" })

  v2    = var.engine == "v2"
  group = { v2 = var.parameter_group_id, v3-core = "InfluxDBV3Core", v3-enterprise = "InfluxDBV3Enterprise" }[var.engine]
  port  = coalesce(var.port, local.v2 ? 8086 : 8181)

  password = !local.v2 ? null : var.password != null ? var.password : data.aws_secretsmanager_random_password.first[0].random_password
}

# A new value at every reading: the cluster keeps its first.
data "aws_secretsmanager_random_password" "first" {
  count               = local.v2 && var.password == null ? 1 : 0
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
  #checkov:skip=CKV2_AWS_5:the cluster has it, a resource that the scan does not know
  name_prefix = "${var.name}-influxdb-"
  description = "InfluxDB cluster ${var.name}"
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
  from_port                    = local.port
  to_port                      = local.port
  tags                         = local.tags
}

resource "aws_vpc_security_group_ingress_rule" "cidrs" {
  for_each          = var.allowed_cidrs
  security_group_id = aws_security_group.database.id
  description       = each.key
  cidr_ipv4         = each.value
  ip_protocol       = "tcp"
  from_port         = local.port
  to_port           = local.port
  tags              = local.tags
}

# The other half: those groups may go out to it.
resource "aws_vpc_security_group_egress_rule" "groups" {
  for_each                     = var.allowed_security_groups
  security_group_id            = each.value
  description                  = "InfluxDB cluster ${var.name}"
  referenced_security_group_id = aws_security_group.database.id
  ip_protocol                  = "tcp"
  from_port                    = local.port
  to_port                      = local.port
  tags                         = local.tags
}

# --- the cluster ---------------------------------------------------------------------------------------------------------------

resource "aws_timestreaminfluxdb_db_cluster" "this" {
  name                          = var.name
  db_instance_type              = var.instance_class
  db_parameter_group_identifier = local.group
  vpc_subnet_ids                = var.subnet_ids
  vpc_security_group_ids        = [aws_security_group.database.id]
  publicly_accessible           = false
  network_type                  = var.network_type
  port                          = local.port
  failover_mode                 = local.v2 ? var.failover_mode : null
  deployment_type               = local.v2 ? "MULTI_NODE_READ_REPLICAS" : null
  db_storage_type               = local.v2 ? "InfluxIOIncluded${var.storage_tier}" : null
  allocated_storage             = local.v2 ? var.storage_gib : null
  username                      = local.v2 ? coalesce(var.username, "admin") : null
  password                      = local.password
  organization                  = local.v2 ? coalesce(var.organization, "ons") : null
  bucket                        = local.v2 ? coalesce(var.bucket, "energy_data") : null
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

  dynamic "maintenance_schedule" {
    for_each = var.maintenance == null ? [] : [var.maintenance]
    content {
      preferred_maintenance_window = maintenance_schedule.value.window
      timezone                     = maintenance_schedule.value.timezone
    }
  }

  timeouts {
    create = "120m"
    update = "120m"
    delete = "120m"
  }

  lifecycle {
    # Not readable after an import, and would ask for a new cluster; the group of InfluxDB 3 is answered by another identifier than was given.
    ignore_changes = [password, username, organization, bucket, db_parameter_group_identifier]
    precondition {
      condition     = alltrue([for subnet in data.aws_subnet.each : subnet.vpc_id == var.vpc_id])
      error_message = "subnet_ids: ${join(", ", [for subnet in data.aws_subnet.each : subnet.id if subnet.vpc_id != var.vpc_id])} is not in ${var.vpc_id}. Name subnets of one VPC."
    }
    precondition {
      condition     = !local.v2 || length(local.zones) >= 2
      error_message = "subnet_ids: all are in ${join(", ", local.zones)}. Read replicas need a subnet in a second zone."
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
