"""The settings and the environments: read from ``NETFLIX_*`` variables, validated once.

On Dagster+, ``DAGSTER_CLOUD_*`` fills in the environment and a branch's schema prefix where ``NETFLIX_*`` does not set
them. AWS credentials are not here (AWS' default chain finds them). Secrets are only checked for their shape; they are
tried, and read if they are in AWS Secrets Manager, at first use.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from unicodedata import category

from pydantic import AfterValidator, Field, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from netflix_assets.contracts.loading import CONTRACTS_DIR, load_sources
from netflix_assets.contracts.model import Source
from netflix_assets.contracts.visibility import reason_of
from netflix_assets.settings.named import BY_NAME, ApiSettings, DatabaseSettings, named
from netflix_assets.settings.secret_store import LateSecretStr, PemSecret, Secret, UrlSecret

PACKAGE = Path(__file__).resolve().parents[1]
REPO = PACKAGE.parent

EnvironmentName = Literal["local", "dev", "staging", "production"]


@dataclass(frozen=True)
class Environment:
    """The names of one environment on Snowflake, which ``deploy/snowflake`` creates, and its bucket prefix."""

    database: str
    serving_database: str
    load_warehouse: str
    transform_warehouse: str
    read_warehouse: str
    loader_role: str
    transformer_role: str
    reader_role: str
    bucket_prefix: str


def _environment(name: str) -> Environment:
    prefix = f"NETFLIX_{name.upper()}"
    return Environment(
        database=prefix,
        serving_database=f"{prefix}_SERVING",
        load_warehouse=f"{prefix}_LOAD",
        transform_warehouse=f"{prefix}_TRANSFORM",
        read_warehouse=f"{prefix}_READ",
        loader_role=f"{prefix}_LOADER",
        transformer_role=f"{prefix}_TRANSFORMER",
        reader_role=f"{prefix}_READER",
        bucket_prefix=f"{name}/",
    )


ENVIRONMENTS: Mapping[str, Environment] = {
    "dev": _environment("dev"),
    "staging": _environment("staging"),
    "production": _environment("production"),
}

# Deployments of Dagster+ by name. Any other needs NETFLIX_ENV.
DEPLOYMENTS: Mapping[str | None, EnvironmentName] = {
    "prod": "production",
    "production": "production",
    "staging": "staging",
    "dev": "dev",
}


class SettingsError(ValueError):
    """A setting is invalid; the message names the variable, its value and what is allowed."""


def _absolute(path: Path) -> Path:
    try:
        return path.expanduser().resolve()
    except FileNotFoundError as error:
        raise ValueError("a relative path, but the current folder no longer exists. Use an absolute path") from error
    except (RuntimeError, ValueError) as error:  # ~ of an unknown user, a null character, a loop of links
        raise ValueError(f"not a valid path: {error}") from error


AbsolutePath = Annotated[Path, AfterValidator(_absolute)]

# With these characters in a path, tools silently write elsewhere or ignore a file: SQLite's addresses end at ? and
# decode %41, dbt-duckdb cuts the database's name at #, Dagster finds its settings file by a pattern (* ? [), and rclone
# takes \ for a separator.
_UNUSABLE = "#?*[%\\"


def _usable(path: Path) -> Path:
    found = [each for each in str(path) if each in _UNUSABLE or category(each) in ("Cc", "Cs")]  # also not UTF-8
    if found:
        raise ValueError(
            f"the path {str(path)!r} contains {found[0]!r}. Set NETFLIX_HOME to a folder whose path has no control "
            f"characters and none of {' '.join(_UNUSABLE)}"
        )
    return path


HomePath = Annotated[AbsolutePath, AfterValidator(_usable)]


def _without_credentials(address: str) -> str:
    if "@" in address:  # the address appears wherever the bucket is named, also in the UI
        raise ValueError("the address contains a user or password; put credentials into AWS_* or NETFLIX_AWS_PROFILE")
    return address


Address = Annotated[str, AfterValidator(_without_credentials)]


def _memory_limit(limit: str) -> str:
    if not re.fullmatch(r"[1-9][0-9]?%|[1-9][0-9]*(MB|GB)", limit):
        raise ValueError("not a share of the memory or a size. Set it to 1% to 99%, or to a size such as 1500MB or 2GB")
    return limit


MemoryLimit = Annotated[str, AfterValidator(_memory_limit)]


class SnowflakeSettings(BaseSettings):
    """How to reach Snowflake, and as whom.

    ``authenticator``: a key pair (``snowflake_jwt``) for services, ``oauth`` or ``externalbrowser`` for people.
    ``database`` replaces the environment's own. ``host``, ``port`` and ``protocol`` are for a private link.
    """

    model_config = SettingsConfigDict(env_prefix="NETFLIX_SNOWFLAKE_", env_ignore_empty=True, frozen=True)

    account: str | None = Field(default=None, pattern=r"^[A-Za-z0-9_.-]+$")
    user: str | None = None
    private_key_path: AbsolutePath | None = None
    private_key: PemSecret | None = None
    private_key_passphrase: Secret | None = None
    authenticator: Literal["snowflake_jwt", "oauth", "externalbrowser"] = "snowflake_jwt"
    token: Secret | None = None
    database: str | None = Field(default=None, pattern=r"^[A-Z][A-Z0-9_]*$")
    host: str | None = None
    port: int | None = Field(default=None, gt=0, lt=65536)
    protocol: Literal["http", "https"] = "https"
    statement_timeout_seconds: int = Field(default=3_600, gt=0)

    @model_validator(mode="after")
    def _one_key(self) -> "SnowflakeSettings":
        if self.private_key is not None and self.private_key_path is not None:
            raise ValueError("set NETFLIX_SNOWFLAKE_PRIVATE_KEY or NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH, not both")
        return self

    def missing(self) -> list[str]:
        """The missing settings that a session needs, each with an explanation."""
        wanted: dict[str, object] = {
            "ACCOUNT (the account identifier, <organisation>-<account>)": self.account,
            "USER (the service user that deploy/snowflake creates, or you)": self.user,
        }
        if self.authenticator == "snowflake_jwt":
            wanted["PRIVATE_KEY_PATH or NETFLIX_SNOWFLAKE_PRIVATE_KEY (that user's key)"] = (
                self.private_key or self.private_key_path
            )
        if self.authenticator == "oauth":
            wanted["TOKEN (because NETFLIX_SNOWFLAKE_AUTHENTICATOR=oauth)"] = self.token
        return [f"NETFLIX_SNOWFLAKE_{name}" for name, value in wanted.items() if value is None]


class DagsterPlusSettings(BaseSettings):
    """What Dagster+ tells a code location and its runs. All empty anywhere else."""

    model_config = SettingsConfigDict(env_prefix="DAGSTER_CLOUD_", env_ignore_empty=True, frozen=True)

    deployment_name: str | None = None
    is_branch_deployment: bool | None = None
    pull_request_id: str | None = None

    def defaults(self) -> dict[str, str]:
        """The environment and schema prefix of this deployment, as settings.

        Without a pull request, a branch deployment is told apart by its own name, a hash.
        """
        if self.is_branch_deployment:
            branch = f"pr_{self.pull_request_id}" if self.pull_request_id else f"branch_{str(self.deployment_name)[:8]}"
            return {"env": "dev", "schema_prefix": re.sub(r"[^a-z0-9]+", "_", branch.lower()) + "_"}
        return {"env": DEPLOYMENTS[self.deployment_name]} if self.deployment_name in DEPLOYMENTS else {}


class Settings(BaseSettings):
    """Where everything is, and how the environments differ.

    Relative paths are resolved here, against the current directory; all paths in the object are absolute.
    """

    model_config = SettingsConfigDict(env_prefix="NETFLIX_", env_ignore_empty=True, frozen=True, extra="ignore")

    env: EnvironmentName = "local"
    home: HomePath = REPO / ".netflix"
    contracts: AbsolutePath = CONTRACTS_DIR
    dbt_project: AbsolutePath = REPO / "dbt"
    bucket: str = Field(default="landing", pattern=r"[a-z0-9][a-z0-9.-]{2,62}")
    bucket_prefix: str = Field(default="", pattern=r"([^/].*/)?")
    s3_endpoint: Address | None = Field(default=None, pattern=r"https?://.+")
    s3_region: str = "us-east-1"
    aws_profile: str | None = None
    events_queue_url: str | None = Field(default=None, pattern=r"^https?://[^/\s]+/\S+$")
    settle_seconds: float = Field(default=2.0, ge=0)
    warehouse_wait_seconds: float = Field(default=60.0, ge=0)
    memory_limit: MemoryLimit = "50%"
    keep_runs_days: float = Field(default=90, gt=0)
    keep_ticks_days: float = Field(default=30, gt=0)
    keep_builds_days: float = Field(default=14, gt=0)
    step_retries: int = Field(default=3, ge=0)
    step_retry_delay_seconds: float = Field(default=1.0, ge=0)
    schema_prefix: str = Field(default="", pattern=r"^([a-z][a-z0-9_]*_)?$")
    alerts: AbsolutePath = PACKAGE / "alerts" / "alerts.yaml"
    web_url: str = Field(default="http://127.0.0.1:3000", pattern=r"^https?://.+")
    docs_url: str = Field(default="docs", pattern=r"^(https?://.+|docs)$")
    slack_token: Secret | None = None
    slack_channel: str | None = Field(default=None, pattern=r"^[CG][A-Z0-9]{2,}$")
    slack_base_url: str = Field(default="https://slack.com/api/", pattern=r"^https?://.+")
    sns_topic_arn: str | None = Field(default=None, pattern=r"^arn:aws[a-z-]*:sns:[a-z0-9-]+:[0-9]{12}:.+$")
    heartbeat_url: UrlSecret | None = None
    databases: dict[str, DatabaseSettings] = Field(default_factory=lambda: named("databases"))
    apis: dict[str, ApiSettings] = Field(default_factory=lambda: named("apis"))
    hash_key: Secret | None = None
    snowflake: SnowflakeSettings = Field(default_factory=SnowflakeSettings)
    dagster_plus: DagsterPlusSettings = Field(default_factory=DagsterPlusSettings)

    @model_validator(mode="before")
    @classmethod
    def _defaults(cls, values: dict[str, Any]) -> dict[str, Any]:
        plus = values.get("dagster_plus") or DagsterPlusSettings()
        values = {**plus.defaults(), **values}
        names = ENVIRONMENTS.get(str(values.get("env")))
        return {"bucket_prefix": names.bucket_prefix, **values} if names else values

    @model_validator(mode="after")
    def _slack_has_a_channel(self) -> "Settings":
        if self.slack_token is not None and self.slack_channel is None:
            raise ValueError(
                "NETFLIX_SLACK_TOKEN is set but NETFLIX_SLACK_CHANNEL is not: set the channel's ID (C…, in its details)"
            )
        return self

    @model_validator(mode="after")
    def _disk_is_kept(self) -> "Settings":
        deployment = self.dagster_plus.deployment_name
        if deployment is not None and self.env == "local":
            raise ValueError(
                f"the Dagster+ deployment {deployment!r} would run with NETFLIX_ENV=local, "
                "whose warehouse is a file. Its containers lose their disk at every deploy, and each run has its own. "
                "Set NETFLIX_ENV to dev, staging or production in the deployment's environment variables, and "
                "NETFLIX_SNOWFLAKE_* with it (docs/deploy.md)"
            )
        return self

    @property
    def names(self) -> Environment | None:
        """The environment's databases, compute and roles on Snowflake; None for local."""
        return ENVIRONMENTS.get(self.env)

    @property
    def warehouse_kind(self) -> str:
        """The warehouse, by the name that Dagster's UI knows."""
        return "duckdb" if self.names is None else "snowflake"

    @property
    def serves_s3(self) -> bool:
        """Whether the bucket is a local folder, served by a local S3 that the commands start and stop."""
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
    def dbt_runs_folder(self) -> Path:
        """dbt's target folder of each run: log, results and compiled queries."""
        return self.home / "dbt" / "runs"

    @property
    def published_folder(self) -> Path:
        """The published versions of the embedded warehouse; consumers follow the link ``current``."""
        return self.home / "published"

    @property
    def serving_database(self) -> str | None:
        """The Snowflake database that consumers read; a custom database has its own."""
        if self.names is None:
            return None
        own = self.snowflake.database
        return f"{own}_SERVING" if own else self.names.serving_database

    @property
    def dbt_names(self) -> Mapping[str, str]:
        """Where dbt builds on Snowflake, and with which role, by the variables that profiles.yml reads."""
        if self.names is None:
            return {}
        return {
            "NETFLIX_SNOWFLAKE_DATABASE": self.snowflake.database or self.names.database,
            "NETFLIX_SNOWFLAKE_WAREHOUSE": self.names.transform_warehouse,
            "NETFLIX_SNOWFLAKE_ROLE": self.names.transformer_role,
        }

    @property
    def dashboards_folder(self) -> Path:
        """The dashboard pages; ``index.html`` is the first."""
        return self.home / "dashboards"

    @property
    def dagster_home(self) -> Path:
        """Dagster's own storage ($DAGSTER_HOME)."""
        return self.home / "dagster"

    def sources(self) -> tuple[Source, ...]:
        """The contracts of all sources."""
        return load_sources(self.contracts)


