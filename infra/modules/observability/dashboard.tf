# The pictures: five rows of what a person asks first. The same table makes CloudWatch's dashboard and Grafana's.

locals {
  own = { loader = var.loader == null ? "" : var.loader.name, monitor = "${var.name}-monitor" }
  # row -> pictures: title, unit, and lines (namespace, metric, dimensions, statistic, label)
  rows = concat([
    { title = "Is it well?", pictures = [
      { title = "Connection, write, query succeed", lines = [
        [var.namespace, "ConnectSuccess", local.monitor, "Minimum", "connect"],
        [var.namespace, "WriteSuccess", local.monitor, "Minimum", "write"],
      [var.namespace, "QuerySuccess", local.monitor, "Minimum", "query"]] },
      { title = "How long they take, ms", lines = [
        [var.namespace, "ConnectMs", local.monitor, "p90", "connect"],
        [var.namespace, "WriteMs", local.monitor, "p90", "write"],
      [var.namespace, "QueryMs", local.monitor, "p90", "query"]] },
      { title = "Days left", lines = [
        [var.namespace, "TlsDaysLeft", local.monitor, "Minimum", "certificate"],
      [var.namespace, "TokenDaysLeft", local.monitor, "Minimum", "token"]] },
    ] },
    { title = "Resources", pictures = [
      { title = "Processor, memory, disk, %", lines = [
        [var.service_namespace, "CPUUtilization", local.service, "Average", "processor"],
        [var.service_namespace, "MemoryUtilization", local.service, "Average", "memory"],
      [var.service_namespace, "DiskUtilization", local.service, "Maximum", "disk"]] },
      { title = "Operations a second (${var.storage_tier}: ${local.iops})", lines = [
        [var.service_namespace, "ReadOpsPerSec", local.service, "Average", "read"],
        [var.service_namespace, "WriteOpsPerSec", local.service, "Average", "write"],
      [var.service_namespace, "TotalIOpsPerSec", local.service, "Average", "all"]] },
      { title = "Series", lines = [
      [var.service_namespace, "SeriesCardinality", merge(local.service, { Bucket = var.bucket }), "Maximum", "series"]] },
    ] },
    ], var.loader == null || var.queues == null ? [] : [
    { title = "Ingestion", pictures = [
      { title = "Points", lines = [
        [var.namespace, "PointsWritten", { Function = local.own.loader }, "Sum", "written"],
      [var.namespace, "PointsRejected", { Function = local.own.loader }, "Sum", "refused"]] },
      { title = "Objects (progress of a migration)", lines = [
        [var.namespace, "ObjectsLoaded", { Function = local.own.loader }, "Sum", "loaded"],
        [var.namespace, "ObjectsReturned", { Function = local.own.loader }, "Sum", "gone back"],
      [var.namespace, "ObjectsFailed", { Function = local.own.loader }, "Sum", "failed"]] },
      { title = "Waiting", lines = [
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", { QueueName = var.queues.arrivals }, "Maximum", "arrivals"],
        ["AWS/SQS", "ApproximateNumberOfMessagesVisible", { QueueName = var.queues.dead_letters }, "Maximum", "dead letters"],
      ["AWS/SQS", "ApproximateNumberOfMessagesVisible", { QueueName = var.queues.failures }, "Maximum", "failures"]] },
      { title = "A load, ms", lines = [
        ["AWS/Lambda", "Duration", { FunctionName = local.own.loader }, "p50", "half"],
      ["AWS/Lambda", "Duration", { FunctionName = local.own.loader }, "p99", "99 %"]] },
    ] },
    ], var.api == null ? [] : [
    { title = "Queries", pictures = [
      { title = "Requests", lines = [
        ["AWS/ApiGateway", "Count", { ApiName = var.api.name, Stage = var.api.stage }, "Sum", "all"],
        ["AWS/ApiGateway", "4XXError", { ApiName = var.api.name, Stage = var.api.stage }, "Sum", "refused"],
      ["AWS/ApiGateway", "5XXError", { ApiName = var.api.name, Stage = var.api.stage }, "Sum", "failed"]] },
      { title = "Time, ms", lines = [
        ["AWS/ApiGateway", "Latency", { ApiName = var.api.name, Stage = var.api.stage }, "p50", "half"],
      ["AWS/ApiGateway", "Latency", { ApiName = var.api.name, Stage = var.api.stage }, "p99", "99 %"]] },
    ] },
    ], [
    { title = "Costs", pictures = [
      { title = "GB-seconds of Lambda, by duration, ms", lines = [
        for name in compact([local.own.loader, local.own.monitor, var.api == null ? "" : var.api.function]) :
      ["AWS/Lambda", "Duration", { FunctionName = name }, "Sum", name]] },
      { title = "Bytes to InfluxDB", lines = [
      for name in compact([local.own.loader]) : [var.namespace, "BytesSent", { Function = name }, "Sum", "sent"]] },
    ] },
  ])

  pictures = flatten([for y, row in local.rows : [for x, picture in row.pictures : merge(picture, {
    x = x * floor(24 / length(row.pictures)), y = y * 7, width = floor(24 / length(row.pictures))
  }) if length(picture.lines) > 0]])
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name
  dashboard_body = jsonencode({
    widgets = concat(
      [for y, row in local.rows : { type = "text", x = 0, y = y * 7, width = 24, height = 1, properties = { markdown = "## ${row.title}" } }],
      [for picture in local.pictures : { type = "metric", x = picture.x, y = picture.y + 1, width = picture.width, height = 6
        properties = { title = picture.title, region = local.region, view = "timeSeries", period = 60
          metrics = [for line in picture.lines : concat([line[0], line[1]], flatten([for key, value in line[2] : [key, value]]),
      [{ stat = line[3], label = line[4] }])] } }],
      [{ type = "alarm", x = 0, y = length(local.rows) * 7, width = 24, height = 4
        properties = { title = "Alarms", alarms = concat([for alarm in aws_cloudwatch_metric_alarm.each : alarm.arn],
    [aws_cloudwatch_metric_alarm.disk_full_soon.arn], aws_cloudwatch_metric_alarm.queue_grows[*].arn) } }])
  })
}

locals {
  grafana = {
    title      = var.name, uid = "afluxo-${var.name}", schemaVersion = 39, timezone = "utc", refresh = "1m", time = { from = "now-6h", to = "now" }
    templating = { list = [{ name = "datasource", type = "datasource", query = "cloudwatch", label = "CloudWatch" }] }
    panels = concat(
      [for y, row in local.rows : { id = y + 1, type = "row", title = row.title, collapsed = false, gridPos = { x = 0, y = y * 7, w = 24, h = 1 }, panels = [] }],
      [for i, picture in local.pictures : {
        id          = length(local.rows) + i + 1, type = "timeseries", title = picture.title
        gridPos     = { x = picture.x, y = picture.y + 1, w = picture.width, h = 6 }
        datasource  = { type = "cloudwatch", uid = "$${datasource}" }
        fieldConfig = { defaults = {}, overrides = [] }
        targets = [for j, line in picture.lines : {
          refId     = substr("ABCDEFGHIJ", j, 1), region = local.region, namespace = line[0], metricName = line[1], dimensions = line[2]
          statistic = line[3], label = line[4], matchExact = true, metricQueryType = 0, metricEditorMode = 0, queryMode = "Metrics", period = ""
    }] }])
  }
}
