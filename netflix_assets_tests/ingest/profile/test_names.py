"""Names made from headers and file names."""

from pathlib import Path

import duckdb
import pytest

from netflix_assets.ingest.profile.names import column_names, common_stem, snake_case, split_extension


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("userId", "user_id"),
        ("IMDbID", "im_db_id"),
        ("HTTPStatus", "http_status"),
        ("Beleg-Nr.", "beleg_nr"),
        ("Größe (m²)", "grosse_m2"),
        ("  spaced  out ", "spaced_out"),
        ("2024", ""),
        ("_id", "id"),
        ("Имя", ""),
    ],
)
def test_a_text_becomes_snake_case(text: str, name: str) -> None:
    assert snake_case(text) == name


def test_names_are_valid_and_different() -> None:
    assert column_names(["order", "Order", "order_", "t1", "2024", "", "a", "A"]) == [
        "order_", "order_2", "order_3", "t1_", "column_5", "column_6", "a", "a_2",
    ]  # fmt: skip


def test_names_are_usable_without_quotes_whatever_the_header_says() -> None:
    """The keywords of DuckDB, in a table and as aliases."""
    with duckdb.connect() as connection:
        keywords = [
            word for (word,) in connection.execute("select distinct keyword_name from duckdb_keywords()").fetchall()
        ]
        names = column_names(keywords)
        connection.execute(f"create table t ({', '.join(f'{name} varchar' for name in names)})")
        for name in names:
            connection.execute(
                f"select r.{name}, {name} from (select {name} as {name}, 1 as t1 from t) as r"
            ).fetchall()
            connection.execute(
                f"select count(distinct {name}) from t where {name} is not null group by {name}"
            ).fetchall()


@pytest.mark.parametrize(
    ("files", "stem"),
    [
        (["sales-2024-01.csv", "sales-2024-02.csv.gz"], "sales"),
        (["sales_20240131.csv"], "sales"),
        (["sales (2).csv"], "sales"),
        (["title.basics.tsv"], "title.basics"),
        (["genome-tags.csv"], "genome-tags"),
        (["export-north.csv", "export-south.csv"], "export"),
        (["2024.csv"], "2024"),
    ],
)
def test_deliveries_share_the_start_of_their_names(files: list[str], stem: str) -> None:
    assert common_stem([Path(name) for name in files]) == stem


def test_a_compression_is_no_extension() -> None:
    assert split_extension("a.b.TSV.gz") == ("a.b", "tsv")
