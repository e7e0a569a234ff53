"""The one settings object: read from ``NETFLIX_*`` environment variables, validated once.

Belongs here: every choice that differs between environments. Does not belong here: credentials (the AWS default chain
and, later, Snowflake's key pair are asked at first use) and what is derived from a contract.
"""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from netflix_assets.contract import CONTRACTS_DIR, Source, load_sources

REPO = Path(__file__).resolve().parent.parent

Environment = Literal["local", "dev", "staging", "production"]


class SettingsError(ValueError):
    """A setting that cannot be used; the message names the variable, its value and what is allowed."""


def _absolute(path: Path) -> Path:
    return path.expanduser().resolve()


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]


class Settings(BaseSettings):
    """Where everything is and how the environments differ.

    Relative paths are taken from the current directory, once, here; every path in the object is absolute.
    """

    model_config = SettingsConfigDict(env_prefix="NETFLIX_", env_ignore_empty=True, frozen=True, extra="ignore")

    env: Environment = "local"
    home: AbsolutePath = REPO / ".netflix"
    contracts: AbsolutePath = CONTRACTS_DIR
    dbt_project: AbsolutePath = REPO / "dbt"
    bucket: str = Field(default="landing", pattern=r"[a-z0-9][a-z0-9.-]{2,62}")
    bucket_prefix: str = Field(default="", pattern=r"([^/].*/)?")
    s3_endpoint: str | None = Field(default=None, pattern=r"https?://.+")
    s3_region: str = "us-east-1"
    aws_profile: str | None = None
    settle_seconds: float = Field(default=2.0, ge=0)
    warehouse_wait_seconds: float = Field(default=60.0, ge=0)

    @property
    def serves_s3(self) -> bool:
        """Whether the bucket is a folder of ours, served by a local S3 that the commands start and stop."""
        return self.env == "local" and self.s3_endpoint is None

    @property
    def s3_folder(self) -> Path:
        """The folder that the local S3 serves; each folder in it is a bucket."""
        return self.home / "s3"

    @property
    def warehouse_file(self) -> Path:
        """The embedded warehouse."""
        return self.home / "warehouse.duckdb"

    @property
    def dagster_home(self) -> Path:
        """Dagster's own storage ($DAGSTER_HOME)."""
        return self.home / "dagster"

    def sources(self) -> tuple[Source, ...]:
        """The contracts of all sources."""
        return load_sources(self.contracts)


def read_settings(**overrides: Any) -> Settings:
    """Settings from the environment, with overrides for tests.

    Raises: SettingsError naming the variable when a value is not allowed.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        problems = "; ".join(
            f"NETFLIX_{str(problem['loc'][0]).upper()}={problem['input']!r}: {problem['msg']}"
            for problem in error.errors()
        )
        raise SettingsError(problems) from error


@lru_cache(maxsize=1)
def current_settings() -> Settings:
    """The settings of this process, read once."""
    return read_settings()
