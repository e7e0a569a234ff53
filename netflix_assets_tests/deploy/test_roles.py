"""The roles of deploy/aws allow what the code does, and nothing else: moto enforces their policies on real requests."""

import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from botocore.exceptions import ClientError
from moto.iam.access_control import IAMPolicy, PermissionResult

from netflix_assets.alerts.sns import TopicError, open_topic
from netflix_assets.defs.resources import landing_bucket
from netflix_assets.settings import Settings, read_settings
from netflix_assets.storage.retries import BucketError
from netflix_assets_tests.deploy.access import policies_evaluated, signed_in
from netflix_assets_tests.deploy.stacks import (
    ACCOUNT,
    BUCKET,
    ENV,
    EXTERNAL_ID,
    PREFIX,
    REGION,
    SNOWFLAKE_USER,
    Cloud,
    deployed,
)

LOGS = f"{BUCKET}-logs"
TAGS = "userId,movieId,tag,timestamp\n1,2,good,1\n"


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    """The stacks with some files, a second bucket, and values in the secret; policies are enforced."""
    with deployed() as cloud:
        s3 = cloud.client("s3")
        s3.create_bucket(Bucket="another-bucket", CreateBucketConfiguration={"LocationConstraint": REGION})
        for bucket, key in [
            (BUCKET, f"{PREFIX}movielens/tags.csv"),
            (BUCKET, "production/movielens/tags.csv"),
            ("another-bucket", f"{PREFIX}movielens/tags.csv"),
            (LOGS, "dagster/storage/run/1.out"),
        ]:
            s3.put_object(Bucket=bucket, Key=key, Body=TAGS.encode())
        secrets = cloud.client("secretsmanager")
        secrets.put_secret_value(SecretId=f"netflix/{ENV}", SecretString=json.dumps({"slack_token": "xoxb-1"}))
        secrets.put_secret_value(SecretId=f"netflix/{ENV}/agent", SecretString=json.dumps({"dagster_agent_token": "x"}))
        secrets.create_secret(Name="netflix/production", SecretString="{}")
        cloud.client("sns").create_topic(Name="another-topic")
        cloud.client("sqs").create_queue(QueueName="another-queue")
        yield cloud


