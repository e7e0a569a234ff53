"""Which failures are transient: the one place that decides whether a step is retried.

Pure functions over errors, and over texts because dbt reports errors as text only.
"""

import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

from netflix_assets.storage.objects import ObjectChangedError
from netflix_assets.storage.retries import BucketError
from netflix_assets.warehouse.errors import HeldError
from netflix_assets.warehouse.snowflake.errors import TRANSIENT, transient_pattern


class Failure(Enum):
    """The kind of a failure."""

    PERMANENT = "permanent"  # contract, SQL, a test, credentials, a full disk: a retry fails the same way
    TRANSIENT = "transient"  # worth several retries, with growing delays
    EXHAUSTED = "exhausted"  # transient, but already retried or waited for; one more retry is enough


# Errors of Snowflake's connector and of HTTP libraries without a number, by class name: importing them takes seconds.
_TRANSIENT_CLASSES = frozenset({
    "BadGatewayError", "GatewayTimeoutError", "InternalServerError", "ServiceUnavailableError", "TooManyRequests",
    "ConnectionError", "ConnectTimeout", "ReadTimeout", "ProtocolError", "MaxRetryError", "IncompleteRead",
    "ConnectTimeoutError", "ReadTimeoutError", "NewConnectionError",
})  # fmt: skip
_LIBRARIES = ("snowflake.", "requests.", "urllib3.", "botocore.", "http.client")

_DUCKDB = ("duckdb.", "_duckdb.")  # has one class for both locks and full disks

_TRANSIENT_TEXT = re.compile(
    r"""
    could\ not\ set\ lock | conflicting\ lock | database\ is\ locked            # DuckDB, SQLite
    | """
    + transient_pattern()
    + r"""
    | (?:authentication|session|id)\ token\ (?:has\ )?(?:been\ )?(?:expired|no\ longer\ valid)
    | session\ (?:no\ longer\ exists|has\ (?:been\ )?(?:expired|terminated|ended))
    | connection\ (?:reset|refused|aborted|timed\ out|was\ closed|is\ closed|broken)
    | (?:read|connect(?:ion)?)\ (?:operation\ )?timed\ out | remote\ end\ closed\ connection | broken\ pipe
    | temporary\ failure\ in\ name\ resolution | max\ retries\ exceeded\ with\ url
    | \b50[0234]\ (?:internal\ server\ error|bad\ gateway|service\ unavailable|gateway\ time-?out)
    """,
    re.IGNORECASE | re.VERBOSE,
)


def kind_of(error: BaseException) -> Failure:
    """The kind of an error, by its class and its causes' classes; unknown errors are permanent."""
    return next((kind for each in _chain(error) if (kind := _own_kind(each))), Failure.PERMANENT)


def kind_of_text(text: str) -> Failure:
    """The kind of a failure that dbt reports; dbt never waits for locks or connections, so none is exhausted."""
    return Failure.TRANSIENT if _TRANSIENT_TEXT.search(text) else Failure.PERMANENT


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and its causes (``raise ... from``); errors it was merely raised during are not causes."""
    while error is not None:
        yield error
        error = error.__cause__


def _own_kind(error: BaseException) -> Failure | None:
    """The kind by this error alone; None if its cause decides."""
    if isinstance(error, BucketError):
        return Failure.EXHAUSTED if error.is_transient else Failure.PERMANENT
    if isinstance(error, HeldError):
        return Failure.EXHAUSTED
    if isinstance(error, ObjectChangedError | ConnectionError | TimeoutError):
        return Failure.TRANSIENT
    if _is_of_library(error) and (
        getattr(error, "errno", None) in TRANSIENT
        or any(each.__name__ in _TRANSIENT_CLASSES for each in type(error).__mro__)
    ):
        return Failure.TRANSIENT
    if _is_of_library(error, _DUCKDB) and kind_of_text(str(error)) is Failure.TRANSIENT:
        return Failure.TRANSIENT
    return None


def _is_of_library(error: BaseException, libraries: tuple[str, ...] = _LIBRARIES) -> bool:
    return f"{type(error).__module__}.".startswith(libraries)


def cause_of(error: Any) -> str:
    """The message of a serialized Dagster error without Dagster's wrapper and without the class's module."""
    inner = error and (error.cause or error)
    if not inner:
        return ""
    name = "" if inner.cls_name == "Failure" else f"{inner.cls_name}: "  # dg.Failure's message is for people
    return re.sub(rf"^(?:[\w.]+\.)?{re.escape(inner.cls_name or '')}: ", lambda _: name, inner.message.strip())
