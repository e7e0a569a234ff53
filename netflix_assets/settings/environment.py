"""The environment variables of processes: what child processes are given, and what this one ignores.

A child process inherits nothing. Each gets its own environment: a few variables of the machine (``_SYSTEM`` and
proxies), the settings that it needs as ``NETFLIX_*``, and no secret that it does not need. Variables that steer a tool
on this machine (``DBT_EMPTY``, ``RCLONE_READ_ONLY``, ``AWS_PROFILE``, ``PYTHONPATH``) would otherwise change its
results. docs/running.md lists what a user may set.
"""

import os
import sysconfig
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

from netflix_assets.settings import REPO, DagsterPlusSettings, Settings, secrets_of, variables_of
from netflix_assets.settings.secret_store import LateSecretStr

UI_OF = "NETFLIX_UI_OF"  # set in every process of a UI, dbt included: the home of that UI

# Where things are on this machine, and the certificates that it trusts. Without LD_LIBRARY_PATH some builds of Python
# do not start.
_SYSTEM = (
    "HOME", "TMPDIR", "TZ", "LD_LIBRARY_PATH",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE",
)  # fmt: skip
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")  # also in capitals
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_STORAGE = "DAGSTER_POSTGRES_URL"  # read by deploy/dagster/dagster.yaml
_PLUS = tuple(f"DAGSTER_CLOUD_{name.upper()}" for name in DagsterPlusSettings.model_fields)  # settings are read from it
# Dagster stores the events that plan a run together, 900 for everything (EventLogStorage in defs/dagster_internals.py).
EVENTS_IN_BATCHES = {"DAGSTER_EVENT_BATCH_SIZE": "1000"}
_BROWSER = ("BROWSER", "DISPLAY", "WAYLAND_DISPLAY", "XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS")


def for_rclone(access_key_id: str, secret_access_key: str) -> dict[str, str]:
    """The environment of the local S3: its keys and nothing else.

    They are not arguments, because every user of the machine can read a command line.
    """
    return {"RCLONE_AUTH_KEY": f'"{access_key_id},{secret_access_key}"'}


def for_postgres() -> dict[str, str]:
    """The environment of the local PostgreSQL: no ``PG*`` variable, and not the machine's locale or time zone."""
    return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"}


def for_dbt(
    settings: Settings, run_id: str = "", reveal: Callable[[LateSecretStr], str] = LateSecretStr.get_secret_value
) -> dict[str, str]:
    """The environment of dbt: what profiles.yml and macros read, and on Snowflake the account's credentials.

    ``reveal`` gives the text of each. Raises: SecretError when one is in Secrets Manager and cannot be read.
    """
    made = {
        **_system(),
        "TZ": "UTC",
        "NETFLIX_ENV": settings.env,
        "NETFLIX_HOME": str(settings.home),
        "DBT_LOG_LEVEL_FILE": "info",
        "NETFLIX_RUN_ID": run_id,
        "NETFLIX_SCHEMA_PREFIX": settings.schema_prefix,
        "NETFLIX_MEMORY_LIMIT": settings.memory_limit,
    }
    if settings.names is not None:
        made |= {**variables_of(settings.snowflake, reveal), **settings.dbt_names}
        if settings.snowflake.authenticator == "externalbrowser":
            made |= _copied(*_BROWSER)
    return made


def for_dagster(settings: Settings) -> dict[str, str]:
    """The environment of webserver, daemon, code server and runs: all settings, as this process has read them.

    Other ``NETFLIX_*`` variables are for assets that a user adds. AWS' variables are there if something uses AWS.
    """
    own = [name for name in os.environ if name.startswith("NETFLIX_")]
    aws = [name for name in os.environ if name.startswith("AWS_")] if _uses_aws(settings) else []
    return {
        **_system(),
        **_copied(_STORAGE, *own, *aws, *(_BROWSER if settings.names is not None else ())),
        **variables_of(settings, LateSecretStr.as_set),
        "DAGSTER_HOME": str(settings.dagster_home),
        **EVENTS_IN_BATCHES,
        "PYTHONPATH": str(REPO),
    }


@contextmanager
def in_place_of_mine(environment: Mapping[str, str]) -> Iterator[None]:
    """Replace this process' environment in the block, for a library that passes it on to child processes."""
    before = dict(os.environ)
    _become(environment)
    try:
        yield
    finally:
        _become(before)


def protect_command() -> None:
    """Make this process, a command, ignore what steers Dagster, libpq and Python's warnings on this machine.

    ``PGSERVICE`` and ``PGOPTIONS`` would change how a database is read, or fail. ``PYTHONWARNINGS=error`` would turn a
    deprecation in a library into the end of a run.
    """
    for name in [name for name in os.environ if name.startswith("PG")]:
        del os.environ[name]
    for name in [name for name in os.environ if name.startswith("DAGSTER_") and name not in (_STORAGE, *_PLUS)]:
        del os.environ[name]
    warnings.resetwarnings()
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)


def protect_bucket(settings: Settings) -> None:
    """Make this process reach the bucket as the settings say.

    Requests to this machine never go through a proxy. In the local mode, AWS' variables are removed: obstore and boto3
    read some two dozen of them even where keys and address are given (``AWS_PROFILE``, ``AWS_SKIP_SIGNATURE``).
    """
    os.environ.update(_proxies())
    if not _uses_aws(settings):
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            del os.environ[name]


def aws_endpoint() -> str | None:
    """The address of S3 in AWS' own variables, in their order of precedence; None for AWS itself."""
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def _uses_aws(settings: Settings) -> bool:
    asked = settings.sns_topic_arn or settings.events_queue_url
    return not settings.serves_s3 or asked is not None or any(each.is_reference for each in secrets_of(settings))


def _system() -> dict[str, str]:
    scripts = sysconfig.get_path("scripts")
    return {
        **_copied(*_SYSTEM, UI_OF),
        **_proxies(),
        "PATH": os.pathsep.join([scripts, os.environ.get("PATH") or os.defpath]),
        "PYTHONUTF8": "1",  # in place of the locale: text is UTF-8
    }


def _copied(*names: str) -> dict[str, str]:
    return {name: os.environ[name] for name in names if name in os.environ}


def _proxies() -> dict[str, str]:
    """The machine's proxies, with loopback among the exceptions; empty if there are none."""
    proxies = _copied(*_PROXIES, *(name.upper() for name in _PROXIES))
    if not proxies:
        return {}
    given = [host.strip() for name in ("no_proxy", "NO_PROXY") for host in os.environ.get(name, "").split(",")]
    exceptions = "*" if "*" in given else ",".join(dict.fromkeys(host for host in (*given, *_LOOPBACK) if host))
    return {**proxies, "no_proxy": exceptions, "NO_PROXY": exceptions}


def _become(environment: Mapping[str, str]) -> None:
    for name in set(os.environ) - set(environment):
        del os.environ[name]
    os.environ.update(environment)
