"""Which objects a run loads, given a listing and a ledger."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from netflix_assets.ingest.plan import MAX_UNUSED_SHOWN, Plan, plan_loads, warn_of_unused
from netflix_assets.storage.objects import ObjectVersion
from netflix_assets.warehouse.loads import Load, RefusedObject
from netflix_assets_tests.conftest import make_column, make_dataset

NOON = datetime(2024, 5, 1, 12, tzinfo=UTC)
ADDING = pytest.mark.parametrize("mode", ["append", "upsert"])


def version(key: str, etag: str = "1", minutes: float = 0) -> ObjectVersion:
    return ObjectVersion("bucket", key, etag, 10, NOON + timedelta(minutes=minutes))


def load(listed: ObjectVersion, load_id: int = 1) -> Load:
    return Load("shop/things", load_id, listed, 1, 1, 0, True, NOON, 0.1)


def refused(listed: ObjectVersion, outcome: str = "refused") -> RefusedObject:
    return RefusedObject("shop/things", listed, outcome, "because")


def planned(mode, listing, current, refused_before) -> Plan:
    return plan_loads(make_dataset(make_column("id"), mode=mode), listing, current, refused_before)


A, B, C = version("a"), version("b", minutes=1), version("c", minutes=2)


@pytest.mark.parametrize("mode", ["append", "upsert", "overwrite"])
def test_an_empty_bucket_and_ledger_need_no_action(mode):
    assert planned(mode, [], [], []) == Plan((), (), (), {})


@ADDING
def test_objects_missing_from_the_ledger_are_loaded_in_key_order(mode):
    assert planned(mode, [A, B, C], [load(B)], []) == Plan((A, C), (), (), {"b": 1})


@ADDING
def test_a_loaded_version_is_not_loaded_again_even_with_another_time(mode):
    later = version("a", minutes=99)
    assert planned(mode, [later], [load(A)], []).load == ()


@ADDING
def test_a_changed_etag_is_loaded_even_with_an_older_time(mode):
    changed = version("a", "2", minutes=-60)
    assert planned(mode, [changed, B], [load(A), load(B)], []).load == (changed,)


@ADDING
def test_returning_content_is_loaded_again(mode):
    # A -> B -> A: only the load of B is current, whatever was loaded before.
    first, second = version("a", "1"), version("a", "2")
    assert planned(mode, [first], [load(second, 2)], []).load == (first,)


@ADDING
def test_a_deleted_object_is_only_reported(mode):
    assert planned(mode, [B], [load(A), load(B)], []) == Plan((), (), (load(A),), {"a": 1, "b": 1})


@pytest.mark.parametrize("outcome", ["refused", "ignored"])
@ADDING
def test_a_refused_object_is_quarantined_until_it_changes(mode, outcome):
    quarantined = refused(A, outcome)
    assert planned(mode, [A, B], [], [quarantined]) == Plan((B,), (quarantined,), (), {})
    changed = version("a", "2")
    assert planned(mode, [changed, B], [], [quarantined]) == Plan((changed, B), (), (), {})
    assert planned(mode, [B], [], [quarantined]) == Plan((B,), (), (), {})


@ADDING
def test_the_same_key_in_another_bucket_is_another_object(mode):
    elsewhere = ObjectVersion("other", "a", "1", 10, NOON)
    assert planned(mode, [A], [load(elsewhere)], []).load == (A,)


def overwrite(listing, current=(), refused_before=()) -> tuple[ObjectVersion, ...]:
    return planned("overwrite", listing, current, refused_before).load


def test_overwrite_loads_only_the_newest():
    assert overwrite([C, A, B]) == (C,)
    assert overwrite([A, B, C], [load(B)]) == (C,)
    assert overwrite([A, B, C], [load(C)]) == ()


def test_overwrite_decides_by_key_where_times_are_equal():
    assert overwrite([version("b"), version("a"), version("aa")]) == (version("b"),)


def test_overwrite_loads_a_new_version_even_if_the_clock_went_back():
    back = version("c", "2", minutes=-58)
    assert overwrite([C], []) == (C,)
    assert overwrite([back], [load(C)]) == (back,)


def test_overwrite_loads_returning_content_again():
    assert overwrite([version("c", "1", 5)], [load(version("c", "2", 4))]) == (version("c", "1", 5),)


def test_overwrite_keeps_the_table_when_the_newest_is_deleted():
    assert planned("overwrite", [A, B], [load(C)], []) == Plan((), (), (load(C),), {"": 1})


def test_overwrite_loads_what_arrives_after_the_newest_was_deleted():
    later = version("a", "2", minutes=3)
    assert overwrite([later, B], [load(C)]) == (later,)


def test_overwrite_keeps_the_table_when_the_newest_is_refused():
    broken = version("c", "2", minutes=3)
    # No older object may replace the loaded one: neither the previous object nor an earlier version of the broken one.
    assert overwrite([A, B, broken], [load(C)], [refused(broken)]) == ()
    assert overwrite([A, B, broken], [load(C)], [refused(broken, "ignored")]) == ()
    fixed = version("c", "3", minutes=4)
    assert overwrite([A, B, fixed], [load(C)], [refused(broken)]) == (fixed,)


def test_overwrite_with_nothing_loaded_takes_the_newest_object_not_refused():
    assert overwrite([A, B, C], [], [refused(C)]) == (B,)
    assert overwrite([A, B, C], [], [refused(C), refused(A)]) == (B,)
    assert overwrite([C], [], [refused(C)]) == ()


def test_overwrite_notices_that_the_loaded_bytes_were_uploaded_again():
    again = version("c", minutes=9)
    plan = planned("overwrite", [A, again], [load(C)], [])
    assert (plan.load, plan.reuploaded) == ((), again)
    assert planned("overwrite", [A, C], [load(C)], []).reuploaded is None


def unused(listing, loads, refused_before=(), mode="overwrite") -> list[str]:
    return warn_of_unused(make_dataset(make_column("id"), mode=mode), listing, loads, refused_before)


def test_objects_that_never_were_the_whole_table_are_named():
    [warning] = unused([A, B, C], [load(C)])
    assert warning.startswith("not used: a (2024-05-01 12:00:00 UTC), b (2024-05-01 12:01:00 UTC). The newest file is")
    assert "the whole table: c (2024-05-01 12:02:00 UTC)" in warning


def test_objects_that_were_the_table_or_were_refused_are_not_named_as_unused():
    was_the_table = replace(load(A), is_current=False)
    assert unused([A, B, C], [was_the_table, load(C, 2)], [refused(B)]) == []
    assert unused([A], [load(A)]) == []
    assert unused([A, B], []) == []  # none is the table yet
    assert unused([A, B], [load(B)], mode="append") == []


def test_many_unused_objects_are_counted():
    many = [version(f"old-{number}") for number in range(MAX_UNUSED_SHOWN + 3)]
    [warning] = unused([*many, C], [load(C)])
    assert "old-4" in warning
    assert "old-5" not in warning
    assert " and 3 more. " in warning
