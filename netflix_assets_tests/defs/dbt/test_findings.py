"""How messages name the rows that failed tests found."""

from pathlib import Path

from netflix_assets.contracts.visibility import Showable
from netflix_assets.defs.dbt.findings import FoundRows, sample
from netflix_assets.defs.dbt.project import dbt_project, manifest_of
from netflix_assets.defs.dbt.results import Finding, finding_of
from netflix_assets.settings import read_settings
from netflix_assets.warehouse.base import Warehouse
from netflix_assets_tests.demo import Demo

VALUES = "(values (1, 'a', 2999), (2, 'b', 0)) as films (movie_id, title, release_year)"


def finding(column: str | None = None, columns: tuple[str, ...] = ()) -> Finding:
    return Finding("test.netflix_assets.some_test.1a", "values_in_ranges", f"select * from {VALUES}", column, columns)


def test_the_key_and_the_tested_columns_are_named(warehouse: Warehouse) -> None:
    found = sample(finding(columns=("movie_id", "release_year")), Showable(None), warehouse)
    assert found.message == "values_in_ranges found (movie_id=1, release_year=2999), (movie_id=2, release_year=0)"


def test_dbts_own_tests_name_the_column_and_each_value_once(warehouse: Warehouse) -> None:
    query = "select * from (values (209), (209), (762)) as found (from_field)"
    relationships = Finding("test.netflix_assets.some_test.1a", "relationships", query, "movie_id", ())
    assert sample(relationships, Showable(None), warehouse).message == (
        "relationships found (movie_id=209), (movie_id=762)"
    )
    hidden = sample(relationships, Showable(frozenset({"title"})), warehouse)
    assert hidden.message == "relationships found (movie_id=(not shown))"


def test_hidden_columns_are_not_named(warehouse: Warehouse) -> None:
    shown = Showable(frozenset({"movie_id"}))
    found = sample(finding(columns=("movie_id", "title")), shown, warehouse)
    assert found.message == "values_in_ranges found (movie_id=1, title=(not shown)), (movie_id=2, title=(not shown))"
    assert "2999" not in sample(finding(column="release_year"), shown, warehouse).message


def test_a_message_is_one_short_line_with_at_most_five_rows() -> None:
    rows = [{"movie_id": number, "title": "two\nlines " + "x" * 500} for number in range(9)]
    message = FoundRows(finding(), rows).message
    assert len(message) <= 430
    assert "\n" not in message
    assert message.endswith(")")
    short = FoundRows(finding(), [{"movie_id": number} for number in range(9)]).message
    assert short.endswith("(movie_id=4)")


def test_the_key_comes_from_the_uniqueness_test(demo: Demo, tmp_path: Path) -> None:
    manifest = manifest_of(dbt_project(read_settings(home=demo.parsed_in(tmp_path))))
    columns = {
        test["name"]: finding_of(test, "", manifest).columns
        for test in manifest["nodes"].values()
        if test["resource_type"] == "test"
    }
    assert columns["int_movies__parsed_values_in_ranges"] == ("movie_id", "release_year")
    assert columns["fct_ratings_values_in_ranges"] == ("user_id", "movie_id", "rating", "rated_at", "_load_id")
    assert columns["unique_stg_movielens__movies_movie_id"] == ()  # dbt's own test selects the key
