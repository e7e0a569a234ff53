"""Settings that refer to AWS Secrets Manager: read at use, kept for a while, never shown. moto answers."""

import json
import logging
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest

from netflix_assets.alerts.redaction import redactor
from netflix_assets.alerts.slack import Slack, open_chat
from netflix_assets.defs.resources import warehouse
from netflix_assets.operations.instance import open_instance
from netflix_assets.settings import Settings, SettingsError, read_settings, secret_store
from netflix_assets.settings.environment import for_dagster, for_dbt, protect_bucket
from netflix_assets.settings.secret_store import SecretError
from netflix_assets_tests.deploy.stacks import REGION, Cloud, moto_server
from netflix_assets_tests.test_secrets import Trap, make_key, refusing_snowflake

NAME = "netflix/production"
PEM = "-----BEGIN PRIVATE KEY-----\nMIIcanary/of+the+key==\n-----END PRIVATE KEY-----"
VALUES = {
    "snowflake_private_key": PEM,
    "snowflake_private_key_passphrase": "canary/of+the+passphrase",
    "slack_token": "xoxb-canary-of-slack",
    "heartbeat_url": "file:///etc/passwd",
    "number": 7,
}
CANARIES = ("canary", "MIIc")


@pytest.fixture(scope="module")
def cloud() -> Iterator[Cloud]:
    with moto_server() as endpoint:
        yield Cloud(endpoint)


@pytest.fixture
def arn(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A secret with VALUES, in an account that this process may use."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "a",
        "AWS_SECRET_ACCESS_KEY": "b",
        "AWS_ENDPOINT_URL": cloud.endpoint,
    }.items():
        monkeypatch.setenv(name, value)
    secrets = cloud.client("secretsmanager")
    made = secrets.create_secret(Name=NAME, SecretString=json.dumps(VALUES))["ARN"]
    secret_store._cache.clear()
    yield made
    secrets.delete_secret(SecretId=made, ForceDeleteWithoutRecovery=True)
    secret_store._cache.clear()


def production(arn: str, monkeypatch: pytest.MonkeyPatch, **keys: str) -> Settings:
    """Settings whose secrets are references, from the environment as in a deployment."""
    named = {"SNOWFLAKE_PRIVATE_KEY", "SNOWFLAKE_PRIVATE_KEY_PASSPHRASE", "SLACK_TOKEN"}
    for name in named:
        monkeypatch.setenv(f"NETFLIX_{name}", f"{arn}:{name.lower()}::")
    monkeypatch.setenv("NETFLIX_SLACK_CHANNEL", "C0123456789")
    return read_settings(env="production", **keys)