def read_settings(**overrides: Any) -> Settings:
    """Read settings from the environment; tests pass overrides.

    Raises: SettingsError naming the variable with an invalid value.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        # Without the cause, which contains the value: it may be a key.
        raise SettingsError("; ".join(_problems(error))) from None


def variables_of(settings: BaseSettings, reveal: Callable[[LateSecretStr], str]) -> dict[str, str]:
    """The variables from which another process reads the same settings. ``reveal`` gives the text of a secret."""
    prefix = settings.model_config["env_prefix"]
    variables: dict[str, str] = {}
    for name, value in settings:
        if isinstance(value, BaseSettings):
            variables |= variables_of(value, reveal)
        elif value is not None and name not in BY_NAME:  # their variables are passed on as they are set
            variables[f"{prefix}{name.upper()}"] = reveal(value) if isinstance(value, LateSecretStr) else str(value)
    return variables


def secrets_of(settings: BaseSettings) -> Iterator[LateSecretStr]:
    """Every secret that is set."""
    for _, value in settings:
        if isinstance(value, LateSecretStr):
            yield value
        elif isinstance(value, BaseSettings):
            yield from secrets_of(value)
        elif isinstance(value, Mapping):
            yield from (found for each in value.values() for _, found in each if isinstance(found, LateSecretStr))


def _problems(error: ValidationError) -> Iterator[str]:
    models = {model.__name__: model for model in (SnowflakeSettings, DagsterPlusSettings)}
    model = models.get(error.title, Settings)
    prefix = model.model_config["env_prefix"]
    for problem in error.errors():
        if not problem["loc"]:
            yield reason_of(problem)
            continue
        name = str(problem["loc"][0])
        if name in BY_NAME:
            variables, secret = BY_NAME[name]
            suffix = f"_{secret.upper()}" if problem["loc"][-1] == secret else ""
            own = f"{variables}{str(problem['loc'][1]).upper()}"
            reason = f"not set, but {own}_{secret.upper()} is" if problem["type"] == "missing" else reason_of(problem)
            yield f"{own}{suffix}: {reason}"
            continue
        is_secret = LateSecretStr.__name__ in str(model.model_fields[name].annotation) or "@" in str(problem["input"])
        given = "" if is_secret else f"={str(problem['input'])!r}"
        yield f"{prefix}{name.upper()}{given}: {reason_of(problem)}"


@lru_cache(maxsize=1)
def current_settings() -> Settings:
    """This process' settings, read once."""
    return read_settings()
