"""When a run is asked for again: the decision alone, with a clock of its own."""

import json

import pytest

from netflix_assets.defs.landing.cursor import MAX_ATTEMPTS, RETRY_AFTER_S, Asked, Decision, decide

A, B = {"shop/things": "aa"}, {"shop/things": "bb"}


def ask(asked: Asked, state=A, *, basis: str = "code", now: float = 0, success: bool = False) -> Decision:
    # Through the cursor, as from one tick to the next.
    return decide(Asked.from_cursor(asked.to_cursor(), now), state, basis, now, has_succeeded_since=success)


def parked() -> Asked:
    asked, now = Asked(count=7), 0.0
    for attempt in range(1, MAX_ATTEMPTS + 1):
        now += RETRY_AFTER_S.get(attempt, 0)
        decision = ask(asked, now=now)
        assert (decision.reason, decision.asked.attempt, decision.asked.count) == ("", attempt, 8)
        asked = decision.asked
    decision = ask(asked, now=now + 1e6)
    assert decision.reason.startswith("parked: 3 runs failed for this state of the bucket. It is asked for again when")
    assert json.loads(decision.asked.to_cursor())["parked"] is True
    return decision.asked


def test_the_next_attempt_waits_its_time() -> None:
    first = ask(Asked()).asked
    early = ask(first, now=RETRY_AFTER_S[2] - 5)
    assert early == Decision(first, "attempt 1 of 3 failed; the next one is due in 5 s")
    assert ask(first, now=RETRY_AFTER_S[2]).asked.attempt == 2


@pytest.mark.parametrize("changed", [{"state": B}, {"basis": "mended code"}, {"success": True}])
def test_what_is_parked_is_asked_for_again_when_something_has_changed(changed: dict) -> None:
    before = parked()
    decision = ask(before, now=before.at + 1, **changed)
    assert decision.reason == ""
    assert (decision.asked.attempt, decision.asked.count, decision.asked.parked) == (1, before.count + 1, False)
    assert ask(before, now=before.at + 1).asked == before


def test_no_two_requests_share_a_key() -> None:
    asked, keys, now = Asked(count=3), [], 0.0
    for state in (A, B, A, A, A, B):
        now += 10_000
        asked = ask(asked, state, now=now).asked
        keys.append(asked.run_key)
    assert len(set(keys)) == len(keys)
    # The same state, counter and attempt are the same request: a tick that is evaluated twice starts one run.
    assert ask(Asked(count=3), now=1).asked.run_key == ask(Asked(count=3), now=2).asked.run_key


def test_a_cursor_that_was_cleared_does_not_bring_old_keys_back() -> None:
    asked = ask(Asked.from_cursor(None, now=1_000)).asked
    assert ask(Asked.from_cursor(None, now=2_000)).asked.run_key != asked.run_key