def test_settings_are_read_without_reading_a_secret(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")  # nobody listens there
    reference = f"arn:aws:secretsmanager:{REGION}:123456789012:secret:{NAME}-a1B2c3"
    settings = production(reference, monkeypatch, home=str(tmp_path))
    assert settings.snowflake.missing() == read_settings(env="production").snowflake.missing()
    assert hash(settings.slack_token) != hash(settings.snowflake.private_key)
    assert "secretsmanager" not in repr(settings)


def test_dbt_gets_values_and_dagster_references(arn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = production(arn, monkeypatch)
    assert for_dagster(settings)["NETFLIX_SNOWFLAKE_PRIVATE_KEY"] == f"{arn}:snowflake_private_key::"
    assert secret_store._cache == {}
    made = for_dbt(settings)
    assert made["NETFLIX_SNOWFLAKE_PRIVATE_KEY"] == PEM
    assert made["NETFLIX_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"] == VALUES["snowflake_private_key_passphrase"]
    assert not [name for name in made if name.startswith("AWS_")]


def test_slack_gets_the_value(arn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    chat = open_chat(production(arn, monkeypatch), logging.getLogger(__name__))
    assert isinstance(chat, Slack)
    assert chat.client.token == VALUES["slack_token"]


def test_a_secret_is_read_once_and_again_after_a_rotation(
    arn: str, cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, now = production(arn, monkeypatch), time.monotonic()
    token: Any = settings.slack_token
    assert token.get_secret_value() == VALUES["slack_token"]
    cloud.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=json.dumps({"slack_token": "xoxb-new"}))
    assert token.get_secret_value() == VALUES["slack_token"]
    monkeypatch.setattr(secret_store.time, "monotonic", lambda: now + secret_store.CACHE_S + 60)
    assert token.get_secret_value() == "xoxb-new"


def test_a_secret_without_a_key_is_the_whole_text(arn: str) -> None:
    assert json.loads(reveal(read_settings(slack_token=arn, slack_channel="C0123456789"))) == VALUES
    old = read_settings(slack_token=f"{arn}:slack_token:AWSCURRENT:", slack_channel="C0123456789")
    assert reveal(old) == VALUES["slack_token"]


def reveal(settings: Settings) -> str:
    assert settings.slack_token is not None
    return settings.slack_token.get_secret_value()


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        (":no_such_key::", "has no key 'no_such_key'"),
        (":number::", "the value of 'number' is not a string"),
        ("x:slack_token::", "cannot read arn:.*ResourceNotFoundException.*permission secretsmanager:GetSecretValue"),
    ],
)
def test_a_secret_that_cannot_be_read_names_what_to_check(arn: str, key: str, problem: str) -> None:
    with pytest.raises(SecretError, match=problem) as raised:
        reveal(read_settings(slack_token=arn + key, slack_channel="C0123456789"))
    assert not [each for each in CANARIES if each in str(raised.value)]
    assert raised.value.__cause__ is None


def test_a_value_is_validated_when_it_is_read(arn: str) -> None:
    settings = read_settings(heartbeat_url=f"{arn}:heartbeat_url::")
    assert settings.heartbeat_url is not None
    with pytest.raises(SecretError, match=r"heartbeat_url::: not a URL \(https://…\)"):
        settings.heartbeat_url.get_secret_value()


def test_a_malformed_reference_is_refused_when_settings_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETFLIX_SNOWFLAKE_TOKEN", "arn:aws:secretsmanager:eu-central-1:1:secret:x")
    with pytest.raises(SettingsError, match="NETFLIX_SNOWFLAKE_TOKEN: not a valid reference"):
        read_settings()


def test_alerts_leave_out_what_was_read(arn: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = production(arn, monkeypatch)
    redact = redactor(settings, settings.sources())
    passphrase = str(VALUES["snowflake_private_key_passphrase"])
    for_dbt(settings)
    assert redact(f"login failed: {passphrase} is wrong") == "login failed: (not shown) is wrong"
    assert arn in redact(f"cannot read {arn}")  # the reference is what to check


def test_the_local_mode_keeps_aws_variables_that_a_secret_needs(
    arn: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    settings = read_settings(home=tmp_path, slack_token=f"{arn}:slack_token::", slack_channel="C0123456789")
    assert settings.serves_s3
    protect_bucket(settings)
    assert reveal(settings) == VALUES["slack_token"]


def test_a_run_that_reads_secrets_and_fails_leaks_none(
    arn: str, cloud: Cloud, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    passphrase = str(VALUES["snowflake_private_key_passphrase"])
    key = make_key(passphrase)
    values = {"snowflake_private_key": key, "snowflake_private_key_passphrase": passphrase}
    cloud.client("secretsmanager").put_secret_value(SecretId=arn, SecretString=json.dumps(values))
    monkeypatch.setenv("DAGSTER_HOME", "")
    with refusing_snowflake() as address:
        for name, value in address.items():
            monkeypatch.setenv(name, value)
        production(arn, monkeypatch)
        settings = read_settings(home=tmp_path)

        @dg.op
        def log_in() -> None:
            with warehouse(settings).open():
                pass

        @dg.job
        def fail() -> None:
            log_in()

        with open_instance(settings) as instance:
            run = fail.execute_in_process(instance=instance, raise_on_error=False)
            (failure,) = [str(each.step_failure_data.error) for each in run.all_events if each.is_step_failure]
    assert "JWT token is invalid" in failure  # the key was read and decrypted
    trap = Trap(tmp_path, {"key": key, "passphrase": passphrase}, [text.encode() for text in capfd.readouterr()])
    assert trap.leaks() == []
    (tmp_path / "log").write_text(passphrase)
    assert trap.leaks() == ["passphrase in log"]
