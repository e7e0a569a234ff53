"""Retry a step when its failure is transient, with growing delays.

Steps request their own retries (``dg.RetryRequested``) because a ``dg.RetryPolicy`` would also retry an interrupt:
Ctrl-C would start the step again. Only steps are retried, never whole runs; the two would multiply.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from netflix_assets.contracts.visibility import printable
from netflix_assets.settings import Settings
from netflix_assets.warehouse.transient import Failure, kind_of


class TransientError(RuntimeError):
    """A failure that the step knows to be transient."""


def can_retry(context: dg.AssetExecutionContext, settings: Settings) -> bool:
    """Whether the step is retried after a transient failure."""
    return bool(context.retry_number < settings.step_retries)


@contextmanager
def retry_transient(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, settings: Settings
) -> Iterator[None]:
    """Have Dagster retry the step when this block fails with a transient error; other errors pass through.

    Delays grow with each attempt and are random. Raises: RetryRequested, or the error itself after the last attempt.
    """
    try:
        yield
    except Exception as error:  # whatever the step raised; permanent errors are raised again
        kind = Failure.TRANSIENT if isinstance(error, TransientError) else kind_of(error)
        retries = {Failure.PERMANENT: 0, Failure.EXHAUSTED: 1, Failure.TRANSIENT: settings.step_retries}[kind]
        retries = min(retries, settings.step_retries)
        if context.retry_number >= retries:
            raise
        delay = _delays(settings).calculate_delay(context.retry_number + 1)
        context.log.warning(f"{printable(str(error))}. Retry {context.retry_number + 1} of {retries} in {delay:.0f} s")
        raise dg.RetryRequested(max_retries=retries, seconds_to_wait=delay) from error


def _delays(settings: Settings) -> dg.RetryPolicy:
    # 1, 3 and 7 s, each plus or minus a second, when the first delay is one second.
    return dg.RetryPolicy(
        max_retries=settings.step_retries,
        delay=settings.step_retry_delay_seconds,
        backoff=dg.Backoff.EXPONENTIAL,
        jitter=dg.Jitter.PLUS_MINUS,
    )
