mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name = "grid-data"
}

run "private_encrypted_with_versions" {
  command = plan
  assert {
    condition     = aws_s3_bucket.this.bucket == "grid-data" && aws_s3_bucket.this.force_destroy == false
    error_message = "Objects stop a destroy."
  }
  assert {
    condition = (aws_s3_bucket_public_access_block.this.block_public_acls && aws_s3_bucket_public_access_block.this.block_public_policy
    && aws_s3_bucket_public_access_block.this.ignore_public_acls && aws_s3_bucket_public_access_block.this.restrict_public_buckets)
    error_message = "Never public."
  }
  assert {
    condition     = aws_s3_bucket_versioning.this.versioning_configuration[0].status == "Enabled"
    error_message = "Versions are kept."
  }
  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default[0].sse_algorithm == "AES256"
    error_message = "Encrypted by S3's own key."
  }
}

run "with_a_key" {
  command = plan
  variables {
    kms_key = { arn = "arn:aws:kms:us-east-1:123456789012:key/11111111-2222-3333-4444-555555555555" }
  }
  assert {
    condition     = one(aws_s3_bucket_server_side_encryption_configuration.this.rule).apply_server_side_encryption_by_default[0].kms_master_key_id == var.kms_key.arn && one(aws_s3_bucket_server_side_encryption_configuration.this.rule).bucket_key_enabled
    error_message = "Encrypted by the key, which is asked once a bucket."
  }
}

run "two_letters_are_refused" {
  command = plan
  variables {
    name = "ab"
  }
  expect_failures = [var.name]
}
