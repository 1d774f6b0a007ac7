# Documents that questions are answered from (optional): bucket -> Bedrock's knowledge base -> index of vectors in S3. Needs provider 6.x.
#
# S3 keeps the vectors, since nothing of it costs by the hour: OpenSearch Serverless would, asked or not.

data "aws_caller_identity" "me" {}
data "aws_partition" "here" {}
data "aws_region" "here" {}

locals {
  tags        = merge(var.tags, { "afluxo:module" = "knowledge_base" })
  kms_key_arn = var.encryption == null ? null : var.encryption.kms_key_arn
  place       = "${data.aws_caller_identity.me.account_id}-${data.aws_region.here.region}"
  model_arn   = "arn:${data.aws_partition.here.partition}:bedrock:${data.aws_region.here.region}::foundation-model/${var.model}"
  documents   = var.documents_bucket == null ? module.documents[0].id : var.documents_bucket
  bucket_arn  = "arn:${data.aws_partition.here.partition}:s3:::${local.documents}"
}

# --- documents ---------------------------------------------------------------------------------------------------------------

module "documents" {
  count         = var.documents_bucket == null ? 1 : 0
  source        = "../bucket"
  name          = "${var.name}-documents-${local.place}"
  force_destroy = var.force_destroy
  kms_key       = var.encryption == null ? null : { arn = local.kms_key_arn }
  tags          = local.tags
}

# --- vectors -----------------------------------------------------------------------------------------------------------------

# Its encryption is fixed when it is made: another key means another bucket, and all documents read anew.
resource "aws_s3vectors_vector_bucket" "this" {
  vector_bucket_name = "${var.name}-vectors-${local.place}"
  force_destroy      = var.force_destroy
  tags               = local.tags
  encryption_configuration = [{
    sse_type    = var.encryption == null ? "AES256" : "aws:kms"
    kms_key_arn = local.kms_key_arn
  }]
}

resource "aws_s3vectors_index" "this" {
  vector_bucket_name = aws_s3vectors_vector_bucket.this.vector_bucket_name
  index_name         = "${var.name}-documents"
  data_type          = "float32"
  dimension          = var.dimension
  distance_metric    = var.distance
  tags               = local.tags
  metadata_configuration {
    # Texts are read, not searched by: a filterable entry may have 2 KB at most.
    non_filterable_metadata_keys = ["AMAZON_BEDROCK_TEXT", "AMAZON_BEDROCK_METADATA"]
  }
}

# --- what the knowledge base may do --------------------------------------------------------------------------------------------

data "aws_iam_policy_document" "trust" {
  statement {
    actions = ["sts:AssumeRole"]
    principals {
      type        = "Service"
      identifiers = ["bedrock.amazonaws.com"]
    }
    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.me.account_id]
    }
    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      # its identifier is not known before it is made, and it is made with this role
      values = ["arn:${data.aws_partition.here.partition}:bedrock:${data.aws_region.here.region}:${data.aws_caller_identity.me.account_id}:knowledge-base/*"]
    }
  }
}

data "aws_iam_policy_document" "work" {
  statement {
    sid       = "Embed"
    actions   = ["bedrock:InvokeModel"]
    resources = [local.model_arn]
  }
  statement {
    sid       = "ListDocuments"
    actions   = ["s3:ListBucket"]
    resources = [local.bucket_arn]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceAccount"
      values   = [data.aws_caller_identity.me.account_id]
    }
  }
  statement {
    sid       = "ReadDocuments"
    actions   = ["s3:GetObject"]
    resources = ["${local.bucket_arn}/${var.prefix}*"]
    condition {
      test     = "StringEquals"
      variable = "aws:ResourceAccount"
      values   = [data.aws_caller_identity.me.account_id]
    }
  }
  statement {
    sid       = "Vectors" # GetVectors: an answer with its text is a query and a reading
    actions   = ["s3vectors:GetIndex", "s3vectors:PutVectors", "s3vectors:GetVectors", "s3vectors:DeleteVectors", "s3vectors:QueryVectors"]
    resources = [aws_s3vectors_index.this.index_arn]
  }
  dynamic "statement" {
    for_each = var.encryption == null ? [] : [var.encryption.kms_key_arn]
    content {
      sid       = "Key"
      actions   = ["kms:Decrypt", "kms:GenerateDataKey"]
      resources = [statement.value]
    }
  }
}

resource "aws_iam_role" "this" {
  name               = "${var.name}-knowledge-base"
  description        = "Bedrock's knowledge base of ${var.name}"
  assume_role_policy = data.aws_iam_policy_document.trust.json
  tags               = local.tags
}

resource "aws_iam_role_policy" "work" {
  name   = "work"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.work.json
}

# --- knowledge base ------------------------------------------------------------------------------------------------------------

resource "aws_bedrockagent_knowledge_base" "this" {
  name        = var.name
  description = "Documents of ${var.name}"
  role_arn    = aws_iam_role.this.arn
  tags        = local.tags
  knowledge_base_configuration {
    type = "VECTOR"
    vector_knowledge_base_configuration {
      embedding_model_arn = local.model_arn
      embedding_model_configuration {
        bedrock_embedding_model_configuration {
          dimensions          = var.dimension
          embedding_data_type = "FLOAT32"
        }
      }
    }
  }
  storage_configuration {
    type = "S3_VECTORS"
    s3_vectors_configuration {
      index_arn = aws_s3vectors_index.this.index_arn
    }
  }
  # Bedrock tries the role when the knowledge base is made.
  depends_on = [aws_iam_role_policy.work]
}

resource "aws_bedrockagent_data_source" "documents" {
  knowledge_base_id = aws_bedrockagent_knowledge_base.this.id
  name              = "documents"
  description       = "s3://${local.documents}/${var.prefix}"
  # RETAIN: the vectors go with their bucket. DELETE would want the role at a time when a destroy may have taken it.
  data_deletion_policy = "RETAIN"
  data_source_configuration {
    type = "S3"
    s3_configuration {
      bucket_arn              = local.bucket_arn
      bucket_owner_account_id = data.aws_caller_identity.me.account_id
      inclusion_prefixes      = var.prefix == "" ? null : [var.prefix]
    }
  }
  vector_ingestion_configuration {
    chunking_configuration {
      chunking_strategy = "FIXED_SIZE"
      fixed_size_chunking_configuration {
        max_tokens         = var.chunk_tokens
        overlap_percentage = var.chunk_overlap_percent
      }
    }
  }
}

# --- what whoever asks it may do: for a role of the caller's choice ----------------------------------------------------------------

data "aws_iam_policy_document" "ask" {
  statement {
    sid       = "Ask"
    actions   = ["bedrock:Retrieve"]
    resources = [aws_bedrockagent_knowledge_base.this.arn]
  }
}
