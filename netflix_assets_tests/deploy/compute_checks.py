"""What the resources of compute.yaml are, asked of the API of moto."""

import re
from collections.abc import Callable
from typing import Any

from netflix_assets_tests.deploy.data_checks import REPOSITORIES, TOPIC_ARN, actions, statements
from netflix_assets_tests.deploy.stacks import (
    ACCOUNT,
    BUCKET,
    ENV,
    REGION,
    TEMPLATES,
    Cloud,
)


def check_log_group(name: str) -> Callable[[Cloud], None]:
    def check(cloud: Cloud) -> None:
        found = cloud.client("logs").describe_log_groups(logGroupNamePrefix=f"/netflix-assets/{ENV}/{name}")
        assert [int(each["retentionInDays"]) for each in found["logGroups"]] == [30]

    return check


def check_cluster(cloud: Cloud) -> None:
    (cluster,) = cloud.client("ecs").describe_clusters(clusters=[f"netflix-{ENV}"])["clusters"]
    assert cluster["capacityProviders"] == ["FARGATE"]


def check_namespace(cloud: Cloud) -> None:
    (namespace,) = cloud.client("servicediscovery").list_namespaces()["Namespaces"]
    assert (namespace["Name"], namespace["Type"]) == (f"netflix-{ENV}.internal", "DNS_PRIVATE")


def security_group(cloud: Cloud) -> dict[str, Any]:
    found = cloud.client("ec2").describe_security_groups(Filters=[{"Name": "group-name", "Values": [f"netflix-{ENV}"]}])
    (group,) = found["SecurityGroups"]
    return group


def check_security_group(cloud: Cloud) -> None:
    out = [
        (each["FromPort"], [ip["CidrIp"] for ip in each["IpRanges"]])
        for each in security_group(cloud)["IpPermissionsEgress"]
        if each["IpRanges"]
    ]
    assert sorted(out) == [(80, ["0.0.0.0/0"]), (443, ["0.0.0.0/0"])]


def check_code_servers(direction: str) -> Callable[[Cloud], None]:
    def check(cloud: Cloud) -> None:
        group = security_group(cloud)
        rules = [each for each in group[direction] if each["UserIdGroupPairs"]]
        assert [(each["FromPort"], each["ToPort"]) for each in rules] == [(4000, 4000)]
        assert [pair["GroupId"] for each in rules for pair in each["UserIdGroupPairs"]] == [group["GroupId"]]
        assert direction == "IpPermissionsEgress" or group[direction] == rules  # nothing else comes in

    return check


def check_task_trust(cloud: Cloud, role: str) -> None:
    (trust,) = cloud.client("iam").get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "ecs-tasks.amazonaws.com"}
    assert trust["Condition"] == {
        "ArnLike": {"aws:SourceArn": f"arn:aws:ecs:{REGION}:{ACCOUNT}:*"},
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
    }


def check_runner_role(cloud: Cloud) -> None:
    role, iam = f"netflix-{ENV}-runner", cloud.client("iam")
    check_task_trust(cloud, role)
    attached = {each["PolicyName"] for each in iam.list_attached_role_policies(RoleName=role)["AttachedPolicies"]}
    assert attached == {f"netflix-{ENV}-runner", f"netflix-{ENV}-alerts"}
    assert iam.list_role_policies(RoleName=role)["PolicyNames"] == []


def check_execution_role(cloud: Cloud) -> None:
    role = f"netflix-{ENV}-execution"
    check_task_trust(cloud, role)
    allowed = {each["Sid"]: each for each in statements(cloud, role, "start-tasks")}
    assert {sid for sid, each in allowed.items() if each["Resource"] == "*"} == {"LogIn"}
    assert allowed["ReadAgentToken"]["Resource"] == cloud.outputs["data"]["AgentSecretArn"]
    assert allowed["PullImages"]["Resource"] == REPOSITORIES
    assert all("/netflix-assets/dev/" in each for each in allowed["WriteLogs"]["Resource"])


# Of these the agent has no narrower resource. The services are those of dagster_cloud.workspace.ecs.
UNSCOPED = {
    "ec2:DescribeNetworkInterfaces",
    "ecs:DescribeTaskDefinition",
    "ecs:ListAccountSettings",
    "ecs:RegisterTaskDefinition",
    "servicediscovery:GetOperation",
    "servicediscovery:ListServices",
    "tag:GetResources",
}


def check_agent_role(cloud: Cloud) -> None:
    role = f"netflix-{ENV}-agent"
    check_task_trust(cloud, role)
    allowed = statements(cloud, role, "launch-code")
    assert not [action for each in allowed for action in actions(each) if "*" in action]
    unscoped = [each for each in allowed if each["Resource"] == "*" and "Condition" not in each]
    assert {action for each in unscoped for action in actions(each)} == UNSCOPED
    (passing,) = [each for each in allowed if each["Action"] == "iam:PassRole"]
    assert passing["Resource"] == [
        f"arn:aws:iam::{ACCOUNT}:role/netflix-{ENV}-{each}" for each in ("runner", "execution")
    ]
    assert passing["Condition"] == {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    assert {action.partition(":")[0] for each in allowed for action in actions(each)} == {
        "ec2",
        "ecs",
        "iam",
        "logs",
        "servicediscovery",
        "tag",
    }


def check_agent_task(cloud: Cloud) -> None:
    task = cloud.client("ecs").describe_task_definition(taskDefinition=f"netflix-{ENV}-agent")["taskDefinition"]
    assert task["taskRoleArn"].endswith(f"role/netflix-{ENV}-agent")
    assert task["executionRoleArn"].endswith(f"role/netflix-{ENV}-execution")
    (agent,) = task["containerDefinitions"]
    secret = cloud.outputs["data"]["AgentSecretArn"]
    assert agent["secrets"] == [{"name": "DAGSTER_CLOUD_AGENT_TOKEN", "valueFrom": f"{secret}:dagster_agent_token::"}]
    assert agent["logConfiguration"]["options"]["awslogs-group"] == f"/netflix-assets/{ENV}/agent"
    # deploy/checks/agent.py validates the configuration with the agent's schema; here: nothing is left unresolved.
    (config,) = [each["value"] for each in agent["environment"] if each["name"] == "AGENT_CONFIG"]
    assert "${" not in config
    assert f"NETFLIX_BUCKET={BUCKET}\n" in config
    assert f"NETFLIX_SNS_TOPIC_ARN={TOPIC_ARN}\n" in config
    versions = re.findall(r"^dagster==(\S+)", (TEMPLATES.parents[1] / "requirements.lock").read_text(), re.MULTILINE)
    assert [agent["image"]] == [f"docker.io/dagster/dagster-cloud-agent:{version}" for version in versions]


def check_agent_service(cloud: Cloud) -> None:
    (service,) = cloud.client("ecs").describe_services(cluster=f"netflix-{ENV}", services=["agent"])["services"]
    assert (service["desiredCount"], service["launchType"]) == (1, "FARGATE")
    # moto does not keep these.
    declared = cloud.properties("compute", "AgentService")
    network = declared["NetworkConfiguration"]["AwsvpcConfiguration"]
    assert (network["AssignPublicIp"], network["SecurityGroups"]) == ("ENABLED", [security_group(cloud)["GroupId"]])
    assert declared["DeploymentConfiguration"]["MaximumPercent"] == 100  # never two agents
