"""When a failed request is repeated: only the decision, with a simulated clock."""

import json

import pytest

from netflix_assets.defs.landing.cursor import MAX_ATTEMPTS, RETRY_AFTER_S, Cursor, Decision, decide

A, B = {"shop/things": "aa"}, {"shop/things": "bb"}


def next_decision(cursor: Cursor, state=A, *, basis: str = "code", now: float = 0, success: bool = False) -> Decision:
    # Through text, as between two ticks.
    return decide(Cursor.from_text(cursor.to_text(), now), state, basis, now, has_succeeded_since=success)


def exhausted() -> Cursor:
    cursor, now = Cursor(count=7), 0.0
    for attempt in range(1, MAX_ATTEMPTS + 1):
        now += RETRY_AFTER_S.get(attempt, 0)
        decision = next_decision(cursor, now=now)
        assert (decision.skip_reason, decision.cursor.attempt, decision.cursor.count) == ("", attempt, 8)
        cursor = decision.cursor
    decision = next_decision(cursor, now=now + 1e6)
    assert decision.skip_reason.startswith("exhausted: 3 runs failed for these files. The next run is requested when")
    assert json.loads(decision.cursor.to_text())["exhausted"] is True
    return decision.cursor


def test_the_next_attempt_waits_for_its_delay() -> None:
    first = next_decision(Cursor()).cursor
    early = next_decision(first, now=RETRY_AFTER_S[2] - 5)
    assert early == Decision(first, "attempt 1 of 3 failed; next attempt in 5 s")
    assert next_decision(first, now=RETRY_AFTER_S[2]).cursor.attempt == 2


def test_the_next_attempt_does_not_wait_for_a_clock_that_was_set_back() -> None:
    first = next_decision(Cursor(), now=90_000).cursor
    early = next_decision(first, now=1_000)
    assert early.skip_reason == f"attempt 1 of 3 failed; next attempt in {RETRY_AFTER_S[2]} s"
    assert next_decision(early.cursor, now=1_000 + RETRY_AFTER_S[2]).cursor.attempt == 2


@pytest.mark.parametrize("changed", [{"state": B}, {"basis": "fixed code"}, {"success": True}])
def test_an_exhausted_request_is_repeated_when_something_changes(changed: dict) -> None:
    before = exhausted()
    decision = next_decision(before, now=before.requested_at + 1, **changed)
    assert decision.skip_reason == ""
    assert (decision.cursor.attempt, decision.cursor.count, decision.cursor.exhausted) == (1, before.count + 1, False)
    assert next_decision(before, now=before.requested_at + 1).cursor == before


def test_no_two_requests_share_a_key() -> None:
    cursor, keys, now = Cursor(count=3), [], 0.0
    for state in (A, B, A, A, A, B):
        now += 10_000
        cursor = next_decision(cursor, state, now=now).cursor
        keys.append(cursor.run_key)
    assert len(set(keys)) == len(keys)
    # Same state, counter and attempt: a tick evaluated twice starts one run.
    assert next_decision(Cursor(count=3), now=1).cursor.run_key == next_decision(Cursor(count=3), now=2).cursor.run_key


def test_clearing_the_cursor_does_not_repeat_old_keys() -> None:
    cursor = next_decision(Cursor.from_text(None, now=1_000)).cursor
    assert next_decision(Cursor.from_text(None, now=2_000)).cursor.run_key != cursor.run_key


def test_a_cursor_of_an_older_home_is_read() -> None:
    old = {
        "state": A, "basis": "code", "count": 7, "attempt": 3, "at": 5.0, "parked": True, "heard": {"shop": 9},
        "look_at": 11.0,
    }  # fmt: skip
    assert Cursor.from_text(json.dumps(old), now=20) == Cursor(A, "code", 7, 3, 5.0, True, {"shop": 9}, 11.0)
