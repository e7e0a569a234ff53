"""A person erased from every load: rows, rejects and profiles go, the ledger adds up, and nothing brings them back."""

import pytest

from netflix_assets.contracts.loading import dataset_by_id, load_sources
from netflix_assets.ingest.erase import erase_person, find_person
from netflix_assets.ingest.persons import canonical, names_person
from netflix_assets.ingest.replay import replay_rejects
from netflix_assets.warehouse.erasures import record_erasure
from netflix_assets.warehouse.loads import Counts
from netflix_assets_tests.conftest import make_column, make_dataset
from netflix_assets_tests.ingest.test_replay import EIGHT
from netflix_assets_tests.ingest.test_sync import HEADER, KEY, RATINGS, ratings, users

TAGS = dataset_by_id(load_sources(), "movielens/tags")
TAGS_HEADER = "userId,movieId,tag,timestamp\n"
CUSTOMERS = make_dataset(make_column("customer", "text", identifies="user"), make_column("amount", "integer"))


def ledger(warehouse):
    return warehouse.execute(
        "select load_id, rows_in, rows_loaded, rows_rejected, rows_erased from ops.loads order by dataset, load_id"
    )


def erase(warehouse, dataset, text):
    warehouse.prepare(dataset)
    record_erasure(warehouse, "user", text)
    return erase_person(dataset, warehouse, text)


def test_rows_and_rejects_of_current_and_superseded_loads_are_erased(sync, bucket, warehouse):
    bucket.put(KEY, ratings(1, 2) + "2,103,7.5,3\n" + "x,104,4.5,4\n" + "02,1,9,9\n")
    sync(RATINGS)
    bucket.put(KEY, ratings(1, 2, 3) + "2,oops,7.5,3,4\n" + "7,oops,7.5,3,4\n")
    sync(RATINGS)
    found = erase(warehouse, RATINGS, "2")
    assert (found.rows, found.rejects) == ({1: 1, 2: 1}, {1: [3, 5], 2: [4]})
    assert users(warehouse, "movielens_ratings") == [1, 1, 3]
    assert ledger(warehouse) == [(1, 5, 1, 1, 3), (2, 5, 2, 1, 2)]
    assert warehouse.counts(RATINGS) == Counts(0, 2, 2, 1, 1)
    assert warehouse.execute("select raw_text from ops.rejected_rows order by 1") == [
        ("7,oops,7.5,3,4",),
        ("x,104,4.5,4",),
    ]
    assert [each.row_count for each in warehouse.profiles(RATINGS, [1, 2]) if each.column == "user_id"] == [1, 2]
    again = erase(warehouse, RATINGS, "2")
    assert (again.rows, again.rejects) == ({}, {})


def test_an_erased_person_does_not_come_back(sync, bucket, warehouse, tmp_path):
    bucket.put(KEY, ratings(1, 2))
    sync(RATINGS)
    erase(warehouse, RATINGS, "2")
    bucket.put(KEY, ratings(1, 2, 3) + "2,103,7.5,3\n" + "4,103,7.5,3\n")  # a new version
    bucket.put("movielens/ratings-late.csv", ratings(2))
    sync(RATINGS)
    assert users(warehouse, "movielens_ratings") == [1, 1, 3]
    assert ledger(warehouse)[1:] == [(2, 1, 0, 0, 1), (3, 5, 2, 1, 2)]
    assert warehouse.counts(RATINGS) == Counts(0, 2, 2, 1, 1)
    assert len(replay_rejects(EIGHT, warehouse, "replay-1", tmp_path)) == 1
    assert users(warehouse) == [1, 3, 4]

    warehouse.forget_dataset(RATINGS)  # rebuild
    sync(RATINGS)
    assert users(warehouse, "movielens_ratings") == [1, 3]
    assert warehouse.counts(RATINGS) == Counts(0, 2, 2, 1, 1)
    other = [(each.load_id, each.rows_erased) for each in sync(RATINGS).loads]
    assert other == []  # nothing is loaded twice


