"""The Dagster resources: the landing bucket, the warehouse and dbt, chosen once by the environment.

They connect when they are used, never when definitions load. Does not belong here: what is done with them.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg

from netflix_assets.ingest.objects import ObjectStore, S3ObjectStore
from netflix_assets.settings import Settings
from netflix_assets.warehouse.base import Warehouse

if TYPE_CHECKING:
    from dagster_aws.s3 import S3Resource


class LandingBucket(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The bucket that files land in.

    ``local_home`` is set where the bucket is a folder of ours: the local S3 then runs for as long as the bucket is
    open. Elsewhere the credentials come from the AWS default chain, when they are first needed.
    """

    bucket: str
    prefix: str = ""
    region: str = "us-east-1"
    endpoint: str | None = None
    profile: str | None = None
    local_home: str | None = None

    @contextmanager
    def open(self) -> Iterator[ObjectStore]:
        """The bucket, ready to list, read and write."""
        from obstore.auth.boto3 import Boto3CredentialProvider  # boto3 costs 0.3 s, which loading definitions need not
        from obstore.store import S3Store

        with self._s3() as s3:
            store = S3Store(
                self.bucket,
                prefix=self.prefix or None,
                region=s3.region_name,
                endpoint=s3.endpoint_url,
                virtual_hosted_style_request=s3.endpoint_url is None,
                client_options={"allow_http": (s3.endpoint_url or "").startswith("http://")},
                credential_provider=Boto3CredentialProvider(_session(s3)),
            )
            yield S3ObjectStore(store, self.bucket)

    @contextmanager
    def _s3(self) -> Iterator["S3Resource"]:
        """dagster-aws' S3Resource: the one place that holds endpoint, region and credentials."""
        from dagster_aws.s3 import S3Resource  # costs 0.6 s

        if self.local_home is None:
            yield S3Resource(region_name=self.region, endpoint_url=self.endpoint, profile_name=self.profile)
            return
        from netflix_assets.local_s3 import lease, local_s3

        with lease(local_s3(Path(self.local_home)), self.bucket) as server:
            yield S3Resource(
                region_name=self.region,
                endpoint_url=server.endpoint,
                aws_access_key_id=server.access_key_id,
                aws_secret_access_key=server.secret_access_key,
            )


def _session(s3: "S3Resource"):  # type: ignore[no-untyped-def]
    import boto3

    return boto3.Session(
        aws_access_key_id=s3.aws_access_key_id,
        aws_secret_access_key=s3.aws_secret_access_key,
        aws_session_token=s3.aws_session_token,
        region_name=s3.region_name,
        profile_name=s3.profile_name,
    )


class WarehouseResource(dg.ConfigurableResource):  # type: ignore[type-arg]
    """The embedded warehouse; opened for a step and closed again, so that dbt finds the file free."""

    file: str
    wait_seconds: float

    @contextmanager
    def open(self, *, read_only: bool = False) -> Iterator[Warehouse]:
        """A connection to the warehouse."""
        from netflix_assets.warehouse.duckdb import DuckDBWarehouse  # importing duckdb costs 0.1 s

        with DuckDBWarehouse(Path(self.file), self.wait_seconds, read_only=read_only) as warehouse:
            yield warehouse


def landing_bucket(settings: Settings) -> LandingBucket:
    """The landing bucket of this environment."""
    return LandingBucket(
        bucket=settings.bucket,
        prefix=settings.bucket_prefix,
        region=settings.s3_region,
        endpoint=settings.s3_endpoint,
        profile=settings.aws_profile,
        local_home=str(settings.home) if settings.serves_s3 else None,
    )


def warehouse(settings: Settings) -> WarehouseResource:
    """The warehouse of this environment."""
    return WarehouseResource(file=str(settings.warehouse_file), wait_seconds=settings.warehouse_wait_seconds)
