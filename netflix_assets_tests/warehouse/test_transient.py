"""Which failures are transient, and how a step with a transient failure is retried."""

from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import filelock
import pytest
import requests
import snowflake.connector.errors as snowflake
import urllib3.exceptions

from netflix_assets.contracts.loading import ContractError
from netflix_assets.defs.retry import retry_transient
from netflix_assets.settings import Settings, read_settings
from netflix_assets.storage.objects import ObjectChangedError
from netflix_assets.storage.retries import BucketError, is_transient
from netflix_assets.warehouse.builds import NotServableError
from netflix_assets.warehouse.errors import HeldError, WarehouseError
from netflix_assets.warehouse.publishing import PublishingError, PublishingHeldError
from netflix_assets.warehouse.transient import Failure, kind_of, kind_of_text


def raised_from(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (BucketError("503", is_transient=True), Failure.EXHAUSTED),
        (HeldError("held by process 7"), Failure.EXHAUSTED),
        (PublishingHeldError("another process publishes"), Failure.EXHAUSTED),
        (filelock.Timeout("dbt-build.lock"), Failure.TRANSIENT),
        (ObjectChangedError("changed"), Failure.TRANSIENT),
        (ConnectionResetError("reset"), Failure.TRANSIENT),
        (TimeoutError("late"), Failure.TRANSIENT),
        (duckdb.IOException("IO Error: Could not set lock on file: Conflicting lock is held in x"), Failure.TRANSIENT),
        (snowflake.ProgrammingError("Authentication token has expired", errno=390_114), Failure.TRANSIENT),
        (snowflake.ProgrammingError("locked by a transaction", errno=625), Failure.TRANSIENT),
        (snowflake.OperationalError("no connection", errno=250_001), Failure.TRANSIENT),
        (snowflake.ServiceUnavailableError(), Failure.TRANSIENT),
        (requests.ConnectionError("reset"), Failure.TRANSIENT),
        (urllib3.exceptions.ProtocolError("cut off"), Failure.TRANSIENT),
        (raised_from(WarehouseError("no session"), snowflake.OperationalError("", errno=250_001)), Failure.TRANSIENT),
        (BucketError("403"), Failure.PERMANENT),
        (ContractError("unknown type"), Failure.PERMANENT),
        (WarehouseError("column stars is integer"), Failure.PERMANENT),
        (PublishingError("3 of 4 rows were copied"), Failure.PERMANENT),
        (NotServableError("a test failed"), Failure.PERMANENT),
        (duckdb.IOException("IO Error: Could not write: No space left on device"), Failure.PERMANENT),
        (duckdb.BinderException("Binder Error: no column connection_refused"), Failure.PERMANENT),
        (snowflake.ProgrammingError("SQL compilation error", errno=1003), Failure.PERMANENT),
        (snowflake.ProgrammingError("Statement reached its timeout", errno=630), Failure.PERMANENT),
        (raised_from(WarehouseError("no session"), snowflake.DatabaseError("", errno=390_144)), Failure.PERMANENT),
        (FileNotFoundError("x"), Failure.PERMANENT),
        (MemoryError(), Failure.PERMANENT),
        (AssertionError("a bug"), Failure.PERMANENT),
    ],
)
def test_errors_are_classified(error: Exception, kind: Failure) -> None:
    assert kind_of(error) is kind


def test_an_error_raised_while_handling_another_is_not_caused_by_it() -> None:
    bug = ValueError("a bug of the handler")
    bug.__context__ = TimeoutError()
    assert kind_of(bug) is Failure.PERMANENT


