"""When the landing sensor asks for a run: its memory, and the decision. Knows no Dagster.

The memory is what was asked for last: a fingerprint per dataset, a counter that no two requests for different reasons
share, and the attempt. Does not belong here: what the bucket has and which runs there are (``sensors.py``).
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace

MAX_ATTEMPTS = 3
# Seconds from one attempt to the next, by the number of the next: at once after the first failure, as a killed process
# or a lost connection wants it; the last when a short outage of the warehouse is over.
RETRY_AFTER_S = {2: 30, 3: 600}


@dataclass(frozen=True)
class Asked:
    """The last request. ``state``: dataset -> the fingerprint of its listing that was asked for; ``at``: Unix time.

    ``basis``: a digest of contracts, code and settings; ``parked``: that all attempts have failed. Where events tell of
    files, ``heard``: source -> the newest event after which it was listed; ``look_at``: when everything is listed
    next without one (Unix time).
    """

    state: Mapping[str, str] = field(default_factory=dict)
    basis: str = ""
    count: int = 0
    attempt: int = 0
    at: float = 0.0
    parked: bool = False
    heard: Mapping[str, int] = field(default_factory=dict)
    look_at: float = 0.0

    @classmethod
    def from_cursor(cls, cursor: str | None, now: float) -> "Asked":
        """The memory that a cursor holds.

        Without one the counter begins at the time: a request whose key was used before is ignored for ever, and who
        clears the cursor wants the opposite.
        """
        return cls(**json.loads(cursor)) if cursor else cls(count=int(now))

    def to_cursor(self) -> str:
        """The memory as text."""
        return json.dumps(asdict(self), sort_keys=True)

    @property
    def run_key(self) -> str:
        """What makes this request itself; Dagster never runs the same key twice."""
        state = hashlib.blake2b(json.dumps(self.state, sort_keys=True).encode(), digest_size=8).hexdigest()
        return f"{state}-{self.count}-{self.attempt}"


@dataclass(frozen=True)
class Decision:
    """What to remember, and why nothing is asked for; no reason: ``asked`` is to be asked for."""

    asked: Asked
    reason: str = ""


def decide(asked: Asked, state: Mapping[str, str], basis: str, now: float, *, has_succeeded_since: bool) -> Decision:
    """Whether to ask for a run that brings this state (dataset -> fingerprint of its listing) to consumers.

    The caller has seen that these datasets are behind and that no run which would change that is under way; so when all
    of it was asked for before, that run has failed. ``has_succeeded_since``: whether, after the last request, a run has
    succeeded that was not asked for here, so that whatever was broken may work again.
    """
    if not state.items() <= asked.state.items() or asked.basis != basis or has_succeeded_since:
        # What is behind elsewhere may not have been looked at, so what was asked for there is kept.
        wanted = {**asked.state, **state}
        return Decision(
            replace(asked, state=wanted, basis=basis, count=asked.count + 1, attempt=1, at=now, parked=False)
        )
    if asked.attempt >= MAX_ATTEMPTS:
        return Decision(
            replace(asked, parked=True),
            f"parked: {MAX_ATTEMPTS} runs failed for this state of the bucket. It is asked for again when the "
            "files, the contracts, the code or the settings change, or when another run succeeds "
            "(`netflix-assets run`, say)",
        )
    due = asked.at + RETRY_AFTER_S[asked.attempt + 1]
    if now < due:
        return Decision(
            asked, f"attempt {asked.attempt} of {MAX_ATTEMPTS} failed; the next one is due in {due - now:.0f} s"
        )
    return Decision(replace(asked, attempt=asked.attempt + 1, at=now))
