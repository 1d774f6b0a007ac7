# Every alarm is a row. What is missing counts as stated in the row: `breaching` for heartbeats alone, `notBreaching` for counts of
# errors, `missing` (the state stays) for measures that come and go.

locals {
  service  = { (var.service_dimension) = var.instance_name }
  monitor  = { Function = "${var.name}-monitor" }
  iops     = { T1 = 3000, T2 = 12000, T3 = 16000 }[var.storage_tier]
  forecast = var.limits.disk_days * 86400

  # group: which composite alarm it belongs to. for: minutes of each period, how many of the last so many are over.
  of_database = {
    connection-lost = { group = "database", namespace = var.namespace, metric = "ConnectSuccess", dimensions = local.monitor, statistic = "Minimum"
    is = "<", limit = 1, minutes = 1, over = 3, of = 3, missing = "breaching", what = "The monitor cannot connect, or does not run" }
    write-failed = { group = "database", namespace = var.namespace, metric = "WriteSuccess", dimensions = local.monitor, statistic = "Minimum"
    is = "<", limit = 1, minutes = 1, over = 3, of = 5, missing = "notBreaching", what = "A point cannot be written" }
    query-failed = { group = "database", namespace = var.namespace, metric = "QuerySuccess", dimensions = local.monitor, statistic = "Minimum"
    is = "<", limit = 1, minutes = 1, over = 3, of = 5, missing = "notBreaching", what = "A point that was written cannot be read" }
    query-timeouts = { group = "database", namespace = var.namespace, metric = "QueryTimeouts", dimensions = local.monitor, statistic = "Sum"
    is = ">", limit = 0, minutes = 1, over = 2, of = 5, missing = "notBreaching", what = "Queries get no answer in time" }
    write-slow = { group = "resources", namespace = var.namespace, metric = "WriteMs", dimensions = local.monitor, statistic = "p90"
    is = ">", limit = var.limits.write_ms, minutes = 5, over = 3, of = 3, missing = "missing", what = "A write takes long" }
    query-slow = { group = "resources", namespace = var.namespace, metric = "QueryMs", dimensions = local.monitor, statistic = "p90"
    is = ">", limit = var.limits.query_ms, minutes = 5, over = 3, of = 3, missing = "missing", what = "A query takes long" }
    certificate-ends = { group = "expiry", namespace = var.namespace, metric = "TlsDaysLeft", dimensions = local.monitor, statistic = "Minimum"
    is = "<", limit = var.limits.tls_days, minutes = 60, over = 1, of = 1, missing = "missing", what = "The certificate ends soon" }
    token-ends = { group = "expiry", namespace = var.namespace, metric = "TokenDaysLeft", dimensions = local.monitor, statistic = "Minimum"
    is = "<", limit = var.limits.token_days, minutes = 60, over = 1, of = 1, missing = "missing", what = "The token is to be replaced soon" }
  }
  of_service = {
    cpu-high = { group = "resources", namespace = var.service_namespace, metric = "CPUUtilization", dimensions = local.service, statistic = "Average"
    is = ">", limit = var.limits.cpu_percent, minutes = 5, over = 3, of = 3, missing = "missing", what = "The processor is busy" }
    memory-high = { group = "resources", namespace = var.service_namespace, metric = "MemoryUtilization", dimensions = local.service, statistic = "Average"
    is = ">", limit = var.limits.memory_percent, minutes = 5, over = 3, of = 3, missing = "missing", what = "Memory is short" }
    disk-filling = { group = "resources", namespace = var.service_namespace, metric = "DiskUtilization", dimensions = local.service, statistic = "Maximum"
    is = ">", limit = var.limits.disk_percent, minutes = 5, over = 3, of = 3, missing = "missing", what = "The disk fills" }
    operations-high = { group = "resources", namespace = var.service_namespace, metric = "TotalIOpsPerSec", dimensions = local.service, statistic = "Average"
    is = ">", limit = local.iops * 0.7, minutes = 5, over = 3, of = 3, missing = "missing", what = "The disk's operations come near the tier's limit" }
    series-many = { group = "resources", namespace = var.service_namespace, metric = "SeriesCardinality", dimensions = merge(local.service, { Bucket = var.bucket }), statistic = "Maximum"
    is = ">", limit = var.limits.series, minutes = 60, over = 1, of = 1, missing = "missing", what = "There are many series for this class" }
    write-timeouts = { group = "ingestion", namespace = var.service_namespace, metric = "WriteTimeouts", dimensions = local.service, statistic = "Sum"
    is = ">", limit = 0, minutes = 5, over = 2, of = 3, missing = "notBreaching", what = "The engine gives up on writes" }
    restarted = { group = "database", namespace = var.service_namespace, metric = "EngineUptime", dimensions = local.service, statistic = "Minimum"
    is = "<", limit = 300, minutes = 5, over = 1, of = 1, missing = "missing", what = "The engine was started anew" }
  }
  of_loader = var.loader == null ? {} : {
    loader-errors = { group = "ingestion", namespace = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = var.loader.name }, statistic = "Sum"
    is = ">", limit = 0, minutes = 5, over = 2, of = 3, missing = "notBreaching", what = "The loader fails" }
    loader-throttled = { group = "ingestion", namespace = "AWS/Lambda", metric = "Throttles", dimensions = { FunctionName = var.loader.name }, statistic = "Sum"
    is = ">", limit = 0, minutes = 5, over = 3, of = 3, missing = "notBreaching", what = "The loader waits for Lambda's concurrency" }
    loader-slow = { group = "ingestion", namespace = "AWS/Lambda", metric = "Duration", dimensions = { FunctionName = var.loader.name }, statistic = "p90"
    is = ">", limit = var.loader.timeout_s * 800, minutes = 5, over = 3, of = 3, missing = "notBreaching", what = "Loads come near their time-out" }
    batches-failed = { group = "ingestion", namespace = var.namespace, metric = "BatchesFailed", dimensions = { Function = var.loader.name }, statistic = "Sum"
    is = ">", limit = 0, minutes = 5, over = 2, of = 3, missing = "notBreaching", what = "InfluxDB does not take writes" }
    objects-failed = { group = "data", namespace = var.namespace, metric = "ObjectsFailed", dimensions = { Function = var.loader.name }, statistic = "Sum"
    is = ">", limit = 0, minutes = 5, over = 1, of = 1, missing = "notBreaching", what = "A file cannot be loaded" }
    points-rejected = { group = "data", namespace = var.namespace, metric = "PointsRejected", dimensions = { Function = var.loader.name }, statistic = "Sum"
    is = ">", limit = 0, minutes = 5, over = 1, of = 1, missing = "notBreaching", what = "Rows were refused" }
  }
  of_queues = var.queues == null ? {} : {
    queue-ages = { group = "ingestion", namespace = "AWS/SQS", metric = "ApproximateAgeOfOldestMessage", dimensions = { QueueName = var.queues.arrivals }, statistic = "Maximum"
    is = ">", limit = var.limits.oldest_message_s, minutes = 5, over = 2, of = 2, missing = "notBreaching", what = "Files wait for long" }
    dead-letters = { group = "data", namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = var.queues.dead_letters }, statistic = "Maximum"
    is = ">", limit = 0, minutes = 5, over = 1, of = 1, missing = "notBreaching", what = "There are dead letters" }
    failures-kept = { group = "data", namespace = "AWS/SQS", metric = "ApproximateNumberOfMessagesVisible", dimensions = { QueueName = var.queues.failures }, statistic = "Maximum"
    is = ">", limit = 0, minutes = 5, over = 1, of = 1, missing = "notBreaching", what = "The queue of failures holds something" }
  }
  of_api = var.api == null ? {} : {
    api-errors = { group = "queries", namespace = "AWS/ApiGateway", metric = "5XXError", dimensions = { ApiName = var.api.name, Stage = var.api.stage }, statistic = "Average"
    is = ">", limit = var.limits.api_errors_percent / 100, minutes = 5, over = 2, of = 3, missing = "notBreaching", what = "The API answers with errors" }
    api-slow = { group = "queries", namespace = "AWS/ApiGateway", metric = "Latency", dimensions = { ApiName = var.api.name, Stage = var.api.stage }, statistic = "p90"
    is = ">", limit = var.limits.query_ms, minutes = 5, over = 3, of = 3, missing = "notBreaching", what = "The API is slow" }
    query-errors = { group = "queries", namespace = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = var.api.function }, statistic = "Sum"
    is = ">", limit = 0, minutes = 5, over = 2, of = 3, missing = "notBreaching", what = "The query function fails" }
  }

  of_scaler = var.scaler == null ? {} : {
    scaler-errors = { group = "resources", namespace = "AWS/Lambda", metric = "Errors", dimensions = { FunctionName = var.scaler.name }, statistic = "Sum"
    is = ">", limit = 0, minutes = 15, over = 3, of = 4, missing = "notBreaching", what = "The scaler fails: the size follows nothing" }
    scaler-refused = { group = "resources", namespace = var.namespace, metric = "ScalerRefusals", dimensions = { Function = var.scaler.name }, statistic = "Sum"
    is = ">", limit = 0, minutes = 15, over = 1, of = 1, missing = "notBreaching", what = "The service refused a change of size" }
  }

  # Backups that stop make no noise: silence is an alarm here, too.
  of_backup = var.backup == null ? {} : {
    backup-old = { group = "data", namespace = var.namespace, metric = "BackupAgeHours", dimensions = { Function = var.backup.name }, statistic = "Maximum"
    is = ">", limit = var.limits.backup_hours, minutes = 60, over = 3, of = 3, missing = "breaching", what = "The newest backup is old, or nobody looks" }
    restore-test-failed = { group = "data", namespace = var.namespace, metric = "RestoreTestOk", dimensions = { Function = var.backup.name }, statistic = "Minimum"
    is = "<", limit = 1, minutes = 60, over = 1, of = 1, missing = "notBreaching", what = "What was restored is not what was there" }
    restore-test-old = { group = "data", namespace = var.namespace, metric = "RestoreTestAgeHours", dimensions = { Function = var.backup.name }, statistic = "Maximum"
    is = ">", limit = var.limits.restore_test_hours, minutes = 60, over = 1, of = 1, missing = "missing", what = "No restore test succeeded for long" }
  }

  alarms    = merge(local.of_database, local.of_service, local.of_loader, local.of_queues, local.of_api, local.of_scaler, local.of_backup)
  operators = { "<" = "LessThanThreshold", ">" = "GreaterThanThreshold" }

  # What a group is called when it pages, and which other group explains it away.
  groups = {
    database  = { what = "InfluxDB is not well", topic = "page", behind = [] }
    ingestion = { what = "Files are not loaded", topic = "page", behind = ["database"] }
    queries   = { what = "Queries fail", topic = "page", behind = ["database"] }
    resources = { what = "A limit comes near", topic = "ticket", behind = ["database"] }
    data      = { what = "Something could not be loaded and is kept", topic = "ticket", behind = [] }
    expiry    = { what = "Something ends soon", topic = "ticket", behind = [] }
  }
  members = { for group, _ in local.groups : group => sort(concat([for name, alarm in local.alarms : name if alarm.group == group],
  group == "resources" ? ["disk-full-soon"] : [], group == "ingestion" && var.loader != null ? ["queue-grows"] : [])) }
  paging = { for group, value in local.groups : group => value if length(local.members[group]) > 0 }
}

