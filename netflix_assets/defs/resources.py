"""The Dagster resources: the landing bucket and the warehouse, chosen once by the environment.

They connect when they are used, never when definitions load.
"""

from abc import ABC
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import dagster as dg

from netflix_assets.settings import Settings
from netflix_assets.settings.secret_store import LateSecretStr
from netflix_assets.storage import bucket
from netflix_assets.storage.bucket import Bucket
from netflix_assets.warehouse.access import Role, WarehouseAccess
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.duckdb.access import DuckDBAccess, duckdb_access
from netflix_assets.warehouse.errors import WarehouseError
from netflix_assets.warehouse.publishing import Publisher, Served

if TYPE_CHECKING:
    from dagster_snowflake import SnowflakeResource
    from snowflake.connector import SnowflakeConnection

    from netflix_assets.warehouse.snowflake.warehouse import SnowflakeWarehouse


class LandingBucket(Bucket, dg.ConfigurableResource):  # type: ignore[type-arg]
    """The bucket that files land in, and the queue of its events, if any."""


class WarehouseResource(WarehouseAccess, dg.ConfigurableResource, ABC):  # type: ignore[type-arg]
    """The warehouse of an environment, opened for a step and closed again."""


class EmbeddedWarehouse(DuckDBAccess, WarehouseResource):
    """One DuckDB file. A step closes it, so that dbt can open it."""


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
    return LandingBucket(**dict(bucket.landing_bucket(settings)))


def warehouse(settings: Settings) -> WarehouseResource:
    """The warehouse of this environment."""
    if settings.names is None:
        return EmbeddedWarehouse(**dict(duckdb_access(settings)))
    return SnowflakeAccount(settings=settings)
