# The resources of deploy/aws/account.yaml for teams that use Terraform. Never applied: docs/deploy.md says what was
# checked. deploy/aws/account.yaml has the reasons.
terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 6.0, < 7.0" }
  }
}

variable "github_repository" {
  description = "owner/name of the repository whose workflow pushes images"
  type        = string
}

variable "github_provider_arn" {
  description = "The account's provider for GitHub Actions; empty to create it"
  type        = string
  default     = ""
}

variable "monthly_budget" {
  description = "US dollars per month for the whole account"
  type        = number
  default     = 100
}

variable "budget_email" {
  description = "Address that receives budget alerts"
  type        = string
}

locals {
  repository_arns = [aws_ecr_repository.main.arn, aws_ecr_repository.branches.arn]
  provider_arn    = var.github_provider_arn != "" ? var.github_provider_arn : aws_iam_openid_connect_provider.github[0].arn
}

resource "aws_ecr_repository" "main" {
  name                 = "netflix-assets"
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_ecr_lifecycle_policy" "main" {
  repository = aws_ecr_repository.main.name
  policy     = jsonencode(local.policies.images)
}

resource "aws_ecr_repository" "branches" {
  name                 = "netflix-assets-branches"
  image_tag_mutability = "IMMUTABLE"

  image_scanning_configuration {
    scan_on_push = true
  }
  lifecycle {
    prevent_destroy = true
  }
}

resource "aws_ecr_lifecycle_policy" "branches" {
  repository = aws_ecr_repository.branches.name
  policy     = jsonencode(local.policies.branch_images)
}

resource "aws_iam_openid_connect_provider" "github" {
  count          = var.github_provider_arn == "" ? 1 : 0
  url            = "https://token.actions.githubusercontent.com"
  client_id_list = ["sts.amazonaws.com"]
}

resource "aws_iam_role" "push" {
  name                 = "netflix-image-push"
  max_session_duration = 3600
  assume_role_policy   = jsonencode(local.policies.push_trust)
}

resource "aws_iam_role_policy" "push" {
  name   = "push"
  role   = aws_iam_role.push.name
  policy = jsonencode(local.policies.push)
}

resource "aws_budgets_budget" "main" {
  name         = "netflix-assets"
  budget_type  = "COST"
  time_unit    = "MONTHLY"
  limit_amount = var.monthly_budget
  limit_unit   = "USD"

  notification {
    notification_type          = "ACTUAL"
    comparison_operator        = "GREATER_THAN"
    threshold                  = 80
    threshold_type             = "PERCENTAGE"
    subscriber_email_addresses = [var.budget_email]
  }
  notification {
    notification_type          = "FORECASTED"
    comparison_operator        = "GREATER_THAN"
    threshold                  = 100
    threshold_type             = "PERCENTAGE"
    subscriber_email_addresses = [var.budget_email]
  }
}

output "registry_uri" {
  description = "registry in build.yaml; `make branch-settings` adds -branches to it"
  value       = aws_ecr_repository.main.repository_url
}

output "push_role_arn" {
  description = "the variable AWS_PUSH_ROLE on GitHub"
  value       = aws_iam_role.push.arn
}
