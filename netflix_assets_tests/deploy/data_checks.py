"""What the resources of account.yaml and data.yaml are, asked of the API of moto."""

import json
from collections.abc import Callable
from typing import Any

from netflix_assets.settings import Settings
from netflix_assets_tests.deploy.stacks import (
    ACCOUNT,
    BUCKET,
    ENV,
    PARAMETERS,
    PREFIX,
    REGION,
    SNOWFLAKE_USER,
    Cloud,
    load_template,
)

STACKS = {name: load_template(name) for name in PARAMETERS}
QUEUE_ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:netflix-{ENV}-events"
TOPIC_ARN = f"arn:aws:sns:{REGION}:{ACCOUNT}:netflix-{ENV}-alerts"


REPOSITORIES = [f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/netflix-assets{suffix}" for suffix in ("", "-branches")]


def check_repository(name: str, removed: tuple[str, str]) -> Callable[[Cloud], None]:
    def check(cloud: Cloud) -> None:
        ecr = cloud.client("ecr")
        (found,) = ecr.describe_repositories(repositoryNames=[name])["repositories"]
        assert found["imageTagMutability"] == "IMMUTABLE"
        assert found["imageScanningConfiguration"] == {"scanOnPush": True}
        (rule,) = json.loads(ecr.get_lifecycle_policy(repositoryName=name)["lifecyclePolicyText"])["rules"]
        # A rule for tagged images could remove the one that runs in production.
        assert (rule["selection"]["tagStatus"], rule["selection"]["countType"]) == removed

    return check


def check_github_provider(cloud: Cloud) -> None:
    arn = f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    found = cloud.client("iam").get_open_id_connect_provider(OpenIDConnectProviderArn=arn)
    assert found["ClientIDList"] == ["sts.amazonaws.com"]


def check_push_role(cloud: Cloud) -> None:
    (trust,) = cloud.client("iam").get_role(RoleName="netflix-image-push")["Role"]["AssumeRolePolicyDocument"][
        "Statement"
    ]
    assert trust["Principal"] == {
        "Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/token.actions.githubusercontent.com"
    }
    github = "token.actions.githubusercontent.com"
    repository = PARAMETERS["account"]["GitHubRepository"]
    assert trust["Condition"] == {
        "StringEquals": {
            f"{github}:aud": "sts.amazonaws.com",
            f"{github}:sub": [f"repo:{repository}:environment:{each}" for each in ("production", "staging", "branch")],
        }
    }
    log_in, push = statements(cloud, "netflix-image-push", "push")
    assert (log_in["Action"], log_in["Resource"]) == ("ecr:GetAuthorizationToken", "*")
    assert push["Resource"] == REPOSITORIES
    assert not [action for action in push["Action"] if "Delete" in action or "Policy" in action]


def check_budget(cloud: Cloud) -> None:
    budgets = cloud.client("budgets")
    found = budgets.describe_budget(AccountId=ACCOUNT, BudgetName="netflix-assets")["Budget"]
    assert (found["BudgetType"], found["TimeUnit"]) == ("COST", "MONTHLY")
    assert (float(found["BudgetLimit"]["Amount"]), found["BudgetLimit"]["Unit"]) == (100, "USD")
    notifications = budgets.describe_notifications_for_budget(AccountId=ACCOUNT, BudgetName="netflix-assets")
    assert [(each["NotificationType"], each["Threshold"]) for each in notifications["Notifications"]] == [
        ("ACTUAL", 80),
        ("FORECASTED", 100),
    ]
    for each in cloud.properties("account", "Budget")["NotificationsWithSubscribers"]:
        assert each["Subscribers"] == [
            {"SubscriptionType": "EMAIL", "Address": PARAMETERS["account"]["BudgetEmail"]}
        ]  # moto keeps none


def check_landing_bucket(cloud: Cloud) -> None:
    s3 = cloud.client("s3")
    assert s3.get_bucket_versioning(Bucket=BUCKET)["Status"] == "Enabled"
    check_private(s3, BUCKET)
    rules = s3.get_bucket_lifecycle_configuration(Bucket=BUCKET)["Rules"]
    assert {(rule["Filter"]["Prefix"], rule["Status"]) for rule in rules} == {(PREFIX, "Enabled")}
    assert all(set(rule.get("Expiration", {})) <= {"ExpiredObjectDeleteMarker"} for rule in rules)  # current files stay
    assert [rule["NoncurrentVersionExpiration"]["NoncurrentDays"] for rule in rules[:1]] == [30]
    assert [rule["AbortIncompleteMultipartUpload"]["DaysAfterInitiation"] for rule in rules[1:]] == [7]
    sent = s3.get_bucket_notification_configuration(Bucket=BUCKET)["QueueConfigurations"]
    assert {event for each in sent for event in each["Events"]} == {
        "s3:ObjectCreated:*",
        "s3:ObjectRemoved:*",
        "s3:LifecycleExpiration:*",
    }
    filters = [each["Filter"]["Key"]["FilterRules"] for each in sent]
    assert all(rules == [{"Name": "prefix", "Value": PREFIX}] for rules in filters)
    assert {each["QueueArn"] for each in sent} == {QUEUE_ARN}
    assert kept(STACKS["data"]["Resources"]["LandingBucket"])


def check_logs_bucket(cloud: Cloud) -> None:
    s3, name = cloud.client("s3"), f"{BUCKET}-logs"
    check_private(s3, name)
    (rule,) = s3.get_bucket_lifecycle_configuration(Bucket=name)["Rules"]
    assert rule["Expiration"]["Days"] == Settings.model_fields["keep_runs_days"].default
    assert kept(STACKS["data"]["Resources"]["LogsBucket"])


def check_private(s3: Any, bucket: str) -> None:
    blocked = s3.get_public_access_block(Bucket=bucket)["PublicAccessBlockConfiguration"]
    assert set(blocked.values()) == {True}
    assert len(blocked) == 4
    (rule,) = s3.get_bucket_encryption(Bucket=bucket)["ServerSideEncryptionConfiguration"]["Rules"]
    assert rule["ApplyServerSideEncryptionByDefault"]["SSEAlgorithm"] == "AES256"
    owners = s3.get_bucket_ownership_controls(Bucket=bucket)["OwnershipControls"]["Rules"]
    assert owners == [{"ObjectOwnership": "BucketOwnerEnforced"}]


def check_bucket_policy(bucket: str) -> Callable[[Cloud], None]:
    def check(cloud: Cloud) -> None:
        policy = json.loads(cloud.client("s3").get_bucket_policy(Bucket=bucket)["Policy"])
        assert policy["Statement"] == [
            {
                "Sid": "OnlyOverTls",
                "Effect": "Deny",
                "Principal": "*",
                "Action": "s3:*",
                "Resource": [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"],
                "Condition": {"Bool": {"aws:SecureTransport": "false"}},
            }
        ]

    return check


def check_events_queue(cloud: Cloud) -> None:
    found = queue_attributes(cloud, f"netflix-{ENV}-events")
    redrive = json.loads(found["RedrivePolicy"])
    assert (redrive["deadLetterTargetArn"], redrive["maxReceiveCount"]) == (f"{QUEUE_ARN}-dead", 5)
    assert (found["VisibilityTimeout"], found["MessageRetentionPeriod"]) == ("60", "345600")
    assert found["SqsManagedSseEnabled"].lower() == "true"


def check_dead_letters(cloud: Cloud) -> None:
    found = queue_attributes(cloud, f"netflix-{ENV}-events-dead")
    assert found["MessageRetentionPeriod"] == "1209600"
    assert found["SqsManagedSseEnabled"].lower() == "true"


def check_queue_policy(cloud: Cloud) -> None:
    (statement,) = json.loads(queue_attributes(cloud, f"netflix-{ENV}-events")["Policy"])["Statement"]
    assert statement["Principal"] == {"Service": "s3.amazonaws.com"}
    assert (statement["Action"], statement["Resource"]) == ("sqs:SendMessage", QUEUE_ARN)
    assert statement["Condition"] == {
        "ArnEquals": {"aws:SourceArn": f"arn:aws:s3:::{BUCKET}"},
        "StringEquals": {"aws:SourceAccount": ACCOUNT},
    }


def queue_attributes(cloud: Cloud, name: str) -> dict[str, str]:
    sqs = cloud.client("sqs")
    return sqs.get_queue_attributes(QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"], AttributeNames=["All"])[
        "Attributes"
    ]


def check_topic(cloud: Cloud) -> None:
    (subscription,) = cloud.client("sns").list_subscriptions_by_topic(TopicArn=TOPIC_ARN)["Subscriptions"]
    assert (subscription["Protocol"], subscription["Endpoint"]) == ("email", PARAMETERS["data"]["AlertsEmail"])


def check_topic_policy(cloud: Cloud) -> None:
    policy = json.loads(cloud.client("sns").get_topic_attributes(TopicArn=TOPIC_ARN)["Attributes"]["Policy"])
    account, alarms, tls = policy["Statement"]
    assert account["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert alarms["Principal"] == {"Service": "cloudwatch.amazonaws.com"}
    assert alarms["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}
    assert (tls["Effect"], tls["Condition"]) == ("Deny", {"Bool": {"aws:SecureTransport": "false"}})
    assert {each["Resource"] for each in policy["Statement"]} == {TOPIC_ARN}


def check_alarm(cloud: Cloud) -> None:
    (alarm,) = cloud.client("cloudwatch").describe_alarms()["MetricAlarms"]
    assert alarm["Dimensions"] == [{"Name": "QueueName", "Value": f"netflix-{ENV}-events-dead"}]
    assert (alarm["MetricName"], alarm["Threshold"]) == ("ApproximateNumberOfMessagesVisible", 0)
    assert (alarm["AlarmActions"], alarm["TreatMissingData"]) == ([TOPIC_ARN], "notBreaching")


def check_secret(resource: str, name: str) -> Callable[[Cloud], None]:
    def check(cloud: Cloud) -> None:
        secret = cloud.client("secretsmanager").describe_secret(SecretId=name)
        assert secret["ARN"] == cloud.outputs["data"][f"{resource}Arn"]
        declared = STACKS["data"]["Resources"][resource]
        assert not set(declared["Properties"]) & {"SecretString", "GenerateSecretString"}
        assert kept(declared)

    return check


def check_runner_policy(cloud: Cloud) -> None:
    policy = managed_policy(cloud, "runner")
    assert {each["Sid"] for each in policy} == {
        "ReadFiles",
        "ListFiles",
        "LandFiles",
        "ReceiveEvents",
        "KeepRunLogs",
        "ListRunLogs",
        "ReadSecret",
    }
    check_scoped(policy)


def check_alerts_policy(cloud: Cloud) -> None:
    (statement,) = managed_policy(cloud, "alerts")
    assert (statement["Action"], statement["Resource"]) == ("sns:Publish", TOPIC_ARN)


def check_snowflake_role(cloud: Cloud) -> None:
    name = f"netflix-{ENV}-snowflake"
    (trust,) = cloud.client("iam").get_role(RoleName=name)["Role"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"AWS": SNOWFLAKE_USER}
    assert trust["Action"] == "sts:AssumeRole"
    assert trust["Condition"] == {"StringEquals": {"sts:ExternalId": PARAMETERS["data"]["SnowflakeExternalId"]}}
    allowed = statements(cloud, name, "read-landing")
    assert {action for each in allowed for action in actions(each)} == {
        "s3:GetObject",
        "s3:GetObjectVersion",
        "s3:ListBucket",
        "s3:GetBucketLocation",
    }
    check_scoped(allowed)


def check_scoped(policy: list[dict[str, Any]]) -> None:
    """No wildcard in an action, files only under the prefix, and lists only with it."""
    for statement in policy:
        assert statement["Effect"] == "Allow"
        assert not [action for action in actions(statement) if "*" in action]
        assert statement["Resource"] != "*"
        if BUCKET + "/" in str(statement["Resource"]):
            assert statement["Resource"] == f"arn:aws:s3:::{BUCKET}/{PREFIX}*"
        if "s3:ListBucket" in actions(statement):
            assert actions(statement) == ["s3:ListBucket"]  # the condition fits no other action
            of_logs = statement["Resource"].endswith("-logs")
            assert statement["Condition"] == {"StringLike": {"s3:prefix": "dagster/*" if of_logs else f"{PREFIX}*"}}


def actions(statement: dict[str, Any]) -> list[str]:
    return [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]


def statements(cloud: Cloud, role: str, policy: str) -> list[dict[str, Any]]:
    return cloud.client("iam").get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]["Statement"]


def managed_policy(cloud: Cloud, name: str) -> list[dict[str, Any]]:
    arn = f"arn:aws:iam::{ACCOUNT}:policy/netflix-{ENV}-{name}"
    return cloud.client("iam").get_policy_version(PolicyArn=arn, VersionId="v1")["PolicyVersion"]["Document"][
        "Statement"
    ]


def kept(resource: dict[str, Any]) -> bool:
    return resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain"
