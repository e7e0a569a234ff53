"""The policies of deploy/aws: least privilege, one bucket prefix, one topic."""

import json

import pytest

from netflix_assets_tests.deploy.scripts import ENVS
from netflix_assets_tests.dev.setup_command import (
    EXTERNAL_ID,
    QUEUE_ARN,
    USER_ARN,
    printed,
    run,
)


def policy(file: str, env: str, *options: str) -> dict:
    return json.loads(printed("aws", file, "--env", env, *options))


def actions(statement: dict) -> list[str]:
    return [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


@pytest.mark.parametrize("env", ENVS)
@pytest.mark.parametrize("file", ["snowflake-access", "runner-access"])
def test_policies_cover_only_the_prefix(file: str, env: str) -> None:
    for statement in policy(file, env, "--bucket=my-bucket")["Statement"]:
        assert statement["Effect"] == "Allow"
        assert not [action for action in actions(statement) if "*" in action]
        if set(actions(statement)) & {"s3:ListBucket", "s3:GetBucketLocation"}:
            assert statement["Resource"] == "arn:aws:s3:::my-bucket"
        else:
            assert statement["Resource"] == f"arn:aws:s3:::my-bucket/{env}/*"
        if "s3:ListBucket" in actions(statement):
            assert actions(statement) == ["s3:ListBucket"]  # the condition fits no other action
            assert statement["Condition"] == {"StringLike": {"s3:prefix": [f"{env}/*"]}}


def test_snowflake_can_only_read_and_the_runner_can_only_add() -> None:
    allowed = {
        file: {each["Sid"]: set(actions(each)) for each in policy(file, "dev", "--bucket=my-bucket")["Statement"]}
        for file in ("snowflake-access", "runner-access")
    }
    assert allowed["snowflake-access"] == {
        "ReadFiles": {"s3:GetObject", "s3:GetObjectVersion"},
        "ListFiles": {"s3:ListBucket"},
        "FindRegion": {"s3:GetBucketLocation"},
    }
    assert allowed["runner-access"] == {
        "ReadFiles": {"s3:GetObject"},
        "ListFiles": {"s3:ListBucket"},
        "LandFiles": {"s3:PutObject", "s3:AbortMultipartUpload"},
    }


def test_aws_trusts_one_user_with_one_external_id() -> None:
    trust = policy("snowflake-trust", "dev", f"--snowflake-user={USER_ARN}", f"--external-id={EXTERNAL_ID}")
    (statement,) = trust["Statement"]
    assert statement["Principal"] == {"AWS": USER_ARN}
    assert statement["Action"] == "sts:AssumeRole"
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": EXTERNAL_ID}}


@pytest.mark.parametrize("env", ENVS)
def test_the_lifecycle_never_deletes_a_current_object(env: str) -> None:
    rules = policy("lifecycle", env)["Rules"]
    assert {rule["Filter"]["Prefix"] for rule in rules} == {f"{env}/"}
    assert {rule["Status"] for rule in rules} == {"Enabled"}
    assert all(set(rule.get("Expiration", {})) <= {"ExpiredObjectDeleteMarker"} for rule in rules)
    assert sum("NoncurrentVersionExpiration" in rule for rule in rules) == 1
    assert sum("AbortIncompleteMultipartUpload" in rule for rule in rules) == 1


def test_alerts_can_be_published_only_to_one_topic() -> None:
    topic = "arn:aws:sns:eu-central-1:123456789012:netflix-alerts"
    (statement,) = policy("alerts-access", "dev", f"--topic={topic}")["Statement"]
    assert (statement["Action"], statement["Resource"]) == ("sns:Publish", topic)
    code, out, err = run("aws", "alerts-access", "--env=dev", "--topic=arn:aws:sns:eu-central-1:123456789012:*")
    assert (code, out) == (2, "")
    assert err.startswith("--topic: ")


def test_only_the_bucket_can_send_to_the_queue_and_only_about_the_prefix() -> None:
    attributes = policy("queue", "dev", "--bucket=my-bucket", f"--queue={QUEUE_ARN}")
    (statement,) = json.loads(attributes["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert (actions(statement), statement["Resource"]) == (["sqs:SendMessage"], QUEUE_ARN)
    assert statement["Condition"] == {
        "ArnEquals": {"aws:SourceArn": "arn:aws:s3:::my-bucket"},
        "StringEquals": {"aws:SourceAccount": "123456789012"},
    }
    assert json.loads(attributes["RedrivePolicy"])["deadLetterTargetArn"] == f"{QUEUE_ARN}-dead"
    (queue,) = policy("notification", "dev", f"--queue={QUEUE_ARN}")["QueueConfigurations"]
    assert queue["QueueArn"] == QUEUE_ARN
    assert queue["Filter"]["Key"]["FilterRules"] == [{"Name": "prefix", "Value": "dev/"}]
    (access,) = policy("queue-access", "dev", f"--queue={QUEUE_ARN}")["Statement"]
    assert (set(actions(access)), access["Resource"]) == ({"sqs:ReceiveMessage", "sqs:DeleteMessage"}, QUEUE_ARN)
