"""Which failures may pass by themselves, the one place that decides whether a step is tried again; how one is told.

Pure functions over errors and over texts, since of what failed inside dbt there is only text. Does not belong here: how
S3 calls are repeated (``ingest/retries.py``), how a step is tried again (``attempts.py``).
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
    """What kind of failure an error is."""

    PERMANENT = "permanent"  # contract, SQL, a test, credentials, a full disk: the same again gives the same
    TRANSIENT = "passing"  # worth trying again, more patiently each time
    EXHAUSTED = "waited out"  # may pass, but has been tried or waited for as long as makes sense: once more is enough


# Its errors without a number of its own, and those of the HTTP libraries below it, by class: imports cost seconds.
_TRANSIENT_CLASSES = frozenset({
    "BadGatewayError", "GatewayTimeoutError", "InternalServerError", "ServiceUnavailableError", "TooManyRequests",
    "ConnectionError", "ConnectTimeout", "ReadTimeout", "ProtocolError", "MaxRetryError", "IncompleteRead",
    "ConnectTimeoutError", "ReadTimeoutError", "NewConnectionError",
})  # fmt: skip
_LIBRARIES = ("snowflake.", "requests.", "urllib3.", "botocore.", "http.client")

_DUCKDB = ("duckdb.", "_duckdb.")  # it has one class for locks and full disks

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
    """What kind of failure an error is, by its class and those of its causes; what is not known is permanent."""
    return next((kind for each in _chain(error) if (kind := _own_kind(each))), Failure.PERMANENT)


def kind_of_text(text: str) -> Failure:
    """What kind of failure dbt tells of; it gives up locks and connections at once, so nothing was waited out."""
    return Failure.TRANSIENT if _TRANSIENT_TEXT.search(text) else Failure.PERMANENT


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and what it was raised from. What it merely came up beside is not its cause."""
    while error is not None:
        yield error
        error = error.__cause__


def _own_kind(error: BaseException) -> Failure | None:
    """The kind that the error alone says; None when its cause is to be asked."""
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
    """The error of our code without the frame that Dagster puts around it and without the module of its class."""
    inner = error and (error.cause or error)
    if not inner:
        return ""
    name = "" if inner.cls_name == "Failure" else f"{inner.cls_name}: "  # dg.Failure has a text for people
    return re.sub(rf"^(?:[\w.]+\.)?{re.escape(inner.cls_name or '')}: ", lambda _: name, inner.message.strip())
