output "id" {
  description = "Identifier of the knowledge base, which Bedrock's calls take."
  value       = aws_bedrockagent_knowledge_base.this.id
}

output "arn" {
  description = "Its ARN."
  value       = aws_bedrockagent_knowledge_base.this.arn
}

output "data_source_id" {
  description = "Its source: aws bedrock-agent start-ingestion-job --knowledge-base-id ID --data-source-id THIS reads what is new."
  value       = aws_bedrockagent_data_source.documents.data_source_id
}

output "documents_bucket" {
  description = "Where documents are to be put."
  value       = local.documents
}

output "ask_policy_json" {
  description = "Policy document for whoever asks: nothing but bedrock:Retrieve on this knowledge base."
  value       = data.aws_iam_policy_document.ask.json
}