resource "aws_cloudwatch_metric_alarm" "each" {
  for_each            = local.alarms
  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = "${each.value.what}. What to do: ${var.runbooks}${each.key}.md"
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = startswith(each.value.statistic, "p") ? null : each.value.statistic
  extended_statistic  = startswith(each.value.statistic, "p") ? each.value.statistic : null
  comparison_operator = local.operators[each.value.is]
  threshold           = each.value.limit
  period              = each.value.minutes * 60
  evaluation_periods  = each.value.of
  datapoints_to_alarm = each.value.over
  treat_missing_data  = each.value.missing
  tags                = local.tags
}

# --- before it happens: where a line through the last hours arrives --------------------------------------------------------------------

resource "aws_cloudwatch_metric_alarm" "disk_full_soon" {
  alarm_name          = "${var.name}-disk-full-soon"
  alarm_description   = "At this pace the disk is full within ${var.limits.disk_days} days. What to do: ${var.runbooks}disk-full-soon.md"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 95
  evaluation_periods  = 3
  datapoints_to_alarm = 3
  treat_missing_data  = "missing"
  tags                = local.tags
  metric_query {
    id          = "then"
    label       = "Disk in ${var.limits.disk_days} days, %"
    expression  = "disk + RATE(disk) * ${local.forecast}"
    return_data = true
  }
  metric_query {
    id = "disk"
    metric {
      namespace   = var.service_namespace
      metric_name = "DiskUtilization"
      dimensions  = local.service
      period      = 21600 # six hours: compactions come and go within one
      stat        = "Average"
    }
  }
}