def test_a_replayed_reject_of_the_person_goes_with_its_row(sync, bucket, warehouse, tmp_path):
    bucket.put(KEY, ratings(1) + "2,103,7.5,3\n" + "3,103,7.5,3\n")
    sync(RATINGS)
    replay_rejects(EIGHT, warehouse, "replay-1", tmp_path)
    erase(warehouse, RATINGS, "2")
    assert ledger(warehouse) == [(1, 3, 1, 1, 1), (2, 2, 1, 0, 1)]
    assert warehouse.counts(RATINGS) == Counts(0, 2, 2, 1, 1, replayed_rejects=1, replay_rows=1)


def test_ids_that_are_texts_and_quotes_in_them(sync, bucket, warehouse):
    bucket.put("shop/things.csv", "customer,amount\nO'Hara,1\nohara,2\nO'Hara,x\n \\,3\n")
    sync(CUSTOMERS)
    assert find_person(CUSTOMERS, warehouse, "O'Hara").rejects == {1: [3]}
    erase(warehouse, CUSTOMERS, "O'Hara")
    bucket.put("shop/things-2.csv", "customer,amount\nO'Hara,9\n")
    sync(CUSTOMERS)
    assert warehouse.execute("select customer from raw.shop_things order by amount") == [("ohara",), (" \\",)]


def test_the_list_hides_the_id_and_grows_under_one_salt(sync, bucket, warehouse):
    bucket.put(KEY, ratings(1, 2, 3))
    sync(RATINGS)
    assert record_erasure(warehouse, "user", "2")
    assert not record_erasure(warehouse, "user", "2")
    assert record_erasure(warehouse, "user", "3")
    rows = warehouse.execute("select subject, salt, digest from ops.erasures")
    assert len({salt for _, salt, _ in rows}) == 1
    assert {len(digest) for *_, digest in rows} == {64}


def test_texts_that_only_the_person_has_are_found(sync, bucket, warehouse):
    mine, shared, short = "a text of mine", "a text of many", "short"
    records = [(7, mine), (7, shared), (8, shared), (7, short)]
    bucket.put(
        "movielens/tags.csv",
        TAGS_HEADER + "".join(f"{user},{at},{tag},1600000000\n" for at, (user, tag) in enumerate(records, start=1)),
    )
    sync(TAGS)
    assert find_person(TAGS, warehouse, "7").texts == [mine]
    # A dataset with persons keeps no ids and no texts of theirs outside the table.
    assert {each.min_value for each in warehouse.profiles(TAGS, [1]) if each.column in ("user_id", "tag")} == {None}


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [("integer", "007", "7"), ("integer", " 7.0 ", "7"), ("integer", "1,234", "1234"), ("integer", "7a", "7a"),
     ("integer", "", ""), ("integer", "NaN", "NaN"), ("integer", "7.5", "7.5"), ("text", " 007 ", "007")],
)  # fmt: skip
def test_ids_are_compared_in_one_form(kind, text, expected):
    assert canonical(make_column("id", kind, identifies="user"), text) == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("2,1,7.5,3", True),
        ("1,2,7.5,3", False),  # another column
        ("1,2,7.5", True),  # cannot be split: any word may be the person
        ('"2,1,7.5,3', True),
        ("12,22,7.5,3,4", False),
    ],
)
def test_persons_in_rejected_records(text, found):
    header = HEADER.strip().split(",")
    assert names_person(RATINGS, header, text, lambda _, value: value == "2") is found


@pytest.mark.parametrize(("text", "found"), [('{"customer": "2", "amount": "x"}', True), ('{"amount": "2"}', False),
                                             ('{"customer": "2", "amount', True)])  # fmt: skip
def test_persons_in_rejected_json(text, found):
    dataset = CUSTOMERS.model_copy(update={"format": "jsonl"})
    assert names_person(dataset, [], text, lambda _, value: value == "2") is found
