# The resources of deploy/aws/data.yaml for teams that use Terraform. Never applied: docs/deploy.md says what was
# checked. deploy/aws/data.yaml has the reasons.
terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 6.0, < 7.0" }
  }
}

variable "environment" {
  description = "NETFLIX_ENV"
  type        = string
  validation {
    condition     = contains(["dev", "staging", "production"], var.environment)
    error_message = "The environment is dev, staging or production."
  }
}

variable "bucket_name" {
  description = "NETFLIX_BUCKET. The bucket of run logs is called <this>-logs."
  type        = string
  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9-]{1,56}[a-z0-9]$", var.bucket_name))
    error_message = "A bucket name has 3 to 58 of a-z, 0-9 and hyphens."
  }
}

variable "prefix" {
  description = "NETFLIX_BUCKET_PREFIX, by default the name of the environment with a slash"
  type        = string
  validation {
    condition     = can(regex("^([A-Za-z0-9_-][A-Za-z0-9_.=-]*/)+$", var.prefix))
    error_message = "A prefix is like production/, with a slash at the end."
  }
}

variable "snowflake_user_arn" {
  description = "STORAGE_AWS_IAM_USER_ARN of `desc storage integration`; without it Snowflake gets no role"
  type        = string
  default     = ""
  validation {
    condition     = can(regex("^(|arn:aws[a-z-]*:iam::[0-9]{12}:user/[A-Za-z0-9_+=,.@/-]{1,500})$", var.snowflake_user_arn))
    error_message = "The user is arn:aws:iam::<account>:user/<name>."
  }
}

variable "snowflake_external_id" {
  description = "STORAGE_AWS_EXTERNAL_ID of `desc storage integration`"
  type        = string
  default     = ""
  validation {
    condition     = (var.snowflake_external_id == "") == (var.snowflake_user_arn == "")
    error_message = "Set snowflake_user_arn and snowflake_external_id together."
  }
}

variable "alerts_email" {
  description = "An address that gets what is published to the topic; AWS asks it to confirm"
  type        = string
  default     = ""
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}

locals {
  account_id = data.aws_caller_identity.current.account_id
  partition  = data.aws_partition.current.partition
  queue_arn  = aws_sqs_queue.events.arn
  topic_arn  = aws_sns_topic.alerts.arn
  secret_arn = aws_secretsmanager_secret.main.arn
}

