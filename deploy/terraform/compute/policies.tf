# The policy documents and the agent's container of deploy/aws/compute.yaml. deploy/checks/terraform.py evaluates and
# compares them.
locals {
  registry_arn  = "arn:${local.partition}:ecr:${local.region}:${local.account_id}:repository"
  ecs_arn       = "arn:${local.partition}:ecs:${local.region}:${local.account_id}"
  logs_arn      = "arn:${local.partition}:logs:${local.region}:${local.account_id}:log-group:/netflix-assets/${var.environment}"
  role_arn      = "arn:${local.partition}:iam::${local.account_id}:role/netflix-${var.environment}"
  discovery_arn = "arn:${local.partition}:servicediscovery:${local.region}:${local.account_id}"
  cluster       = "netflix-${var.environment}"

  policies = {
    task_trust = {
      Version = "2012-10-17"
      Statement = [{
        Sid       = "TasksOfThisAccount"
        Effect    = "Allow"
        Principal = { Service = "ecs-tasks.amazonaws.com" }
        Action    = "sts:AssumeRole"
        Condition = {
          ArnLike      = { "aws:SourceArn" = "${local.ecs_arn}:*" }
          StringEquals = { "aws:SourceAccount" = local.account_id }
        }
      }]
    }
    execution = {
      Version = "2012-10-17"
      Statement = [
        { Sid = "LogIn", Effect = "Allow", Action = "ecr:GetAuthorizationToken", Resource = "*" },
        {
          Sid      = "PullImages"
          Effect   = "Allow"
          Action   = ["ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
          Resource = ["${local.registry_arn}/netflix-assets", "${local.registry_arn}/netflix-assets-branches"]
        },
        {
          Sid      = "WriteLogs"
          Effect   = "Allow"
          Action   = ["logs:CreateLogStream", "logs:PutLogEvents"]
          Resource = ["${local.logs_arn}/agent:*", "${local.logs_arn}/code:*"]
        },
        {
          Sid      = "ReadAgentToken"
          Effect   = "Allow"
          Action   = "secretsmanager:GetSecretValue"
          Resource = local.agent_secret_arn
        },
      ]
    }
    agent = {
      Version = "2012-10-17"
      Statement = [
        {
          Sid    = "LaunchInTheCluster"
          Effect = "Allow"
          Action = [
            "ecs:CreateService",
            "ecs:DeleteService",
            "ecs:DescribeServices",
            "ecs:DescribeTasks",
            "ecs:ListServices",
            "ecs:ListTasks",
            "ecs:RunTask",
            "ecs:StopTask",
            "ecs:UpdateService",
          ]
          Resource  = "*"
          Condition = { ArnEquals = { "ecs:cluster" = "${local.ecs_arn}:cluster/${local.cluster}" } }
        },
        {
          Sid      = "TagInTheCluster"
          Effect   = "Allow"
          Action   = ["ecs:TagResource", "ecs:ListTagsForResource"]
          Resource = ["${local.ecs_arn}:service/${local.cluster}/*", "${local.ecs_arn}:task/${local.cluster}/*"]
        },
        {
          Sid    = "DefineTasks"
          Effect = "Allow"
          Action = [
            "ec2:DescribeNetworkInterfaces",
            "ecs:DescribeTaskDefinition",
            "ecs:ListAccountSettings",
            "ecs:RegisterTaskDefinition",
            "servicediscovery:GetOperation",
            "servicediscovery:ListServices",
            "tag:GetResources",
          ]
          Resource = "*"
        },
        {
          Sid       = "GiveTasksTheirRoles"
          Effect    = "Allow"
          Action    = "iam:PassRole"
          Resource  = ["${local.role_arn}-runner", "${local.role_arn}-execution"]
          Condition = { StringEquals = { "iam:PassedToService" = "ecs-tasks.amazonaws.com" } }
        },
        {
          Sid      = "NameCodeServers"
          Effect   = "Allow"
          Action   = ["servicediscovery:CreateService", "servicediscovery:GetNamespace", "servicediscovery:TagResource"]
          Resource = local.namespace_arn
        },
        {
          Sid    = "RemoveCodeServers"
          Effect = "Allow"
          Action = [
            "servicediscovery:DeleteService",
            "servicediscovery:DeregisterInstance",
            "servicediscovery:ListInstances",
            "servicediscovery:ListTagsForResource",
            "servicediscovery:TagResource",
          ]
          Resource = "${local.discovery_arn}:service/*"
        },
        {
          Sid      = "ShowWhyATaskFailed"
          Effect   = "Allow"
          Action   = "logs:GetLogEvents"
          Resource = "${local.logs_arn}/code:*"
        },
      ]
    }
  }

  containers = [{
    name        = "agent"
    image       = var.agent_image
    essential   = true
    stopTimeout = 120
    entryPoint  = ["sh", "-c"]
    command = [
      "mkdir -p \"$DAGSTER_HOME\" && printenv AGENT_CONFIG > \"$DAGSTER_HOME/dagster.yaml\" && exec dagster-cloud agent run",
    ]
    environment = [
      { name = "DAGSTER_HOME", value = "/opt/dagster/dagster_home" },
      { name = "AGENT_CONFIG", value = local.agent_config },
    ]
    secrets = [{ name = "DAGSTER_CLOUD_AGENT_TOKEN", valueFrom = "${local.agent_secret_arn}:dagster_agent_token::" }]
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = "/netflix-assets/${var.environment}/agent"
        awslogs-region        = local.region
        awslogs-stream-prefix = "agent"
      }
    }
    healthCheck = {
      command     = ["CMD-SHELL", "test -f /opt/finished_initial_reconciliation_sentinel.txt"]
      interval    = 60
      retries     = 5
      startPeriod = 300
    }
  }]

  agent_config = <<-YAML
    instance_class:
      module: dagster_cloud.instance
      class: DagsterCloudAgentInstance
    dagster_cloud_api:
      agent_token: {env: DAGSTER_CLOUD_AGENT_TOKEN}
      deployments: [${var.deployments}]
      branch_deployments: ${var.branch_deployments}
    user_code_launcher:
      module: dagster_cloud.workspace.ecs
      class: EcsUserCodeLauncher
      config:
        cluster: ${local.cluster}
        subnets: [${join(", ", var.subnet_ids)}]
        security_group_ids: [${local.security_group_id}]
        assign_public_ip: ${var.assign_public_ip}
        service_discovery_namespace_id: ${local.namespace_id}
        execution_role_arn: ${local.role_arn}-execution
        task_role_arn: ${local.role_arn}-runner
        log_group: /netflix-assets/${var.environment}/code
        env_vars:
          - NETFLIX_BUCKET=${var.bucket_name}
          - NETFLIX_BUCKET_PREFIX=${var.prefix}
          - NETFLIX_S3_REGION=${local.region}
          - NETFLIX_EVENTS_QUEUE_URL=${local.queue_url}
          - NETFLIX_SNS_TOPIC_ARN=${local.topic_arn}
    compute_logs:
      module: dagster_aws.s3.compute_log_manager
      class: S3ComputeLogManager
      config: {bucket: ${var.bucket_name}-logs, region: ${local.region}, upload_interval: 30, show_url_only: true}
  YAML
}
