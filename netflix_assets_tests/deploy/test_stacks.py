"""Every resource of deploy/aws, read back through the API of moto after the stacks were created there."""

import re
from collections.abc import Callable, Iterator

import pytest

from netflix_assets.settings import ENVIRONMENTS
from netflix_assets_tests.deploy.compute_checks import (
    check_agent_role,
    check_agent_service,
    check_agent_task,
    check_cluster,
    check_code_servers,
    check_execution_role,
    check_log_group,
    check_namespace,
    check_runner_role,
    check_security_group,
)
from netflix_assets_tests.deploy.data_checks import (
    STACKS,
    check_alarm,
    check_alerts_policy,
    check_bucket_policy,
    check_budget,
    check_dead_letters,
    check_events_queue,
    check_github_provider,
    check_landing_bucket,
    check_logs_bucket,
    check_push_role,
    check_queue_policy,
    check_repository,
    check_runner_policy,
    check_secret,
    check_snowflake_role,
    check_topic,
    check_topic_policy,
)
from netflix_assets_tests.deploy.stacks import (
    BUCKET,
    ENV,
    MISSING,
    PARAMETERS,
    SNOWFLAKE_USER,
    TEMPLATES,
    Cloud,
    deployed,
    supported_types,
)


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with deployed() as cloud:
        yield cloud


def test_what_moto_cannot_create_is_known() -> None:
    types = {resource["Type"] for each in STACKS.values() for resource in each["Resources"].values()}
    assert types - supported_types() == set(MISSING)


CHECKS: dict[str, Callable[[Cloud], None]] = {
    "Repository": check_repository("netflix-assets", ("untagged", "sinceImagePushed")),
    "BranchRepository": check_repository("netflix-assets-branches", ("any", "imageCountMoreThan")),
    "GitHubProvider": check_github_provider,
    "PushRole": check_push_role,
    "Budget": check_budget,
    "LandingBucket": check_landing_bucket,
    "LandingBucketPolicy": check_bucket_policy(BUCKET),
    "LogsBucket": check_logs_bucket,
    "LogsBucketPolicy": check_bucket_policy(f"{BUCKET}-logs"),
    "EventsQueue": check_events_queue,
    "DeadLetters": check_dead_letters,
    "EventsQueuePolicy": check_queue_policy,
    "AlertsTopic": check_topic,
    "AlertsTopicPolicy": check_topic_policy,
    "DeadLettersAlarm": check_alarm,
    "Secret": check_secret("Secret", f"netflix/{ENV}"),
    "AgentSecret": check_secret("AgentSecret", f"netflix/{ENV}/agent"),
    "RunnerPolicy": check_runner_policy,
    "AlertsPolicy": check_alerts_policy,
    "SnowflakeRole": check_snowflake_role,
    "AgentLogs": check_log_group("agent"),
    "CodeLogs": check_log_group("code"),
    "Cluster": check_cluster,
    "Namespace": check_namespace,
    "SecurityGroup": check_security_group,
    "CodeServersIn": check_code_servers("IpPermissions"),
    "CodeServersOut": check_code_servers("IpPermissionsEgress"),
    "RunnerRole": check_runner_role,
    "ExecutionRole": check_execution_role,
    "AgentRole": check_agent_role,
    "AgentTask": check_agent_task,
    "AgentService": check_agent_service,
}


def test_every_resource_has_a_check() -> None:
    declared = [name for each in STACKS.values() for name in each["Resources"]]
    assert len(declared) == len(set(declared))
    assert set(declared) == set(CHECKS)
    assert {file.stem for file in TEMPLATES.glob("*.yaml")} == set(STACKS)


@pytest.mark.parametrize("resource", CHECKS)
def test_resource(resource: str, cloud: Cloud) -> None:
    CHECKS[resource](cloud)


# ---------------------------------------------------------------- parameters

REFUSED = [
    ("BucketName", ["my'bucket", "my-bucket\n", "my.bucket", "My-Bucket", "b\u00fccket", "", "a" * 59, "*", "ab"]),
    ("Prefix", ["dev", "/dev/", "../", "a/../b/", "a//", "*/", "${aws:username}/", "a b/", 'a"/', "a/\n", ""]),
    ("SnowflakeUserArn", ["*", "arn:aws:iam::123456789012:root", f'{SNOWFLAKE_USER}", "*', "arn:aws:iam::1:user/x"]),
    ("SnowflakeExternalId", ['x"}}', "*", "x", "abc\n"]),
    ("AlertsEmail", ["team", "a b@example.com", "a@b@c d"]),
]


@pytest.mark.parametrize(("parameter", "values"), REFUSED)
def test_a_parameter_refuses(parameter: str, values: list[str]) -> None:
    pattern = STACKS["data"]["Parameters"][parameter]["AllowedPattern"]
    assert [value for value in values if re.fullmatch(pattern, value, re.ASCII)] == []
    assert re.fullmatch(pattern, PARAMETERS["data"][parameter], re.ASCII)


def test_the_environments_are_those_of_the_settings() -> None:
    for stack in ("data", "compute"):
        assert STACKS[stack]["Parameters"]["Environment"]["AllowedValues"] == list(ENVIRONMENTS)