resource "aws_s3_bucket" "landing" {
  bucket = var.bucket_name
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_versioning" "landing" {
  bucket = aws_s3_bucket.landing.id
  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "landing" {
  bucket = aws_s3_bucket.landing.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "landing" {
  bucket                  = aws_s3_bucket.landing.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "landing" {
  bucket = aws_s3_bucket.landing.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "landing" {
  bucket = aws_s3_bucket.landing.id
  rule {
    id     = "versions-that-were-overwritten-or-deleted"
    status = "Enabled"
    filter {
      prefix = var.prefix
    }
    noncurrent_version_expiration {
      noncurrent_days = 30
    }
    expiration {
      expired_object_delete_marker = true
    }
  }
  rule {
    id     = "uploads-that-never-ended"
    status = "Enabled"
    filter {
      prefix = var.prefix
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
  depends_on = [aws_s3_bucket_versioning.landing]
}

resource "aws_s3_bucket_policy" "landing" {
  bucket     = aws_s3_bucket.landing.id
  policy     = jsonencode(local.policies.landing_bucket)
  depends_on = [aws_s3_bucket_public_access_block.landing]
}

resource "aws_s3_bucket_notification" "landing" {
  bucket = aws_s3_bucket.landing.id
  queue {
    queue_arn     = aws_sqs_queue.events.arn
    events        = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:LifecycleExpiration:*"]
    filter_prefix = var.prefix
  }
  depends_on = [aws_sqs_queue_policy.events]
}

resource "aws_s3_bucket" "logs" {
  bucket = "${var.bucket_name}-logs"
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id
  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "logs" {
  bucket                  = aws_s3_bucket.logs.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "logs" {
  bucket = aws_s3_bucket.logs.id
  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "logs" {
  bucket = aws_s3_bucket.logs.id
  rule {
    id     = "logs-of-old-runs"
    status = "Enabled"
    filter {}
    expiration {
      days = 90
    }
    abort_incomplete_multipart_upload {
      days_after_initiation = 7
    }
  }
}

resource "aws_s3_bucket_policy" "logs" {
  bucket     = aws_s3_bucket.logs.id
  policy     = jsonencode(local.policies.logs_bucket)
  depends_on = [aws_s3_bucket_public_access_block.logs]
}

resource "aws_sqs_queue" "events" {
  name                       = "netflix-${var.environment}-events"
  visibility_timeout_seconds = 60
  message_retention_seconds  = 345600
  sqs_managed_sse_enabled    = true
  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters.arn
    maxReceiveCount     = 5
  })
}

resource "aws_sqs_queue" "dead_letters" {
  name                      = "netflix-${var.environment}-events-dead"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue_policy" "events" {
  queue_url = aws_sqs_queue.events.id
  policy    = jsonencode(local.policies.events_queue)
}

resource "aws_sns_topic" "alerts" {
  name = "netflix-${var.environment}-alerts"
}

resource "aws_sns_topic_subscription" "alerts" {
  count     = var.alerts_email == "" ? 0 : 1
  topic_arn = aws_sns_topic.alerts.arn
  protocol  = "email"
  endpoint  = var.alerts_email
}

resource "aws_sns_topic_policy" "alerts" {
  arn    = aws_sns_topic.alerts.arn
  policy = jsonencode(local.policies.alerts_topic)
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name          = "netflix-${var.environment}-events-dead"
  alarm_description   = "The queue of file events has messages that are not from S3 (docs/running.md)"
  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letters.name }
  statistic           = "Maximum"
  period              = 300
  evaluation_periods  = 1
  threshold           = 0
  comparison_operator = "GreaterThanThreshold"
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alerts.arn]
}

resource "aws_secretsmanager_secret" "main" {
  name        = "netflix/${var.environment}"
  description = "Keys and tokens of netflix-assets: docs/deploy.md"
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_secretsmanager_secret" "agent" {
  name        = "netflix/${var.environment}/agent"
  description = "The token of the Dagster+ agent, as dagster_agent_token: docs/deploy.md"
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_iam_policy" "runner" {
  name   = "netflix-${var.environment}-runner"
  policy = jsonencode(local.policies.runner)
}

resource "aws_iam_policy" "alerts" {
  name   = "netflix-${var.environment}-alerts"
  policy = jsonencode(local.policies.alerts)
}

resource "aws_iam_role" "snowflake" {
  count              = var.snowflake_user_arn == "" ? 0 : 1
  name               = "netflix-${var.environment}-snowflake"
  assume_role_policy = jsonencode(local.policies.snowflake_trust)
}

resource "aws_iam_role_policy" "snowflake" {
  count  = var.snowflake_user_arn == "" ? 0 : 1
  name   = "read-landing"
  role   = aws_iam_role.snowflake[0].name
  policy = jsonencode(local.policies.snowflake)
}

output "landing_bucket_name" {
  description = "NETFLIX_BUCKET"
  value       = aws_s3_bucket.landing.id
}

output "landing_prefix" {
  description = "NETFLIX_BUCKET_PREFIX"
  value       = var.prefix
}

output "events_queue_url" {
  description = "NETFLIX_EVENTS_QUEUE_URL"
  value       = aws_sqs_queue.events.url
}

output "alerts_topic_arn" {
  description = "NETFLIX_SNS_TOPIC_ARN"
  value       = aws_sns_topic.alerts.arn
}

output "logs_bucket_name" {
  description = "NETFLIX_LOGS_BUCKET"
  value       = aws_s3_bucket.logs.id
}

output "secret_arn" {
  description = "NETFLIX_SLACK_TOKEN=<this>:slack_token:: and so on"
  value       = aws_secretsmanager_secret.main.arn
}

output "agent_secret_arn" {
  description = "The secret with the agent's token"
  value       = aws_secretsmanager_secret.agent.arn
}

output "runner_policy_arn" {
  description = "Attach it to the user or role that runs the project outside ECS"
  value       = aws_iam_policy.runner.arn
}

output "alerts_policy_arn" {
  description = "Attach it beside the runner's if alerts go to the topic"
  value       = aws_iam_policy.alerts.arn
}
