"""Run logs in S3, by deploy/dagster/s3_logs.yaml and with the runner's role only."""

import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from netflix_assets.defs.retention import remove_old
from netflix_assets.operations.instance import open_instance, prepare_dagster_home
from netflix_assets.settings import REPO, read_settings
from netflix_assets_tests.deploy.access import signed_in
from netflix_assets_tests.deploy.stacks import BUCKET, ENV, PARAMETERS, REGION, Cloud, moto_server

LOGS = f"{BUCKET}-logs"


@pytest.fixture
def cloud(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    """The buckets, and a role with the runner's policy in the environment."""
    with moto_server() as endpoint:
        cloud = Cloud(endpoint)
        cloud.create("data", **PARAMETERS["data"])
        iam = cloud.client("iam")
        iam.create_role(RoleName="runner", AssumeRolePolicyDocument='{"Version": "2012-10-17", "Statement": []}')
        iam.attach_role_policy(RoleName="runner", PolicyArn=cloud.outputs["data"]["RunnerPolicyArn"])
        monkeypatch.setenv("NETFLIX_LOGS_BUCKET", cloud.outputs["data"]["LogsBucketName"])
        monkeypatch.setenv("NETFLIX_S3_REGION", REGION)
        yield cloud


@dg.op
def say() -> None:
    print("hello from the step")
    print("trouble in the step", file=sys.stderr)


@dg.job
def talk() -> None:
    say()


def test_the_output_of_a_run_is_in_the_bucket_until_the_run_is_removed(
    cloud: Cloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", "")
    settings = read_settings(home=tmp_path, env=ENV)
    file = prepare_dagster_home(settings) / "dagster.yaml"
    file.write_text(file.read_text() + (REPO / "deploy" / "dagster" / "s3_logs.yaml").read_text())
    s3 = cloud.client("s3")
    with signed_in(cloud, "runner", monkeypatch), open_instance(settings) as instance:
        run = talk.execute_in_process(instance=instance)
    prefix = f"dagster/storage/{run.run_id}/"
    found = {
        Path(each["Key"]).suffix: s3.get_object(Bucket=LOGS, Key=each["Key"])["Body"].read().decode()
        for each in s3.list_objects_v2(Bucket=LOGS, Prefix=prefix)["Contents"]
    }
    assert "hello from the step" in found[".out"]
    assert "trouble in the step" in found[".err"]
    with signed_in(cloud, "runner", monkeypatch), open_instance(settings) as instance:
        later = datetime.now(UTC) + timedelta(days=settings.keep_runs_days + 1)
        assert remove_old(settings, instance, later).runs == 1
    assert s3.list_objects_v2(Bucket=LOGS, Prefix=prefix)["KeyCount"] == 0
