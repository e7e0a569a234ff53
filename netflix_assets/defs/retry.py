"""A step that failed is tried again, later and later, when its failure may pass by itself.

Steps ask for it themselves (``dg.RetryRequested``) instead of having a ``dg.RetryPolicy``: a policy would also retry an
interrupt, so that Ctrl-C starts the step anew. Only steps are tried again, never whole runs: the two would multiply.

Does not belong here: which failures may pass (``failures.py``).
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from netflix_assets.settings import Settings
from netflix_assets.warehouse.transient import Failure, kind_of


class TransientError(RuntimeError):
    """A failure of which the step knows that it may pass; raised from what it was."""


def has_more(context: dg.AssetExecutionContext, settings: Settings) -> bool:
    """Whether the step is tried again after a failure that may pass."""
    return bool(context.retry_number < settings.step_retries)


@contextmanager
def retry_transient(
    context: dg.AssetExecutionContext | dg.AssetCheckExecutionContext, settings: Settings
) -> Iterator[None]:
    """Have Dagster call the step again when this block fails in a way that may pass; other errors go on as they are.

    The delay grows from attempt to attempt and is random. Raises: RetryRequested, or the error after the last attempt.
    """
    try:
        yield
    except Exception as error:
        kind = Failure.TRANSIENT if isinstance(error, TransientError) else kind_of(error)
        most = {Failure.PERMANENT: 0, Failure.EXHAUSTED: 1, Failure.TRANSIENT: settings.step_retries}[kind]
        most = min(most, settings.step_retries)
        if context.retry_number >= most:
            raise
        delay = _delays(settings).calculate_delay(context.retry_number + 1)
        context.log.warning(f"{error}. Tried again in {delay:.0f} s ({context.retry_number + 1} of {most})")
        raise dg.RetryRequested(max_retries=most, seconds_to_wait=delay) from error


def _delays(settings: Settings) -> dg.RetryPolicy:
    # 1, 3 and 7 s, each a second more or less, where the first delay is one second.
    return dg.RetryPolicy(
        max_retries=settings.step_retries,
        delay=settings.step_retry_delay_seconds,
        backoff=dg.Backoff.EXPONENTIAL,
        jitter=dg.Jitter.PLUS_MINUS,
    )
