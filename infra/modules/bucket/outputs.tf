output "id" {
  description = "Name of the bucket, once it keeps versions."
  value       = aws_s3_bucket_versioning.this.bucket
}

output "arn" {
  description = "Its ARN."
  value       = aws_s3_bucket.this.arn
}
