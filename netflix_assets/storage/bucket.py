"""The landing bucket of an environment: where it is, and with which credentials it is opened."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict

from netflix_assets.settings import Settings
from netflix_assets.settings.environment import aws_endpoint, protect_bucket
from netflix_assets.storage.objects import S3ObjectStore
from netflix_assets.storage.retries import RETRIES, BucketError

if TYPE_CHECKING:
    from botocore.credentials import Credentials

    from netflix_assets.storage.events import EventQueue


class _Server(NamedTuple):
    """The one place for address, region and credentials of S3; the names are those of a boto3 session and client."""

    region_name: str
    endpoint_url: str | None
    profile_name: str | None = None
    aws_access_key_id: str | None = None
    aws_secret_access_key: str | None = None

    @property
    def session_options(self) -> dict[str, str | None]:
        options = self._asdict()
        return {name: options[name] for name in options if name != "endpoint_url"}


class Bucket(BaseModel):
    """The bucket that files land in, and the queue of its events, if any.

    ``local_home`` is set when the bucket is a local folder; the local S3 then runs while the bucket is open. Otherwise
    credentials come from the AWS default chain at first use.
    """

    model_config = ConfigDict(frozen=True)

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

    def _address(self, s3: _Server) -> str:
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
            return _event_queue(self.events_queue, **s3.session_options)

    def reconnect_events(self) -> None:
        """Open the queue with the credentials of that time when it is used next: they may have been rotated."""
        _event_queue.cache_clear()

    def _credentials(self, s3: _Server) -> tuple[dict[str, Any], "Credentials"]:
        """The local S3's own keys, or else what AWS' default chain finds; for obstore and for the lister."""
        from botocore.credentials import Credentials
        from botocore.exceptions import BotoCoreError

        if s3.aws_access_key_id:
            id_and_key = (s3.aws_access_key_id, s3.aws_secret_access_key)
            return dict(zip(("access_key_id", "secret_access_key"), id_and_key, strict=True)), Credentials(*id_and_key)
        import boto3  # takes 0.3 s to import
        from obstore.auth.boto3 import Boto3CredentialProvider

        try:
            provider = Boto3CredentialProvider(boto3.Session(**s3.session_options))
            return {"credential_provider": provider}, provider.credentials
        except (BotoCoreError, ValueError) as error:  # ValueError: the chain found none
            cause = str(error) if isinstance(error, BotoCoreError) else "AWS' default chain found none"
            raise BucketError(
                f"{self._place(s3)}: no credentials: {cause}. Set NETFLIX_AWS_PROFILE, or AWS_PROFILE, or "
                "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
            ) from None

    def _place(self, s3: _Server) -> str:
        """The bucket's name in errors, without a user and password that the address may hold."""
        server = urlsplit(s3.endpoint_url)._replace(query="", fragment="") if s3.endpoint_url else None
        at = server._replace(netloc=server.netloc.rpartition("@")[2]).geturl() if server else f"AWS {s3.region_name}"
        return f"s3://{self.bucket}/{self.prefix} at {at}"

    @contextmanager
    def _s3(self) -> Iterator[_Server]:
        if self.local_home is None:
            yield _Server(self.region, self.endpoint, self.profile)
            return
        from netflix_assets.storage.local_s3 import lease, local_s3

        with lease(local_s3(Path(self.local_home)), self.bucket) as server:
            yield _Server(
                self.region,
                server.endpoint,
                aws_access_key_id=server.access_key_id,
                aws_secret_access_key=server.secret_access_key,
            )


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


def landing_bucket(settings: Settings) -> Bucket:
    """The landing bucket of this environment. Protects this process from what steers S3 clients on this machine."""
    protect_bucket(settings)
    return Bucket(
        bucket=settings.bucket,
        prefix=settings.bucket_prefix,
        region=settings.s3_region,
        endpoint=settings.s3_endpoint or (None if settings.serves_s3 else aws_endpoint()),
        profile=settings.aws_profile,
        local_home=str(settings.home) if settings.serves_s3 else None,
        events_queue=settings.events_queue_url,
    )