@pytest.fixture
def runner(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The runner's credentials, also in this process' environment."""
    with signed_in(cloud, f"netflix-{ENV}-runner", monkeypatch) as keys:
        yield keys


@pytest.fixture
def settings(cloud: Cloud, tmp_path: Path) -> Settings:
    """What the outputs of the stack say, as settings."""
    outputs = cloud.outputs["data"]
    return read_settings(
        home=tmp_path,
        env=ENV,
        bucket=outputs["LandingBucketName"],
        bucket_prefix=outputs["LandingPrefix"],
        s3_endpoint=cloud.endpoint,
        s3_region=REGION,
        events_queue_url=f"{cloud.endpoint}/{ACCOUNT}/netflix-{ENV}-events",  # moto's answer for the AWS address
        sns_topic_arn=outputs["AlertsTopicArn"],
    )


def refused(cloud: Cloud, keys: Mapping[str, str], service: str, call: str, **arguments: object) -> bool:
    """Whether a call is refused for lack of permission; any other error is raised."""
    try:
        getattr(cloud.client(service, **keys), call)(**arguments)
    except ClientError as error:
        if not re.search("AccessDenied|Access Denied|not authorized|Forbidden", str(error)):
            raise
        return True
    return False


def test_the_runner_lists_reads_and_lands_files(runner: Mapping[str, str], settings: Settings, tmp_path: Path) -> None:
    file = tmp_path / "ratings.csv"
    file.write_bytes(b"userId,movieId,rating,timestamp\n" + b"1,2,3.5,1\n" * 700_000)  # over 5 MB: in parts
    with landing_bucket(settings).open() as store:
        (tags,) = store.list("movielens/tags")
        assert b"".join(store.read(tags)) == TAGS.encode()
        store.put("movielens/ratings.csv", file)
        assert [each.size for each in store.list("movielens/ratings")] == [file.stat().st_size]
        (source,) = (each for each in settings.sources() if each.source == "movielens")
        assert {each.objects for each in store.listings(source).values()} == {0, 1}


def test_the_runner_reaches_no_other_prefix_and_no_other_bucket(runner: Mapping[str, str], settings: Settings) -> None:
    for elsewhere in (
        settings.model_copy(update={"bucket_prefix": "production/"}),
        settings.model_copy(update={"bucket": "another-bucket"}),
    ):
        with landing_bucket(elsewhere).open() as store, pytest.raises(BucketError, match="403"):
            store.list("movielens/")


def test_the_runner_receives_and_deletes_events(runner: Mapping[str, str], settings: Settings) -> None:
    queue = landing_bucket(settings).events()
    assert queue is not None
    messages = queue.receive()
    assert messages
    queue.delete(messages)


def test_the_runner_publishes_alerts_to_one_topic(runner: Mapping[str, str], settings: Settings) -> None:
    topic = open_topic(settings)
    assert topic is not None
    topic.publish({"Message": "{}"}, "group", "id")
    other = open_topic(settings.model_copy(update={"sns_topic_arn": str(settings.sns_topic_arn)[:-6] + "-topic"}))
    assert other is not None
    with pytest.raises(TopicError, match="not authorized"):
        other.publish({"Message": "{}"}, "group", "id")


DENIED = {
    "delete a landed file": ("s3", "delete_object", {"Bucket": BUCKET, "Key": f"{PREFIX}movielens/tags.csv"}),
    "read another prefix": ("s3", "get_object", {"Bucket": BUCKET, "Key": "production/movielens/tags.csv"}),
    "write another prefix": ("s3", "put_object", {"Bucket": BUCKET, "Key": "production/x.csv", "Body": b""}),
    "list the whole bucket": ("s3", "list_objects_v2", {"Bucket": BUCKET}),
    "read another bucket": ("s3", "get_object", {"Bucket": "another-bucket", "Key": f"{PREFIX}movielens/tags.csv"}),
    "change the bucket's policy": ("s3", "delete_bucket_policy", {"Bucket": BUCKET}),
    "turn off versions": (
        "s3",
        "put_bucket_versioning",
        {"Bucket": BUCKET, "VersioningConfiguration": {"Status": "Suspended"}},
    ),
    "write logs elsewhere": ("s3", "put_object", {"Bucket": LOGS, "Key": "x", "Body": b""}),
    "read another secret": ("secretsmanager", "get_secret_value", {"SecretId": "netflix/production"}),
    "list secrets": ("secretsmanager", "list_secrets", {}),
    "create a user": ("iam", "create_user", {"UserName": "x"}),
}


@pytest.mark.parametrize("what", DENIED)
def test_the_runner_may_not(what: str, runner: Mapping[str, str], cloud: Cloud) -> None:
    service, call, arguments = DENIED[what]
    assert refused(cloud, runner, service, call, **arguments)


def test_the_runner_reads_its_secret_and_keeps_run_logs(runner: Mapping[str, str], cloud: Cloud) -> None:
    secret, token = (cloud.outputs["data"][name] for name in ("SecretArn", "AgentSecretArn"))
    assert not refused(cloud, runner, "secretsmanager", "get_secret_value", SecretId=secret)
    assert refused(cloud, runner, "secretsmanager", "get_secret_value", SecretId=token)
    log = {"Bucket": LOGS, "Key": "dagster/storage/run/2.out"}
    assert not refused(cloud, runner, "s3", "put_object", **log, Body=b"")
    assert not refused(cloud, runner, "s3", "get_object", **log)
    assert not refused(cloud, runner, "s3", "list_objects_v2", Bucket=LOGS, Prefix="dagster/storage/run/")
    assert not refused(cloud, runner, "s3", "delete_object", **log)


def test_snowflake_reads_the_prefix_and_writes_nothing(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    with signed_in(cloud, f"netflix-{ENV}-snowflake", monkeypatch, ExternalId=EXTERNAL_ID) as keys:
        landed = {"Bucket": BUCKET, "Key": f"{PREFIX}movielens/tags.csv"}
        assert not refused(cloud, keys, "s3", "get_object", **landed)
        assert not refused(cloud, keys, "s3", "list_objects_v2", Bucket=BUCKET, Prefix=PREFIX)
        assert not refused(cloud, keys, "s3", "get_bucket_location", Bucket=BUCKET)
        assert refused(cloud, keys, "s3", "put_object", **landed, Body=b"")
        assert refused(cloud, keys, "s3", "delete_object", **landed)
        assert refused(cloud, keys, "s3", "get_object", Bucket=BUCKET, Key="production/movielens/tags.csv")
        assert refused(cloud, keys, "s3", "get_object", Bucket=LOGS, Key="dagster/storage/run/1.out")


@pytest.mark.parametrize("role", ["agent", "execution"])
def test_the_agent_and_ecs_read_no_file(role: str, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    with signed_in(cloud, f"netflix-{ENV}-{role}", monkeypatch) as keys:
        assert refused(cloud, keys, "s3", "get_object", Bucket=BUCKET, Key=f"{PREFIX}movielens/tags.csv")
        assert refused(cloud, keys, "secretsmanager", "get_secret_value", SecretId=cloud.outputs["data"]["SecretArn"])
        token = cloud.outputs["data"]["AgentSecretArn"]
        may_read = not refused(cloud, keys, "secretsmanager", "get_secret_value", SecretId=token)
        assert may_read is (role == "execution")  # ECS hands it to the container of the agent


def test_requests_without_tls_are_refused(cloud: Cloud, runner: Mapping[str, str]) -> None:
    landed = {"Bucket": BUCKET, "Key": f"{PREFIX}movielens/tags.csv"}
    assert not refused(cloud, runner, "s3", "get_object", **landed)
    with policies_evaluated(**{"aws:SecureTransport": "false"}):
        assert refused(cloud, runner, "s3", "get_object", **landed)


def test_only_snowflakes_user_with_the_external_id_gets_the_role(cloud: Cloud) -> None:
    role = cloud.client("iam").get_role(RoleName=f"netflix-{ENV}-snowflake")["Role"]
    trust = IAMPolicy(json.dumps(role["AssumeRolePolicyDocument"]))

    def may_assume(user: str, **context: str) -> bool:
        given = {f"sts:{name}": value for name, value in context.items()}
        answer = trust.is_action_permitted("sts:AssumeRole", role["Arn"], user, given)
        return answer is PermissionResult.PERMITTED

    assert may_assume(SNOWFLAKE_USER, ExternalId=EXTERNAL_ID)
    assert not may_assume(SNOWFLAKE_USER, ExternalId="another")
    assert not may_assume(SNOWFLAKE_USER)
    assert not may_assume(SNOWFLAKE_USER + "x", ExternalId=EXTERNAL_ID)
