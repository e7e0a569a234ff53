"""The Dagster resources: the landing bucket and the warehouse, chosen once by the environment.

They connect when they are used, never when definitions load.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import dagster as dg

from netflix_assets.environment import aws_endpoint, protect_bucket
from netflix_assets.secret_store import LateSecretStr
from netflix_assets.settings import Settings
from netflix_assets.storage.objects import S3ObjectStore
from netflix_assets.storage.retries import RETRIES, BucketError
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.errors import WarehouseError
from netflix_assets.warehouse.publishing import Publisher, Served

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from dagster_aws.s3 import S3Resource
    from dagster_snowflake import SnowflakeResource
    from snowflake.connector import SnowflakeConnection

    from netflix_assets.storage.events import EventQueue
    from netflix_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse


# A session's rights: the loader owns raw and the ledger, the transformer owns dbt's tables and the build records.
Role = Literal["loader", "transformer", "reader"]


class LandingBucket(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The bucket that files land in, and the queue of its events, if any.

    ``local_home`` is set when the bucket is a local folder; the local S3 then runs while the bucket is open. Otherwise
    credentials come from the AWS default chain at first use.
    """

    bucket: str
    prefix: str = ""
    region: str = "us-east-1"
    endpoint: str | None = None
    profile: str | None = None
    local_home: str | None = None
    events_queue: str | None = None

    @contextmanager
    def open(self) -> Iterator[S3ObjectStore]:
        """The bucket, ready to list, read and write. Raises: BucketError when there are no credentials."""
        from obstore.store import S3Store

        from netflix_assets.storage.listing import BucketLister

        with self._s3() as s3:
            access, credentials = self._credentials(s3)
            store = S3Store(
                self.bucket,
                prefix=self.prefix or None,
                region=s3.region_name,
                endpoint=s3.endpoint_url,
                aws_endpoint_url_s3=s3.endpoint_url,  # otherwise $AWS_ENDPOINT_URL_S3 wins over `endpoint`
                virtual_hosted_style_request=s3.endpoint_url is None,
                client_options={"allow_http": (s3.endpoint_url or "").startswith("http://"), **RETRIES.client_config()},
                retry_config=RETRIES.retry_config(),
                **access,
            )
            yield S3ObjectStore(
                store,
                BucketLister(self._address(s3), self.region, credentials, RETRIES),
                self.bucket,
                self.prefix,
                location=self._place(s3),
                retries=RETRIES,
                folder=self._folder(),
            )

    def _address(self, s3: "S3Resource") -> str:
        """The bucket's URL, as obstore makes it."""
        if s3.endpoint_url is None:
            return f"https://{self.bucket}.s3.{self.region}.amazonaws.com"
        return f"{s3.endpoint_url.rstrip('/')}/{self.bucket}"

    def _folder(self) -> Path | None:
        """The folder that the local S3 serves as this bucket."""
        return Path(self.local_home) / "s3" / self.bucket if self.local_home else None

    def events(self) -> "EventQueue | None":
        """The queue of the bucket's events, if one is set. S3 requires it in the bucket's region."""
        if self.events_queue is None:
            return None
        with self._s3() as s3:
            return _event_queue(self.events_queue, **_session_options(s3))

    def reconnect_events(self) -> None:
        """Open the queue with the credentials of that time when it is used next: they may have been rotated."""
        _event_queue.cache_clear()

    def _credentials(self, s3: "S3Resource") -> tuple[dict[str, Any], "Credentials"]:
        """The local S3's own keys, or else what AWS' default chain finds; for obstore and for the lister."""
        from botocore.credentials import Credentials
        from botocore.exceptions import BotoCoreError

        if s3.aws_access_key_id:
            id_and_key = (s3.aws_access_key_id, s3.aws_secret_access_key)
            return dict(zip(("access_key_id", "secret_access_key"), id_and_key, strict=True)), Credentials(*id_and_key)
        from obstore.auth.boto3 import Boto3CredentialProvider  # boto3 takes 0.3 s to import

        try:
            provider = Boto3CredentialProvider(_session(s3))
            return {"credential_provider": provider}, provider.credentials
        except (BotoCoreError, ValueError) as error:  # ValueError: the chain found none
            cause = str(error) if isinstance(error, BotoCoreError) else "AWS' default chain found none"
            raise BucketError(
                f"{self._place(s3)}: no credentials: {cause}. Set NETFLIX_AWS_PROFILE, or AWS_PROFILE, or "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from None

    def _place(self, s3: "S3Resource") -> str:
        """The bucket's name in errors, without a user and password that the address may hold."""
        server = urlsplit(s3.endpoint_url)._replace(query="", fragment="") if s3.endpoint_url else None
        at = server._replace(netloc=server.netloc.rpartition("@")[2]).geturl() if server else f"AWS {s3.region_name}"
        return f"s3://{self.bucket}/{self.prefix} at {at}"

    @contextmanager
    def _s3(self) -> Iterator["S3Resource"]:
        """dagster-aws' S3Resource: the one place for endpoint, region and credentials."""
        from dagster_aws.s3 import S3Resource  # takes 0.6 s to import

        if self.local_home is None:
            yield S3Resource(region_name=self.region, endpoint_url=self.endpoint, profile_name=self.profile)
            return
        from netflix_assets.storage.local_s3 import lease, local_s3

        with lease(local_s3(Path(self.local_home)), self.bucket) as server:
            yield S3Resource(
                region_name=self.region,
                endpoint_url=server.endpoint,
                aws_access_key_id=server.access_key_id,
                aws_secret_access_key=server.secret_access_key,
            )


def _session(s3: "S3Resource"):  # type: ignore[no-untyped-def]
    import boto3

    return boto3.Session(**_session_options(s3))


def _session_options(s3: "S3Resource") -> dict[str, str | None]:
    return {
        "aws_access_key_id": s3.aws_access_key_id,
        "aws_secret_access_key": s3.aws_secret_access_key,
        "aws_session_token": s3.aws_session_token,
        "region_name": s3.region_name,
        "profile_name": s3.profile_name,
    }


@lru_cache(maxsize=1)  # a new client costs 0.1 s and a TLS handshake; a tick otherwise takes milliseconds
def _event_queue(url: str, **session_options: str | None) -> "EventQueue":
    import boto3
    from botocore.config import Config

    from netflix_assets.storage.events import EventQueue

    # A queue's URL is also its server's address: AWS' own in the region, a private endpoint, or a test's.
    client = boto3.Session(**session_options).client(
        "sqs",
        endpoint_url=urlsplit(url)._replace(path="", query="", fragment="").geturl(),
        config=Config(connect_timeout=3, read_timeout=10, retries={"mode": "standard", "total_max_attempts": 2}),
    )
    return EventQueue(client, url)


class WarehouseResource(dg.ConfigurableResource, ABC):  # type: ignore[type-arg]
    """The warehouse of an environment, opened for a step and closed again."""

    @abstractmethod
    def open(self, role: Role = "loader", *, run_id: str = "", asset: str = "") -> AbstractContextManager[Warehouse]:
        """A connection with a role's rights. ``run_id`` and ``asset`` go into Snowflake's query tag."""

    @abstractmethod
    def publisher(self, *, run_id: str = "", asset: str = "") -> AbstractContextManager[Publisher]:
        """The publisher of this warehouse's tables."""

    @abstractmethod
    def served(self, *, run_id: str = "", asset: str = "") -> AbstractContextManager[Served | None]:
        """The published tables, open for reading as consumers read them; None if nothing was ever published."""

    @abstractmethod
    def exists(self) -> bool:
        """Whether there is a warehouse to open for reading."""

    @abstractmethod
    def clear_deleted(self) -> None:
        """Remove deleted values from the storage itself, as far as this process can."""


class EmbeddedWarehouse(WarehouseResource):
    """One DuckDB file. A step closes it, so that dbt can open it."""

    file: str
    published: str  # the folder to publish into
    wait_seconds: float

    @contextmanager
    def open(self, role: Role = "loader", *, run_id: str = "", asset: str = "") -> Iterator[Warehouse]:
        """A connection to the file; waits while another process holds it."""
        from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse  # duckdb takes 0.1 s to import

        with DuckDBWarehouse(Path(self.file), self.wait_seconds, read_only=role == "reader") as warehouse:
            yield warehouse

    @contextmanager
    def publisher(self, *, run_id: str = "", asset: str = "") -> Iterator[Publisher]:
        """A publisher into a folder; it opens the file when it publishes."""
        from netflix_assets.warehouse.duckdb.publisher import DuckDBPublisher

        yield DuckDBPublisher(Path(self.file), Path(self.published), self.wait_seconds)

    @contextmanager
    def served(self, *, run_id: str = "", asset: str = "") -> Iterator[Served | None]:
        """The published file; the warehouse itself stays free for writers."""
        from netflix_assets.warehouse.duckdb.publisher import DuckDBPublisher
        from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse

        publisher = DuckDBPublisher(Path(self.file), Path(self.published), self.wait_seconds)
        publication = publisher.published()
        if publication is None:
            yield None
            return
        with DuckDBWarehouse(publisher.file_of(publication), self.wait_seconds, read_only=True) as published:
            yield Served(publication, published.query)

    def exists(self) -> bool:
        """Whether the file exists."""
        return Path(self.file).exists()

    def clear_deleted(self) -> None:
        """Rewrite the file without the blocks of deleted rows."""
        from netflix_assets.warehouse.duckdb.rewrite import rewrite

        rewrite(Path(self.file), self.wait_seconds)


class SnowflakeAccount(WarehouseResource):
    """One environment on Snowflake. Settings are not resource config, so no page and no log shows credentials."""

    settings: dg.ResourceDependency[Settings]

    @contextmanager
    def open(self, role: Role = "loader", *, run_id: str = "", asset: str = "") -> Iterator[Warehouse]:
        """A session. Raises: WarehouseError when settings are missing or it cannot be opened."""
        with self._session(role, run_id, asset) as warehouse:
            yield warehouse

    @contextmanager
    def publisher(self, *, run_id: str = "", asset: str = "") -> Iterator[Publisher]:
        """A publisher into the serving database, with a session of the transformer."""
        from netflix_assets.warehouse.snowflake.publisher import SnowflakePublisher

        with self._session("transformer", run_id, asset) as warehouse:
            yield SnowflakePublisher(warehouse, str(self.settings.serving_database))

    @contextmanager
    def served(self, *, run_id: str = "", asset: str = "") -> Iterator[Served | None]:
        """A session of the transformer within the serving database."""
        from netflix_assets.warehouse.snowflake.publisher import SnowflakePublisher

        serving = str(self.settings.serving_database)
        with self._session("transformer", run_id, asset, database=serving) as warehouse:
            publication = SnowflakePublisher(warehouse, serving).published()
            yield None if publication is None else Served(publication, warehouse.query)

    @contextmanager
    def _session(
        self, role: Role, run_id: str, asset: str, database: str | None = None
    ) -> Iterator["SnowflakeWarehouse"]:
        from netflix_assets.warehouse.snowflake.warehouse import (
            SnowflakeWarehouse,
            query_tag,
        )  # takes seconds to import

        tag = query_tag(self.settings.env, run_id, asset)

        def connect() -> "SnowflakeConnection":
            try:  # with a new resource, because each reads the key's file once and the key may have been rotated
                snowflake = _snowflake(self.settings, role, tag, database)
                return sessions.enter_context(snowflake.get_connection())
            except (ValueError, TypeError, OSError) as error:  # of the key; the connector has errors of its own
                raise WarehouseError(_unreadable_key(self.settings, error)) from None

        with ExitStack() as sessions, SnowflakeWarehouse(connect) as warehouse:
            yield warehouse

    def exists(self) -> bool:
        """An account always exists."""
        return True

    def clear_deleted(self) -> None:
        """Nothing: Snowflake keeps deleted rows for Time Travel and Fail-safe, then removes them itself."""


def _snowflake(settings: Settings, role: Role, query_tag: str, database: str | None) -> "SnowflakeResource":
    """dagster-snowflake's resource for a role; the transformer may read everything.

    ``database``: a database other than the one that dbt builds into.
    """
    from dagster_snowflake import SnowflakeResource

    access, names = settings.snowflake, settings.names
    missing = access.missing()
    if missing or names is None:
        raise WarehouseError(
            f"NETFLIX_ENV={settings.env} uses Snowflake and needs {'; '.join(missing)}. See docs/snowflake.md, or set "
            "NETFLIX_ENV=local to run without Snowflake"
        )
    address = {"host": access.host, "port": access.port, "protocol": access.protocol, "token": _revealed(access.token)}
    return SnowflakeResource(
        account=access.account,
        user=str(access.user),
        private_key=_revealed(access.private_key),
        private_key_path=str(access.private_key_path) if access.private_key_path else None,
        private_key_password=_revealed(access.private_key_passphrase),
        authenticator=access.authenticator,
        database=database or access.database or names.database,
        warehouse=names.load_warehouse if role == "loader" else names.transform_warehouse,
        role=names.loader_role if role == "loader" else names.transformer_role,
        paramstyle="qmark",
        autocommit=True,  # statements begin and end transactions; dagster-snowflake would commit once more
        login_timeout=60,
        client_session_keep_alive=True,  # validating a large object may take hours
        additional_snowflake_connection_args={
            **{name: value for name, value in address.items() if value is not None},
            "session_parameters": {
                "QUERY_TAG": query_tag,
                "STATEMENT_TIMEOUT_IN_SECONDS": access.statement_timeout_seconds,
                "TIMEZONE": "UTC",
                "TIMESTAMP_TYPE_MAPPING": "TIMESTAMP_NTZ",  # what contracts mean by timestamp
            },
        },
    )


def _unreadable_key(settings: Settings, error: Exception) -> str:
    path = settings.snowflake.private_key_path
    setting = f"NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH={path}" if path else "NETFLIX_SNOWFLAKE_PRIVATE_KEY"
    reason = error.strerror if isinstance(error, OSError) else "it is damaged, or its passphrase does not fit"
    return f"{setting}: cannot read the private key: {reason}. Check it and NETFLIX_SNOWFLAKE_PRIVATE_KEY_PASSPHRASE"


def _revealed(secret: LateSecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


def landing_bucket(settings: Settings) -> LandingBucket:
    """The landing bucket of this environment. Protects this process from what steers S3 clients on this machine."""
    protect_bucket(settings)
    return LandingBucket(
        bucket=settings.bucket,
        prefix=settings.bucket_prefix,
        region=settings.s3_region,
        endpoint=settings.s3_endpoint or (None if settings.serves_s3 else aws_endpoint()),
        profile=settings.aws_profile,
        local_home=str(settings.home) if settings.serves_s3 else None,
        events_queue=settings.events_queue_url,
    )


def warehouse(settings: Settings) -> WarehouseResource:
    """The warehouse of this environment."""
    if settings.names is None:
        return EmbeddedWarehouse(
            file=str(settings.warehouse_file),
            published=str(settings.published_folder),
            wait_seconds=settings.warehouse_wait_seconds,
        )
    return SnowflakeAccount(settings=settings)
