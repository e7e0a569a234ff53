# The policy documents of deploy/aws/data.yaml. deploy/checks/terraform.py evaluates and compares them.
locals {
  landing_arn = "arn:${local.partition}:s3:::${var.bucket_name}"
  logs_arn    = "arn:${local.partition}:s3:::${var.bucket_name}-logs"

  policies = {
    landing_bucket = {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.landing_arn, "${local.landing_arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }]
    }
    logs_bucket = {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "OnlyOverTls"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.logs_arn, "${local.logs_arn}/*"]
        Condition = { Bool = { "aws:SecureTransport" = "false" } }
      }]
    }
    events_queue = {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "EventsOfTheBucket"
        Effect    = "Allow"
        Principal = { Service = "s3.amazonaws.com" }
        Action    = "sqs:SendMessage"
        Resource  = local.queue_arn
        Condition = {
          ArnEquals    = { "aws:SourceArn" = local.landing_arn }
          StringEquals = { "aws:SourceAccount" = local.account_id }
        }
      }]
    }
    alerts_topic = {
      Version = "2012-10-17"
      Statement = [
        {
          Sid       = "RolesOfThisAccount"
          Effect    = "Allow"
          Principal = { AWS = "arn:${local.partition}:iam::${local.account_id}:root" }
          Action    = ["sns:Publish", "sns:Subscribe", "sns:GetTopicAttributes"]
          Resource  = local.topic_arn
        },
        {
          Sid       = "AlarmsOfThisAccount"
          Effect    = "Allow"
          Principal = { Service = "cloudwatch.amazonaws.com" }
          Action    = "sns:Publish"
          Resource  = local.topic_arn
          Condition = { StringEquals = { "aws:SourceAccount" = local.account_id } }
        },
        {
          Sid       = "OnlyOverTls"
          Effect    = "Deny"
          Principal = "*"
          Action    = "sns:Publish"
          Resource  = local.topic_arn
          Condition = { Bool = { "aws:SecureTransport" = "false" } }
        },
      ]
    }
    runner = {
      Version = "2012-10-17"
      Statement = [
        {
          Sid      = "ReadFiles"
          Effect   = "Allow"
          Action   = "s3:GetObject"
          Resource = "${local.landing_arn}/${var.prefix}*"
        },
        {
          Sid       = "ListFiles"
          Effect    = "Allow"
          Action    = "s3:ListBucket"
          Resource  = local.landing_arn
          Condition = { StringLike = { "s3:prefix" = "${var.prefix}*" } }
        },
        {
          Sid      = "LandFiles"
          Effect   = "Allow"
          Action   = ["s3:PutObject", "s3:AbortMultipartUpload"]
          Resource = "${local.landing_arn}/${var.prefix}*"
        },
        {
          Sid      = "ReceiveEvents"
          Effect   = "Allow"
          Action   = ["sqs:ReceiveMessage", "sqs:DeleteMessage"]
          Resource = local.queue_arn
        },
        {
          Sid      = "KeepRunLogs"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:DeleteObject"]
          Resource = "${local.logs_arn}/dagster/*"
        },
        {
          Sid       = "ListRunLogs"
          Effect    = "Allow"
          Action    = "s3:ListBucket"
          Resource  = local.logs_arn
          Condition = { StringLike = { "s3:prefix" = "dagster/*" } }
        },
        {
          Sid      = "ReadSecret"
          Effect   = "Allow"
          Action   = "secretsmanager:GetSecretValue"
          Resource = local.secret_arn
        },
      ]
    }
    alerts = {
      Version = "2012-10-17"
      Statement = [
        { Sid = "PublishAlerts", Effect = "Allow", Action = "sns:Publish", Resource = local.topic_arn },
      ]
    }
    snowflake_trust = {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "SnowflakeOfThisAccount"
        Effect    = "Allow"
        Principal = { AWS = var.snowflake_user_arn }
        Action    = "sts:AssumeRole"
        Condition = { StringEquals = { "sts:ExternalId" = var.snowflake_external_id } }
      }]
    }
    snowflake = {
      Version = "2012-10-17"
      Statement = [
        {
          Sid      = "ReadFiles"
          Effect   = "Allow"
          Action   = ["s3:GetObject", "s3:GetObjectVersion"]
          Resource = "${local.landing_arn}/${var.prefix}*"
        },
        {
          Sid       = "ListFiles"
          Effect    = "Allow"
          Action    = "s3:ListBucket"
          Resource  = local.landing_arn
          Condition = { StringLike = { "s3:prefix" = "${var.prefix}*" } }
        },
        {
          Sid      = "FindRegion"
          Effect   = "Allow"
          Action   = "s3:GetBucketLocation"
          Resource = local.landing_arn
        },
      ]
    }
  }
}
