output "bucket" {
  description = "Where files are to be put."
  value       = module.bucket.id
}

output "bucket_arn" {
  description = "Its ARN."
  value       = module.bucket.arn
}

output "queues" {
  description = "Names of the queues: arrivals, dead_letters, failures."
  value = {
    arrivals     = aws_sqs_queue.arrivals.name
    dead_letters = aws_sqs_queue.dead_letters.name
    failures     = aws_sqs_queue.failures.name
  }
}

output "queue_urls" {
  description = "The same queues by URL."
  value = {
    arrivals     = aws_sqs_queue.arrivals.id
    dead_letters = aws_sqs_queue.dead_letters.id
    failures     = aws_sqs_queue.failures.id
  }
}

output "queue_arns" {
  description = "The same queues by ARN."
  value = {
    arrivals     = aws_sqs_queue.arrivals.arn
    dead_letters = aws_sqs_queue.dead_letters.arn
    failures     = aws_sqs_queue.failures.arn
  }
}

output "loader" {
  description = "Name of the loader."
  value       = module.loader.name
}

output "loader_log_group" {
  description = "Its log group."
  value       = module.loader.log_group
}
