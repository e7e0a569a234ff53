# The resources of deploy/aws/compute.yaml for teams that use Terraform. Never applied: docs/deploy.md says what was
# checked. deploy/aws/compute.yaml has the reasons.
terraform {
  required_version = ">= 1.9"
  required_providers {
    aws = { source = "hashicorp/aws", version = ">= 6.0, < 7.0" }
  }
}

variable "environment" {
  description = "The environment whose data module it uses"
  type        = string
  validation {
    condition     = contains(["dev", "staging", "production"], var.environment)
    error_message = "The environment is dev, staging or production."
  }
}

variable "bucket_name" {
  description = "bucket_name of the data module"
  type        = string
}

variable "prefix" {
  description = "prefix of the data module"
  type        = string
}

variable "deployments" {
  description = "Full deployments of Dagster+ that this agent serves; empty for branch deployments only"
  type        = string
  default     = "prod"
}

variable "branch_deployments" {
  description = "Whether it serves branch deployments. Their code gets this environment's role: allowed in dev only"
  type        = bool
  default     = false
  validation {
    condition     = !var.branch_deployments || var.environment == "dev"
    error_message = "Code of a pull request must not get the role of staging or production."
  }
}

variable "vpc_id" {
  description = "With DNS hostnames and DNS support"
  type        = string
}

variable "subnet_ids" {
  description = "Subnets with a way out: an internet gateway (assign_public_ip) or a NAT gateway"
  type        = list(string)
}

variable "assign_public_ip" {
  type    = bool
  default = true
}

variable "agent_image" {
  description = "The version of dagster in requirements.lock"
  type        = string
  default     = "docker.io/dagster/dagster-cloud-agent:1.13.27"
}

variable "log_retention_days" {
  type    = number
  default = 30
}

data "aws_caller_identity" "current" {}
data "aws_partition" "current" {}
data "aws_region" "current" {}

data "aws_secretsmanager_secret" "agent" {
  name = "netflix/${var.environment}/agent"
}

data "aws_iam_policy" "runner" {
  name = "netflix-${var.environment}-runner"
}

data "aws_iam_policy" "alerts" {
  name = "netflix-${var.environment}-alerts"
}

data "aws_sqs_queue" "events" {
  name = "netflix-${var.environment}-events"
}

data "aws_sns_topic" "alerts" {
  name = "netflix-${var.environment}-alerts"
}

locals {
  account_id        = data.aws_caller_identity.current.account_id
  partition         = data.aws_partition.current.partition
  region            = data.aws_region.current.region
  agent_secret_arn  = data.aws_secretsmanager_secret.agent.arn
  queue_url         = data.aws_sqs_queue.events.url
  topic_arn         = data.aws_sns_topic.alerts.arn
  security_group_id = aws_security_group.main.id
  namespace_id      = aws_service_discovery_private_dns_namespace.main.id
  namespace_arn     = aws_service_discovery_private_dns_namespace.main.arn
}

resource "aws_cloudwatch_log_group" "agent" {
  name              = "/netflix-assets/${var.environment}/agent"
  retention_in_days = var.log_retention_days
}

resource "aws_cloudwatch_log_group" "code" {
  name              = "/netflix-assets/${var.environment}/code"
  retention_in_days = var.log_retention_days
}

resource "aws_ecs_cluster" "main" {
  name = "netflix-${var.environment}"
}

resource "aws_ecs_cluster_capacity_providers" "main" {
  cluster_name       = aws_ecs_cluster.main.name
  capacity_providers = ["FARGATE"]
}

resource "aws_service_discovery_private_dns_namespace" "main" {
  name = "netflix-${var.environment}.internal"
  vpc  = var.vpc_id
}

resource "aws_security_group" "main" {
  name        = "netflix-${var.environment}"
  description = "netflix-assets on ECS"
  vpc_id      = var.vpc_id
}

resource "aws_vpc_security_group_egress_rule" "https" {
  security_group_id = aws_security_group.main.id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
  cidr_ipv4         = "0.0.0.0/0"
  description       = "HTTPS"
}

resource "aws_vpc_security_group_egress_rule" "revocation" {
  security_group_id = aws_security_group.main.id
  ip_protocol       = "tcp"
  from_port         = 80
  to_port           = 80
  cidr_ipv4         = "0.0.0.0/0"
  description       = "Certificate revocation"
}

resource "aws_vpc_security_group_ingress_rule" "code_servers" {
  security_group_id            = aws_security_group.main.id
  referenced_security_group_id = aws_security_group.main.id
  ip_protocol                  = "tcp"
  from_port                    = 4000
  to_port                      = 4000
  description                  = "gRPC of code servers"
}

resource "aws_vpc_security_group_egress_rule" "code_servers" {
  security_group_id            = aws_security_group.main.id
  referenced_security_group_id = aws_security_group.main.id
  ip_protocol                  = "tcp"
  from_port                    = 4000
  to_port                      = 4000
  description                  = "gRPC of code servers"
}

resource "aws_iam_role" "runner" {
  name               = "netflix-${var.environment}-runner"
  assume_role_policy = jsonencode(local.policies.task_trust)
}

resource "aws_iam_role_policy_attachment" "runner" {
  role       = aws_iam_role.runner.name
  policy_arn = data.aws_iam_policy.runner.arn
}

resource "aws_iam_role_policy_attachment" "alerts" {
  role       = aws_iam_role.runner.name
  policy_arn = data.aws_iam_policy.alerts.arn
}

resource "aws_iam_role" "execution" {
  name               = "netflix-${var.environment}-execution"
  assume_role_policy = jsonencode(local.policies.task_trust)
}

resource "aws_iam_role_policy" "execution" {
  name   = "start-tasks"
  role   = aws_iam_role.execution.name
  policy = jsonencode(local.policies.execution)
}

resource "aws_iam_role" "agent" {
  name               = "netflix-${var.environment}-agent"
  assume_role_policy = jsonencode(local.policies.task_trust)
}

resource "aws_iam_role_policy" "agent" {
  name   = "launch-code"
  role   = aws_iam_role.agent.name
  policy = jsonencode(local.policies.agent)
}

resource "aws_ecs_task_definition" "agent" {
  family                   = "netflix-${var.environment}-agent"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = "256"
  memory                   = "1024"
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = aws_iam_role.agent.arn
  container_definitions    = jsonencode(local.containers)
}

resource "aws_ecs_service" "agent" {
  name                               = "agent"
  cluster                            = aws_ecs_cluster.main.id
  launch_type                        = "FARGATE"
  task_definition                    = aws_ecs_task_definition.agent.arn
  desired_count                      = 1
  deployment_minimum_healthy_percent = 0
  deployment_maximum_percent         = 100

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }
  network_configuration {
    assign_public_ip = var.assign_public_ip
    security_groups  = [aws_security_group.main.id]
    subnets          = var.subnet_ids
  }
}

output "cluster_name" {
  value = aws_ecs_cluster.main.name
}

output "runner_role_arn" {
  value = aws_iam_role.runner.arn
}
