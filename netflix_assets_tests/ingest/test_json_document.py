"""JSON documents: where their records are, and what is refused. test_formats.py has the rest."""

import json
from decimal import Decimal

import pytest

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.export import write_rejects
from netflix_assets_tests.conftest import make_column, make_dataset

RATES = {
    "format": "json",
    "records": {"at": "/rates", "name": "currency", "value": "rate", "keep": ["base", "day"]},
}
COLUMNS = (
    make_column("base"),
    make_column("currency"),
    make_column("rate", "decimal(18,8)", min="0"),
    make_column("day", "date", nullable=True),
)
ANSWER = '{"base": "EUR", "day": "2026-11-27", "rates": {"USD": 1.08000001, "JPY": 154}}'
SHOP = "shop/things.json"


def rates(**changes) -> Dataset:
    return make_dataset(*COLUMNS, **{**RATES, **changes})


def load(sync, bucket, warehouse, dataset: Dataset, content: str | bytes) -> list[tuple]:
    bucket.put(SHOP, content)
    report = sync(dataset)
    assert [each.reason for each in report.refused] == []
    names = ", ".join(column.name for column in dataset.columns)
    return warehouse.execute(f"select {names} from raw.{dataset.table}_current order by all")


def refusal(sync, bucket, dataset: Dataset, content: str | bytes) -> str:
    bucket.put(SHOP, content)
    (refused,) = sync(dataset).refused
    return refused.reason


def test_records_that_are_members_have_their_names_and_what_is_kept_of_the_document(sync, bucket, warehouse):
    found = load(sync, bucket, warehouse, rates(), ANSWER)
    assert [(each[:3], str(each[3])) for each in found] == [
        (("EUR", "JPY", Decimal(154)), "2026-11-27"),
        (("EUR", "USD", Decimal("1.08000001")), "2026-11-27"),
    ]


@pytest.mark.parametrize(
    ("records", "content"),
    [
        ({"at": "/a/b"}, '{"a": {"b": [{"x": 1, "y": "é"}, {"x": 2, "y": null}]}}'),
        (None, '[{"x": 1, "y": "é"}, {"x": 2}]'),
        ({"at": "/a", "keep": ["y"]}, '{"y": "é", "a": [{"x": 1}, {"x": 2, "y": ""}]}'),
        ({"at": "/a", "name": "y"}, '{"a": {"é": {"x": 1}, "": {"x": 2}}}'),
        ({"at": "/feed"}, '{"x": 1, "y": "é"}\n{"x": 2}\n'),  # JSON Lines, as rejects are exported
        ({"at": "/feed"}, '\ufeff{"feed": [{"x": 1, "y": "é"}, {"x": 2}], "page": 1}'),
    ],
)
def test_records_are_found_where_the_contract_says(sync, bucket, warehouse, records, content):
    dataset = make_dataset(make_column("x", "integer"), make_column("y", nullable=True), format="json", records=records)
    assert load(sync, bucket, warehouse, dataset, content) == [(1, "é"), (2, None)]


def test_a_document_that_is_one_record_loads(sync, bucket, warehouse):
    dataset = make_dataset(make_column("x", "integer"), make_column("z", path="/y/z"), format="json")
    assert load(sync, bucket, warehouse, dataset, '{"x": 1, "y": {"z": "a"}}') == [(1, "a")]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ('{"base": "EUR", "day": "2026-11-27"}', "the document has no records at '/rates'; it has 'base', 'day'"),
        ('{"rates": "none"}', "'/rates' is a text, not a list of records"),
        ('{"rates": {"USD": 1.0}', "the file is not valid JSON: Expecting ',' delimiter (line 1, column 23)"),
        ('{"rates": {"USD": NaN}}', "the file is not valid JSON: NaN is not valid JSON; write null, or leave out the"),
        ('{"rates": {"USD": 1, "USD": 2}}', "the file is not valid JSON: duplicate member 'USD' in an object"),
        ("[" * 100_000, "the document is nested too deep"),
        ("", "the file is empty (0 bytes)"),
        ("  \n", "the file contains only blank lines"),
        ('{"rates": {}}', "the file has no records; keeping the rows loaded earlier"),
        ("base,currency,rate\nEUR,USD,1\n", "the file is CSV, not JSON; export it as JSON, or correct `format`"),
        ("<!doctype html><p>Error", "the file is a web page (HTML), probably an error page saved instead of the"),
    ],
)
def test_other_documents_are_refused(sync, bucket, content, reason):
    assert refusal(sync, bucket, rates(), content).startswith(reason)


def test_a_document_with_records_is_never_one_record(sync, bucket, warehouse):
    columns = (make_column("station"), make_column("temperature", "integer", nullable=True))
    dataset = make_dataset(*columns, format="json", records={"at": "/results", "keep": ["station"]})
    content = '{"station": "A", "results": [{"temperature": 1}, {"temperature": 2}]}'
    assert load(sync, bucket, warehouse, dataset, content) == [("A", 1), ("A", 2)]


def test_a_record_with_a_fault_costs_itself_and_is_replayed_from_its_export(sync, bucket, warehouse, tmp_path):
    dataset = rates()
    bucket.put(SHOP, '{"base": "EUR", "rates": {"USD": 1.08, "GBP": -1, "JPY": "\\ud800", "CHF": [1]}}')
    (first,) = sync(dataset).loads
    assert (first.rows_in, first.rows_loaded, first.rows_rejected) == (4, 1, 3)
    found = [(each["line_number"], each["reason"]) for each in warehouse.rejected_rows(dataset)]
    assert found == [
        (2, "rate '-1' is below the minimum 0"),
        (3, "rate has half of a surrogate pair (\\ud800), which is not text"),
        (4, "rate is a JSON array, not a decimal(18,8); declare `type: json` or a `path`"),
    ]
    file = tmp_path / "rejects.jsonl"
    write_rejects(dataset, warehouse.rejected_rows(dataset), file)
    lines = file.read_text().splitlines()
    assert lines[0] == '{"base":"EUR","currency":"GBP","rate":-1}'
    bucket.put("shop/things-fixed.jsonl", json.dumps({**json.loads(lines[0]), "rate": 0.86}) + "\n")
    (fixed,) = sync(dataset).loads
    assert (fixed.rows_in, fixed.rows_loaded) == (1, 1)


def test_what_the_contract_does_not_read_warns(sync, bucket):
    dataset = make_dataset(make_column("x", "integer"), format="json", records={"at": "/feed"})
    bucket.put(SHOP, '{"feed": [{"x": 1, "new": 2}], "page": 1}')
    (_, warning), *_ = [(each.dataset, text) for each in [sync(dataset)] for text in each.warnings]
    assert "'new'" in str(warning)
