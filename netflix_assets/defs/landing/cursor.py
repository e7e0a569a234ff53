"""The landing sensor's cursor, and the decision whether to request a run. Pure: no Dagster, no bucket.

The cursor holds the last request: a fingerprint per dataset, a counter that makes requests for different reasons
distinct, and the attempt. Its size does not depend on the number of objects.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

MAX_ATTEMPTS = 3

# Seconds between attempts, by the number of the next one. The second follows soon, for a killed process or a lost
# connection; the third when a short outage of the warehouse is over.
RETRY_AFTER_S = {2: 30, 3: 600}

# Names that cursors in older homes have.
_RENAMED = {
    "state": "requested",
    "at": "requested_at",
    "parked": "exhausted",
    "heard": "received",
    "look_at": "full_check_at",
}


@dataclass(frozen=True)
class Cursor:
    """The last request, as the sensor's cursor stores it. Moments are Unix times; 0 is never.

    ``requested``: dataset -> the fingerprint of the listing that a run was requested for. ``basis``: a digest of
    contracts, code and settings. ``exhausted``: all attempts for this request failed. With an event queue,
    ``received``: source -> the newest event after which it was listed, and ``full_check_at``: when everything is listed
    next, with or without events.
    """

    requested: Mapping[str, str] = field(default_factory=dict)
    basis: str = ""
    count: int = 0
    attempt: int = 0
    requested_at: float = 0.0
    exhausted: bool = False
    received: Mapping[str, int] = field(default_factory=dict)
    full_check_at: float = 0.0

    @classmethod
    def from_text(cls, text: str | None, now: float) -> "Cursor":
        """Parse a stored cursor.

        Without one the counter starts at the current time: Dagster skips a run key it has seen, and whoever clears the
        cursor wants a new run. A request dated in the future was made before the clock was set back.
        """
        if not text:
            return cls(count=int(now))
        cursor = cls(**{_RENAMED.get(name, name): value for name, value in json.loads(text).items()})
        return replace(cursor, requested_at=min(cursor.requested_at, now))

    def to_text(self) -> str:
        """The cursor as the sensor stores it."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def run_key(self) -> str:
        """The run key of this request; Dagster runs each key once."""
        requested = json.dumps(self.requested, sort_keys=True).encode()
        return f"{hashlib.blake2b(requested, digest_size=8).hexdigest()}-{self.count}-{self.attempt}"


@dataclass(frozen=True)
class Decision:
    """The cursor to store, and why no run is requested. Without a reason, request a run with the cursor's key."""

    cursor: Cursor
    skip_reason: str = ""


def decide(cursor: Cursor, state: Mapping[str, str], basis: str, now: float, *, has_succeeded_since: bool) -> Decision:
    """Decide whether to request a run for this state (dataset -> fingerprint of its listing).

    The caller has found these datasets stale and no run in progress that would update them. So a state that was
    requested before belongs to a run that failed. ``has_succeeded_since``: a run that the sensor did not request has
    succeeded since the last request, so whatever was broken may work again.
    """
    if not state.items() <= cursor.requested.items() or cursor.basis != basis or has_succeeded_since:
        # Datasets that were not checked this time keep their last request.
        return Decision(
            replace(
                cursor,
                requested={**cursor.requested, **state},
                basis=basis,
                count=cursor.count + 1,
                attempt=1,
                requested_at=now,
                exhausted=False,
            )
        )
    if cursor.attempt >= MAX_ATTEMPTS:
        return Decision(
            replace(cursor, exhausted=True),
            f"exhausted: {MAX_ATTEMPTS} runs failed for these files. The next run is requested when files, contracts, "
            "code or settings change, or when another run succeeds (netflix-assets run)",
        )
    due = cursor.requested_at + RETRY_AFTER_S[cursor.attempt + 1]
    if now < due:
        return Decision(cursor, f"attempt {cursor.attempt} of {MAX_ATTEMPTS} failed; next attempt in {due - now:.0f} s")
    return Decision(replace(cursor, attempt=cursor.attempt + 1, requested_at=now))