@pytest.mark.parametrize(
    ("cause", "expected"),
    [
        ("503 SlowDown: Please reduce your request rate", True),
        ("500 InternalError: We encountered an internal error", True),
        ("429 TooManyRequests", True),
        ("the server timed out", True),
        ("connection closed early", True),
        ("Connection refused (os error 111)", True),
        ("403 AccessDenied: Access Denied", False),
        ("400 ExpiredToken: The provided token has expired", False),
        ("404 NoSuchBucket: The bucket does not exist", False),
        ("403 RequestTimeTooSkewed: The difference is too large", False),
        ("301 PermanentRedirect", False),
    ],
)
def test_s3_errors_are_classified(cause: str, expected: bool) -> None:
    assert is_transient(cause) is expected


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('IO Error: Could not set lock on file "/x/warehouse.duckdb": Conflicting lock is held', Failure.TRANSIENT),
        ("Database Error in model x\n  390114 (08001): Authentication token has expired.", Failure.TRANSIENT),
        ("250001 (08001): None: Failed to connect to DB: xy.snowflakecomputing.com:443", Failure.TRANSIENT),
        ("000625 (57014): Statement '01' has locked table 'X' in transaction 1", Failure.TRANSIENT),
        ("('Connection aborted.', ConnectionResetError(104, 'Connection reset by peer'))", Failure.TRANSIENT),
        ("HTTPSConnectionPool(host='x', port=443): Read timed out. (read timeout=60)", Failure.TRANSIENT),
        ("503 Service Unavailable", Failure.TRANSIENT),
        ("Got 503 results, configured to fail if != 0", Failure.PERMANENT),
        ("001003 (42000): SQL compilation error: syntax error line 1", Failure.PERMANENT),
        ("000630 (57014): Statement reached its statement or warehouse timeout of 3,600 second(s)", Failure.PERMANENT),
        ('Binder Error: Referenced column "locks" not found', Failure.PERMANENT),
        ("This model has an enforced contract that failed", Failure.PERMANENT),
        ("", Failure.PERMANENT),
    ],
)
def test_dbt_messages_are_classified(text: str, kind: Failure) -> None:
    assert kind_of_text(text) is kind


def run_step(tmp_path: Path, failures: list[BaseException], **changes: Any) -> tuple[dg.ExecuteInProcessResult, int]:
    """Run a step that raises these errors, one per attempt, then succeeds. Return its result and how often it ran."""
    settings: Settings = read_settings(home=tmp_path, **{"step_retry_delay_seconds": 0, **changes})
    calls = []

    @dg.asset
    def table(context: dg.AssetExecutionContext) -> None:
        calls.append(context.retry_number)
        with retry_transient(context, settings):
            if failures:
                raise failures.pop(0)

    return dg.materialize([table], raise_on_error=False), len(calls)


def test_a_transient_error_is_retried_until_the_step_succeeds(tmp_path: Path) -> None:
    result, calls = run_step(tmp_path, [ConnectionResetError("reset"), ObjectChangedError("changed")])
    assert result.success
    assert calls == 3
    waited = [event.step_retry_data.seconds_to_wait for event in result.all_events if event.is_step_up_for_retry]
    assert waited == [0, 0]


def test_retry_delays_grow_and_have_jitter(tmp_path: Path) -> None:
    delays = []
    for _ in range(2):
        failures: list[BaseException] = [TimeoutError() for _ in range(3)]
        result, _ = run_step(tmp_path, failures, step_retry_delay_seconds=0.02)
        delays.append(
            [event.step_retry_data.seconds_to_wait for event in result.all_events if event.is_step_up_for_retry]
        )
    for first, second, third in delays:
        assert 0 <= first <= 0.04 <= second <= 0.08 < 0.12 <= third <= 0.16
    assert delays[0] != delays[1]


@pytest.mark.parametrize(
    ("error", "calls"),
    [(ConnectionResetError("no way"), 4), (HeldError("no way"), 2), (WarehouseError("no way"), 1)],
)
def test_the_original_error_is_raised_after_the_last_attempt(tmp_path: Path, error: Exception, calls: int) -> None:
    result, called = run_step(tmp_path, [error] * 9)
    assert called == calls
    (failed,) = [event for event in result.all_events if event.is_step_failure]
    assert failed.step_failure_data.error.cause.message.strip().endswith("no way")
    assert failed.step_failure_data.error.cause.cause is None


def test_an_interrupt_is_not_retried(tmp_path: Path) -> None:
    result, called = run_step(tmp_path, [KeyboardInterrupt()])
    assert not result.success
    assert called == 1


def test_retries_can_be_turned_off(tmp_path: Path) -> None:
    result, called = run_step(tmp_path, [ConnectionResetError("no way")], step_retries=0)
    assert not result.success
    assert called == 1