resource "aws_cloudwatch_metric_alarm" "queue_grows" {
  count               = var.queues == null || var.loader == null ? 0 : 1
  alarm_name          = "${var.name}-queue-grows"
  alarm_description   = "More files arrive than are loaded, for an hour. What to do: ${var.runbooks}queue-grows.md"
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  evaluation_periods  = 6
  datapoints_to_alarm = 6
  treat_missing_data  = "notBreaching"
  tags                = local.tags
  metric_query {
    id          = "gain"
    label       = "Arrived and not loaded"
    expression  = "arrived - loaded"
    return_data = true
  }
  dynamic "metric_query" {
    for_each = { arrived = "NumberOfMessagesSent", loaded = "NumberOfMessagesDeleted" }
    content {
      id = metric_query.key
      metric {
        namespace   = "AWS/SQS"
        metric_name = metric_query.value
        dimensions  = { QueueName = var.queues.arrivals }
        period      = 600
        stat        = "Sum"
      }
    }
  }
}

# --- one fault pages once ------------------------------------------------------------------------------------------------------------

resource "aws_cloudwatch_composite_alarm" "root" {
  for_each          = { for group, value in local.paging : group => value if length(value.behind) == 0 }
  alarm_name        = "${var.name}-${each.key}"
  alarm_description = "${each.value.what}: ${join(", ", local.members[each.key])}."
  alarm_rule        = join(" OR ", [for member in local.members[each.key] : "ALARM(\"${var.name}-${member}\")"])
  alarm_actions     = [aws_sns_topic.alarms[each.value.topic].arn]
  ok_actions        = [aws_sns_topic.alarms[each.value.topic].arn]
  tags              = local.tags
  depends_on        = [aws_cloudwatch_metric_alarm.each, aws_cloudwatch_metric_alarm.disk_full_soon, aws_cloudwatch_metric_alarm.queue_grows]
}

# Silent while what they hang on is in alarm itself, and a quarter of an hour longer: alarms of 3 periods of 5 minutes still look back at it.
resource "aws_cloudwatch_composite_alarm" "behind" {
  for_each          = { for group, value in local.paging : group => value if length(value.behind) > 0 }
  alarm_name        = "${var.name}-${each.key}"
  alarm_description = "${each.value.what}: ${join(", ", local.members[each.key])}."
  alarm_rule        = join(" OR ", [for member in local.members[each.key] : "ALARM(\"${var.name}-${member}\")"])
  alarm_actions     = [aws_sns_topic.alarms[each.value.topic].arn]
  ok_actions        = [aws_sns_topic.alarms[each.value.topic].arn]
  tags              = local.tags
  actions_suppressor {
    alarm            = aws_cloudwatch_composite_alarm.root[each.value.behind[0]].alarm_name
    wait_period      = 120
    extension_period = 900
  }
  depends_on = [aws_cloudwatch_metric_alarm.each, aws_cloudwatch_metric_alarm.disk_full_soon, aws_cloudwatch_metric_alarm.queue_grows]
}
