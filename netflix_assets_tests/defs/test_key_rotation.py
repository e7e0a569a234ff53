"""Keys that change while a process runs: the next session and the next request use the new ones."""

import base64
import hashlib
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from netflix_assets.defs.resources import LandingBucket, SnowflakeAccount
from netflix_assets.settings import read_settings
from netflix_assets.storage.local_s3 import local_s3
from netflix_assets.storage.retries import BucketError
from netflix_assets.warehouse.errors import WarehouseError
from netflix_assets_tests.conftest import Bucket
from netflix_assets_tests.emulator.fixtures import SnowflakeDatabase

USER = "ROTATING_RUNNER"


class Keys:
    """A key file, and the public keys that the account knows of its user."""

    def __init__(self, database: SnowflakeDatabase, file: Path) -> None:
        self._server = database.server
        self.file = file

    def use_new(self) -> str:
        """Put a new key into the file. Returns its fingerprint, as ``desc user`` shows it."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        form = (serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.file.write_bytes(key.private_bytes(*form))
        public = key.public_key().public_bytes(
            serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return base64.b64encode(hashlib.sha256(public).digest()).decode()

    def set_public(self, *fingerprints: str) -> None:
        """``alter user ... set rsa_public_key, rsa_public_key_2``."""
        self._server.post("keys", {"user": USER, "fingerprints": fingerprints})


@pytest.fixture
def keys(snowflake_database: SnowflakeDatabase, tmp_path: Path) -> Keys:
    return Keys(snowflake_database, tmp_path / "runner.p8")


@pytest.fixture
def account(keys: Keys, snowflake_database: SnowflakeDatabase, monkeypatch: pytest.MonkeyPatch) -> SnowflakeAccount:
    address = snowflake_database.server.address()
    for name, value in {
        "ENV": "production", "SNOWFLAKE_ACCOUNT": "org-account", "SNOWFLAKE_USER": USER,
        "SNOWFLAKE_PRIVATE_KEY_PATH": str(keys.file), "SNOWFLAKE_HOST": address["host"],
        "SNOWFLAKE_PORT": str(address["port"]), "SNOWFLAKE_PROTOCOL": "http",
        "SNOWFLAKE_DATABASE": snowflake_database.name,
    }.items():  # fmt: skip
        monkeypatch.setenv(f"NETFLIX_{name}", value)
    return SnowflakeAccount(settings=read_settings())


@pytest.mark.emulated
def test_a_key_pair_is_rotated_while_a_process_runs(
    account: SnowflakeAccount, keys: Keys, snowflake_database: SnowflakeDatabase
) -> None:
    old = keys.use_new()
    keys.set_public(old)
    with account.open() as session:
        assert session.execute("select 1") == [(1,)]
        new = keys.use_new()  # the file is replaced before the account knows the key
        with pytest.raises(WarehouseError, match="JWT token is invalid") as raised, account.open():
            pytest.fail("a session was opened with a key that the account does not know")
        assert "NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH" in str(raised.value)
        assert "'Rotate keys'" in str(raised.value)
        keys.set_public(old, new)
        with account.open("transformer") as other:
            assert other.execute("select 2") == [(2,)]
        keys.set_public(new)
        assert session.execute("select 3") == [(3,)]  # an open session goes on
        snowflake_database.end_sessions()
        assert session.execute("select 4") == [(4,)]  # and opens the next one with the new key


@pytest.mark.emulated
@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda file: file.write_text(file.read_text()[:400]), "it is damaged, or its passphrase does not fit"),
        (lambda file: file.unlink(), "No such file or directory"),
    ],
)
def test_a_key_that_cannot_be_read_is_named(
    account: SnowflakeAccount, keys: Keys, spoil: Callable[[Path], None], reason: str
) -> None:
    keys.set_public(keys.use_new())
    spoil(keys.file)
    with pytest.raises(WarehouseError) as raised, account.open():
        pytest.fail("a session was opened without a key")
    assert str(raised.value) == (
        f"NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH={keys.file}: cannot read the private key: {reason}. Check it and "
        "NETFLIX_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"
    )


def test_the_bucket_is_opened_with_the_credentials_of_that_time(
    bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server, file = local_s3(bucket.home), tmp_path / "credentials"
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(file))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)

    def credentials(secret: str) -> None:
        keys = {"aws_access_key_id": server.access_key_id, "aws_secret_access_key": secret}
        file.write_text("\n".join(["[default]", *(f"{name} = {value}" for name, value in keys.items())]))

    resource = LandingBucket(bucket=bucket.name, endpoint=server.endpoint)
    bucket.put("shop/things.csv", "id\n1\n")
    credentials("expired")
    with resource.open() as store, pytest.raises(BucketError, match=r"403 SignatureDoesNotMatch.*NETFLIX_AWS_PROFILE"):
        store.list("shop/")
    credentials(server.secret_access_key)
    with resource.open() as store:
        assert [listed.key for listed in store.list("shop/")] == ["shop/things.csv"]


def test_the_queue_is_opened_again_after_it_has_refused_the_credentials(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str | None] = []

    def client(session: boto3.Session, *_: object, **__: object) -> object:
        opened.append(session.get_credentials().access_key)
        return object()

    monkeypatch.setattr(boto3.Session, "client", client)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    bucket = LandingBucket(bucket="landing", events_queue="https://sqs.eu-central-1.amazonaws.com/1/queue")
    bucket.reconnect_events()
    for key, is_refused in (("old", False), ("new", True), ("new", False)):
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", key)
        if is_refused:
            bucket.reconnect_events()
        bucket.events()
    bucket.reconnect_events()  # leaves no false client to other tests
    assert opened == ["old", "new"]
