output "topics" {
  description = "ARNs of the topics page and ticket."
  value       = { for name, topic in aws_sns_topic.alarms : name => topic.arn }
}

output "alarms" {
  description = "What every alarm listens to: namespace, metric and dimensions by the alarm's name."
  value = merge({ for name, alarm in local.alarms : name => { namespace = alarm.namespace, metric = alarm.metric, dimensions = alarm.dimensions, group = alarm.group } },
    { disk-full-soon = { namespace = var.service_namespace, metric = "DiskUtilization", dimensions = local.service, group = "resources" } },
  var.queues == null || var.loader == null ? {} : { queue-grows = { namespace = "AWS/SQS", metric = "NumberOfMessagesSent", dimensions = { QueueName = var.queues.arrivals }, group = "ingestion" } })
}

output "dashboard" {
  description = "Name of the dashboard in CloudWatch."
  value       = aws_cloudwatch_dashboard.this.dashboard_name
}

output "grafana_dashboard" {
  description = "The same dashboard for Grafana: terraform output -raw grafana_dashboard > afluxo.json, then import it and choose a CloudWatch source."
  value       = jsonencode(local.grafana)
}

output "monitor" {
  description = "Name of the monitor."
  value       = module.monitor.name
}
