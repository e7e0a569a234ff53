"""The forms of files in the docs load whole, with exact values."""

import gzip
from datetime import date, datetime
from decimal import Decimal

import pytest

from netflix_assets.contracts.loading import load_source
from netflix_assets.dev.forms import FORMS

ROWS = {
    "imdb/title_basics": [
        ("tt0000001", "short", "Carmencita", False, 1894, 1, "Documentary,Short"),
        ("tt0000002", "movie", '"Giliap"', False, 1975, 137, "Crime,Drama"),
        ("tt0000003", "movie", 'The 5" Heel', True, None, None, None),
    ],
    "ml100k/ratings": [
        (186, 302, 3, datetime(1998, 4, 4, 19, 22, 22)),
        (196, 242, 3, datetime(1997, 12, 4, 15, 55, 49)),
    ],
    "ml100k/movies": [
        (1, "Toy Story (1995)", date(1995, 1, 1), False),
        (267, "unknown", None, False),
        (543, "Misérables, Les (1995)", date(1995, 1, 1), True),
    ],
    "ml1m/movies": [
        (1, "Toy Story (1995)", "Animation|Children's|Comedy"),
        (2, 'Jumanji: The "Game" (1995)', "Adventure"),
        (73, "Misérables, Les (1995)", "Drama|Musical"),
    ],
    "bank/postings": [
        (date(2026, 11, 2), "Müller & Söhne", 'Rechnung 7; "Dach"', Decimal("-1234.50")),
        (date(2026, 11, 30), None, "Gehalt", Decimal("12345678.90")),
        (date(2026, 12, 1), "Café", None, Decimal("0.00")),
    ],
    "pandas/films": [
        (7, 862, 7.5, True, datetime(2026, 11, 1, 10)),
        (8, None, None, False, None),
    ],
    "excel/budget": [
        ("0100", Decimal("1500.50"), True, datetime(2026, 11, 29, 6, 30), "EUR"),
        ("0200", Decimal("0.00"), False, datetime(2026, 6, 30, 22, 15), "EUR"),
    ],
}  # fmt: skip
REJECTS = {"pandas/films": [(3, 4, "votes '1e3' is not an integer like 1234")]}
WARNINGS = {
    "imdb/title_basics": ["columns 'originalTitle', 'endYear' are not in the contract; ignored"],
    "pandas/films": ["column '' is not in the contract; ignored"],
}


def test_every_form_is_tried():
    assert {form.name for form in FORMS} == {dataset.partition("/")[0] for dataset in ROWS}


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("form", FORMS, ids=lambda form: form.name)
def test_forms_load_with_exact_values(sync, bucket, warehouse, tmp_path, form, compressed):
    file = tmp_path / f"{form.name}.yaml"
    file.write_text(form.contract, encoding="utf-8")
    source = load_source(file)
    for name, content in form.files.items():
        suffix, stored = (".gz", gzip.compress(content)) if compressed else ("", content)
        bucket.put(f"{form.name}/{name}{suffix}", stored)
    for dataset in source.datasets:
        report = sync(dataset)
        assert [each.reason for each in report.refused] == []
        names = ", ".join(column.name for column in dataset.columns)
        rows = warehouse.execute(f"select {names} from raw.{dataset.table}_current order by 1, 2")
        assert rows == ROWS[dataset.id]
        rejects = warehouse.execute(
            "select record_number, line_number, reason from ops.rejected_rows where dataset = ? order by 1",
            (dataset.id,),
        )
        assert rejects == REJECTS.get(dataset.id, [])
        assert report.rows_loaded + report.rows_rejected == sum(load.rows_in for load in report.loads)
        assert [warning.partition(": ")[2] for warning in report.warnings] == WARNINGS.get(dataset.id, [])
