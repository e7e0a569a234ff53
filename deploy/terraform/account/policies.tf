# The policy documents of deploy/aws/account.yaml. deploy/checks/terraform.py evaluates and compares them.
locals {
  policies = {
    images = {
      rules = [
        {
          rulePriority = 1
          description  = "Layers of interrupted pushes"
          selection    = { tagStatus = "untagged", countType = "sinceImagePushed", countUnit = "days", countNumber = 7 }
          action       = { type = "expire" }
        },
      ]
    }
    branch_images = {
      rules = [
        {
          rulePriority = 1
          description  = "All but the newest 200 images"
          selection    = { tagStatus = "any", countType = "imageCountMoreThan", countNumber = 200 }
          action       = { type = "expire" }
        },
      ]
    }
    push_trust = {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "WorkflowsOfTheRepository"
        Effect    = "Allow"
        Principal = { Federated = local.provider_arn }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = {
            "token.actions.githubusercontent.com:aud" = "sts.amazonaws.com"
            "token.actions.githubusercontent.com:sub" = [
              "repo:${var.github_repository}:environment:production",
              "repo:${var.github_repository}:environment:staging",
              "repo:${var.github_repository}:environment:branch",
            ]
          }
        }
      }]
    }
    push = {
      Version = "2012-10-17"
      Statement = [
        { Sid = "LogIn", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
        {
          Sid    = "PushImages"
          Effect = "Allow"
          Action = [
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:CompleteLayerUpload",
            "ecr:GetDownloadUrlForLayer",
            "ecr:InitiateLayerUpload",
            "ecr:PutImage",
            "ecr:UploadLayerPart",
          ]
          Resource = local.repository_arns
        },
      ]
    }
  }
}
