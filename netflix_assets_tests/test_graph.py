"""The main job, run for real with an S3 server, DuckDB, dbt and Dagster: the days of a small team on one warehouse.

The tests of this module run in order and build on each other, because each full run takes a minute: the first files; a
file with bad records and a correction that removes ratings; the same files again; a tampered table.
"""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from netflix_assets.contracts.model import all_datasets
from netflix_assets.dashboards.pages import PAGES
from netflix_assets.definitions import build_defs
from netflix_assets.defs.resources import landing_bucket
from netflix_assets.dev.questions import questions
from netflix_assets.dev.samples import generate
from netflix_assets.dev.samples.movielens.scenario import FAULTY_RECORDS
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.outcome import RunOutcome
from netflix_assets.operations.run import SelectionError, run_graph
from netflix_assets.settings import Settings, read_settings
from netflix_assets_tests.conftest import landing_key
from netflix_assets_tests.defs.dbt.metrics import Metrics
from netflix_assets_tests.demo import SCALE, Demo, built_by_a_run, outcome_of

RATINGS_HEADER = "userId,movieId,rating,timestamp\n"
NEW_USER = 990_001  # not a user of the samples
CORRECTED = "ratings-2019.csv"


@dataclass
class Project:
    """A home and its definitions."""

    settings: Settings
    defs: dg.Definitions
    samples: list[Path]

    def land(self, key: str, text: str) -> None:
        path = self.settings.home / "upload.csv"
        path.write_text(text)
        with landing_bucket(self.settings).open() as store:
            store.put(key, path)

    def run(self, **options: Any) -> RunOutcome:
        return run_graph(self.settings, self.defs, **options)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with duckdb.connect(str(self.settings.warehouse_file), read_only=True) as connection:
            return connection.execute(sql).fetchall()

    def tables(self, *layers: str) -> list[tuple[str, str]]:
        """The models of these layers, without the run-dependent ones."""
        manifest = json.loads(next((self.settings.home / "dbt").glob("target-*/manifest.json")).read_text())
        return sorted(
            (node["fqn"][1], node["name"])
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model" and node["fqn"][1] in layers and "run_dependent" not in node["tags"]
        )

    def scalar(self, sql: str) -> Any:
        return self.query(sql)[0][0]

    def events(self, key: str) -> list[dg.AssetMaterialization]:
        """Materializations of an asset, oldest first."""
        with open_instance(self.settings) as instance:
            records = instance.fetch_materializations(dg.AssetKey(key.split("/")), limit=100).records
        return [record.asset_materialization for record in reversed(records) if record.asset_materialization]

    def newest(self, keys: list[dg.AssetKey]) -> dict[dg.AssetKey, dg.AssetMaterialization]:
        """The last materialization of each asset."""
        with open_instance(self.settings) as instance:
            events = [instance.get_latest_materialization_event(key) for key in keys]
        found = [event.asset_materialization for event in events if event and event.asset_materialization]
        return {each.asset_key: each for each in found}


@pytest.fixture(scope="module")
def project(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    with pytest.MonkeyPatch.context() as patch:
        home = demo.copied_to(tmp_path_factory.mktemp("graph"))
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        settings = read_settings(home=home, settle_seconds=0.2)
        yield Project(settings, build_defs(settings), generate(home / "samples", scale=SCALE))


@pytest.fixture(scope="module")
def first(demo: Demo, project: Project) -> RunOutcome:
    return outcome_of(demo, project.settings, project.defs)


def read_csv(paths: list[Path], stem: str) -> list[dict[str, str]]:
    """The records of one sample file, read with only the csv module."""
    (path,) = (path for path in paths if path.stem == stem)
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def good_records(paths: list[Path], stem: str) -> list[dict[str, str]]:
    """The records of the sample files that meet the contract, read with only the csv module."""
    records = []
    for path in paths:
        if path.name.startswith(stem):
            with path.open(newline="") as file:
                records += [
                    row
                    for row in csv.DictReader(file)
                    if None not in row.values() and row["userId"].isdigit() and row["timestamp"].isdigit()
                ]
    return [row for row in records if row.get("rating", "1") in {f"{half / 2}" for half in range(1, 11)}]


def latest(records: list[dict[str, str]]) -> dict[tuple[str, str], dict[str, str]]:
    """The last rating per user and film, by time, then by the higher rating."""
    ordered = sorted(records, key=lambda row: (int(row["timestamp"]), float(row["rating"])))
    return {(row["userId"], row["movieId"]): row for row in ordered}


def test_the_first_run_builds_every_asset_and_every_check_passes(first: RunOutcome, project: Project) -> None:
    runnable = {key.to_user_string() for key in built_by_a_run(project.defs)}
    assert first.success
    assert runnable <= set(first.materialized)
    assert first.failed_checks == ()
    assert first.warned_checks == ("raw/movielens/ratings: no_rejected_rows",)
    assert first.passed_checks > 60
    assert first.refused == ()


def test_the_ratings_fact_matches_the_files(first: RunOutcome, project: Project) -> None:
    expected = latest(good_records(project.samples, "ratings"))
    rows = project.query("select user_id, movie_id, rating, epoch(rated_at) from core.fct_ratings")
    assert len(rows) == len(expected) > 2_500
    assert {(str(user), str(movie)): (float(rating), int(at)) for user, movie, rating, at in rows} == {
        key: (float(row["rating"]), int(row["timestamp"])) for key, row in expected.items()
    }
    assert project.scalar("select count(*) from ops.rejected_rows") == FAULTY_RECORDS
    assert project.scalar("select count(*) from core.dim_movies") == project.scalar(
        "select count(*) from marts.mart_movie_releases"
    )
    titles = read_csv(project.samples, "titles")
    assert project.scalar("select count(*) from core.dim_netflix_titles") == len(titles)
    assert project.scalar("select sum(n_titles) from marts.mart_content_by_year") == len(titles)
    assert dict(
        project.query("select production_type, n_titles from marts.mart_content_mix where genre = 'all'")
    ) == Counter(row["type"] for row in titles)
    assert project.scalar("select sum(n_credits) from core.bridge_title_credits") == len(
        read_csv(project.samples, "credits")
    )
    assert project.scalar("select sum(n_ratings) from marts.mart_movie_ratings") == len(expected)
    assert project.scalar("select sum(n_ratings) from marts.mart_rating_trends") == len(expected)


def test_every_object_version_has_a_materialization_and_a_ledger_row(first: RunOutcome, project: Project) -> None:
    events = project.events("s3/movielens/ratings")
    ledger = project.query("select object_key, etag, size_bytes from ops.loads where dataset = 'movielens/ratings'")
    assert len(ledger) == 10
    assert sorted(ledger) == sorted(
        (event.metadata["object"].value, event.metadata["etag"].value, event.metadata["bytes"].value)
        for event in events
    )


def test_materializations_have_metadata(first: RunOutcome, project: Project) -> None:
    raw = project.events("raw/movielens/ratings")[-1].metadata
    records = len(good_records(project.samples, "ratings"))
    assert raw["dagster/row_count"].value == raw["rows_loaded"].value == records
    assert raw["rows_rejected"].value == FAULTY_RECORDS
    assert raw["objects_loaded"].value == raw["objects_in_bucket"].value == 10
    assert raw["bytes_loaded"].value == sum(path.stat().st_size for path in project.samples if "ratings" in path.name)
    assert raw["rows_per_second"].value > 0
    graph = project.defs.resolve_asset_graph()
    others = ("raw", "sentiment", "published", "dashboards")
    nodes = [key for key in built_by_a_run(project.defs) if key.path[0] not in others]
    newest = project.newest(nodes)
    with duckdb.connect(str(project.settings.warehouse_file), read_only=True) as connection:
        for key in nodes:
            table = connection.table(".".join(key.path))
            metadata = newest[key].metadata
            if graph.get(key).group_name == "operations":  # views that gain rows when the build ends
                assert "dagster/row_count" not in metadata, key
            else:
                assert metadata["dagster/row_count"].value == len(table), key
            columns = [column.name for column in graph.get(key).metadata["dagster/column_schema"].columns]
            assert sorted(columns) == sorted(table.columns), key


def test_every_page_is_built_from_the_published_tables(demo: Demo, first: RunOutcome, project: Project) -> None:
    (published,) = project.events("published/marts")
    for page in PAGES:
        (event,) = project.events(f"dashboards/{page.name}")
        metadata, file = event.metadata, project.settings.dashboards_folder / page.file_name
        assert metadata["version"].value == published.metadata["version"].value
        assert metadata["bytes"].value == file.stat().st_size < 3_000_000
        assert metadata["page"].value == (demo.home / "dashboards" / page.file_name).as_uri()
        assert metadata["seconds"].value < 20
        assert ("preview" in metadata) == (page.name != "business")  # which has no chart without its databases
        if "preview" in metadata:
            assert metadata["preview"].value.startswith("![the page's first chart](data:image/jpeg;base64,/9j/")
            assert len(metadata["preview"].value) < 100_000
        rows = {record.data["table"]: record.data["rows"] for record in metadata["tables"].records}
        for query in page.queries.values():
            condition = query.where or "true"
            assert rows[query.full_name] == project.scalar(f"select count(*) from {query.full_name} where {condition}")
        text = file.read_text(encoding="utf-8")
        assert "SAMPLE DATA" in text
        assert (text.count("data-empty>") > 2) == (page.name == "business"), page.name


def test_the_first_run_shows_its_own_figures(first: RunOutcome, project: Project) -> None:
    assert project.query("select part, run_id, is_whole, has_passed, failed_count from ops.builds") == [
        ("models", first.run_id, True, True, 0),
    ]
    runtimes = {row[0]: row[1:] for row in project.query("select asset, n_rows, n_runs from marts.mart_model_runtime")}
    for schema, name in project.tables("core", "marts"):
        assert runtimes[f"{schema}/{name}"] == (project.scalar(f"select count(*) from {schema}.{name}"), 1), name
    ratings = project.scalar("select count(*) from raw.movielens_ratings_current")
    assert runtimes["raw/movielens/ratings"] == (ratings, 1)
    assert round(project.scalar("select sum(share_of_total) from marts.mart_model_runtime"), 9) == 1
    quality = {
        row[0]: row[1:]
        for row in project.query(
            "select layer, test_coverage, pass_rate, n_rows_rejected, reconciliation_difference"
            " from marts.mart_data_quality"
        )
    }
    assert quality["raw"] == (None, None, FAULTY_RECORDS, 0)
    assert quality["staging"] == (1, 1, None, 0)
    assert quality["core"][:2] == quality["marts"][:2] == (1, 1)
    assert project.query("select run_id, n_objects_loaded, has_passed from marts.mart_pipeline_runs") == [
        (first.run_id, len(project.samples), True)
    ]
    assert project.scalar("select count(*) from marts.mart_load_receipts") == len(project.samples)
    assert project.scalar("select max(missing_pct) from marts.mart_data_completeness where column_name = 'tmdb_id'") > 0


# The columns that answer each question, by the number of the question.
ANSWERS = {
    1: {"activity_rank", "user_id"},
    2: {"iso_dow", "hour_utc", "n_ratings"},
    3: {"genre", "release_year", "avg_rating", "lift_vs_overall"},
    4: {"segment_name", "genre", "popularity_rank"},
    5: {"n_0_5", "n_5_0", "polarization_score", "is_polarized"},
    6: {"title", "n_ratings", "is_high_engagement_low_rating"},
    7: {"user_id", "similar_user_id", "cluster_id"},
    8: {"title", "liked_title", "rank_for_movie"},
    9: {"segment_name", "genre", "demand_share", "supply_share", "gap_score"},
    10: {"date_day", "avg_rating", "rolling_90d_avg"},
    11: {"month_number", "seasonal_index"},
    12: {"date_day", "robust_z", "is_anomalous", "new_movies"},
    13: {"dataset", "column_name", "missing_pct", "n_rejected"},
    14: {"user_id", "stddev", "user_bias", "movie_agreement"},
    15: {"asset", "p50_s", "p95_s", "share_of_total"},
    16: {"title", "promotion_score"},
    17: {"genre", "decade", "yoy_growth", "catalogue_share"},
    18: {"segment_name", "n_users"},
    19: {"genre", "production_type", "n_titles"},
    20: {"release_year", "production_type", "n_titles"},
    21: {"date_day", "layer", "test_coverage", "pass_rate", "n_rows_rejected", "reconciliation_difference"},
    22: {"title", "release_date", "first_rated_at", "top_tags"},
    23: {"month_day", "is_last_complete_month", "revenue_usd", "profit_usd"},
    24: {"currency", "date_day", "rate_to_usd"},
    25: {"date_day", "avg_score", "avg_score_moving"},
    26: {"title", "verdict", "score", "provider_label"},
    27: {"product_name", "margin_rank", "margin"},
    28: {"product_type", "revenue_usd"},
    29: {"state_code", "revenue_usd"},
    30: {"segment_name", "revenue_usd"},
}
OF_BUSINESS = range(23, 31)  # nothing is extracted here; dev/business/test_marts.py has their answers


def test_every_question_has_the_right_answer(first: RunOutcome, project: Project) -> None:
    all_questions = questions(project.settings.dbt_project)
    assert [each.number for each in all_questions] == list(ANSWERS)
    with duckdb.connect(str(project.settings.warehouse_file), read_only=True) as connection:
        for each in all_questions:
            answer = connection.execute(each.sql)
            assert {column[0] for column in answer.description} >= ANSWERS[each.number], each.name
            assert answer.fetchall() or each.number in OF_BUSINESS, each.name


OF_THE_BUSINESS = {"revenue", "profit", "orders", "average_order_value"}  # dev/business/test_marts.py has its data

# Metrics, their grouping, and the same figures from a mart, or from the facts where no mart has them. Equal to the last
# bit, because both sum exactly and then divide once.
METRICS = [
    (
        ["ratings", "average_rating"], "metric_time__day",
        "select date_day, n_ratings, avg_rating from marts.mart_rating_trends where n_ratings > 0",
    ),
    (
        ["ratings_last_90_days"], "metric_time__day",
        "select date_day, rolling_90d_n_ratings from marts.mart_rating_trends where rolling_90d_n_ratings > 0",
    ),
    (
        ["ratings", "stars", "average_rating", "active_users"], "movie",
        """
        select movie_id, n_ratings, (n_0_5 + n_1_0 * 2 + n_1_5 * 3 + n_2_0 * 4 + n_2_5 * 5 + n_3_0 * 6 + n_3_5 * 7
            + n_4_0 * 8 + n_4_5 * 9 + n_5_0 * 10) / 2, avg_rating, n_ratings
        from marts.mart_movie_ratings
        """,
    ),
    (
        ["ratings", "movies_rated", "tags_applied"], "user",
        "select user_id, n_ratings, n_ratings, n_tags from marts.mart_user_activity where n_ratings > 0",
    ),
    (
        ["ratings", "active_users", "ratings_per_active_user", "tags_per_100_ratings"], "metric_time__year",
        """
        select
            year_number, ratings.n, n_users, cast(ratings.n as double) / n_users,
            cast(100 * coalesce(tags.n, 0) as double) / ratings.n
        from (
            select year(rated_on) as year_number, count(*) as n, count(distinct user_id) as n_users
            from core.fct_ratings group by all
        ) as ratings
        left join (
            select year(tagged_on) as year_number, count(*) as n from core.fct_tags group by all
        ) as tags using (year_number)
        """,
    ),
    (
        ["titles"], "metric_time__year",
        "select release_year, sum(n_titles) from marts.mart_content_by_year group by all having sum(n_titles) > 0",
    ),
]  # fmt: skip


def test_each_metric_equals_its_mart(first: RunOutcome, project: Project) -> None:
    pytest.importorskip("metricflow", reason="dbt-metricflow is not installed: the extra `metrics`")
    (manifest,) = (project.settings.home / "dbt").glob("target-*/semantic_manifest.json")
    metrics = Metrics(manifest)
    assert {name for names, _, _ in METRICS for name in names} == metrics.names - OF_THE_BUSINESS
    for names, by, expected in METRICS:
        # The calendar goes on after the newest rating, and so does a moving sum; marts end with it.
        until = (
            "metric_time__day <= (select max(rated_on) from core.fct_ratings)" if by == "metric_time__day" else "true"
        )
        rows = project.query(f"select * from ({metrics.sql(names, by)}) where {names[0]} is not null and {until}")
        assert comparable(rows, by) == comparable(project.query(expected), by) != [], names


def comparable(rows: list[tuple[Any, ...]], by: str) -> list[tuple[Any, ...]]:
    """Sort the rows. To a metric, a year is its first day and a day is a timestamp."""
    first_days = {"metric_time__year": lambda year: f"{year}"[:4], "metric_time__day": lambda day: f"{day}"[:10]}
    return sorted((first_days.get(by, str)(row[0]), *map(float, row[1:])) for row in rows)


@pytest.fixture(scope="module")
def second(first: RunOutcome, project: Project) -> RunOutcome:
    """A run after a new file, some of it bad, and a correction that removes half of the ratings of another one."""
    good = "".join(f"{NEW_USER},{movie},4.0,1730000000\n" for movie in range(1, 11))
    bad = f"{NEW_USER},11,five,1730000000\n{NEW_USER},12,4.0\n{NEW_USER},13,7.5,1730000000\n"
    project.land("movielens/ratings-new.csv", RATINGS_HEADER + good + bad)
    corrected = project.samples[0].with_name(CORRECTED)
    lines = corrected.read_text().splitlines(keepends=True)
    corrected.write_text("".join(lines[: len(lines) // 2]))
    project.land(landing_key(corrected), corrected.read_text())
    return project.run()


def test_bad_records_are_stored_and_good_ones_load(second: RunOutcome, project: Project) -> None:
    assert second.success
    rejects = project.query(
        """
        select object_key, record_number, line_number, column_name, reason, raw_text from ops.rejected_rows
        where object_key = 'movielens/ratings-new.csv' order by record_number
        """
    )
    assert rejects == [
        (
            "movielens/ratings-new.csv", 11, 12, "rating", "rating 'five' is not a decimal(2,1) like 4.5",
            f"{NEW_USER},11,five,1730000000",
        ),
        ("movielens/ratings-new.csv", 12, 13, "", "3 fields, but the header has 4", f"{NEW_USER},12,4.0"),
        (
            "movielens/ratings-new.csv", 13, 14, "rating", "rating '7.5' is above the maximum 5.0",
            f"{NEW_USER},13,7.5,1730000000",
        ),
    ]  # fmt: skip
    assert [event.metadata["object"].value for event in project.events("s3/movielens/ratings")[10:]] == [
        f"movielens/{CORRECTED}", "movielens/ratings-new.csv"
    ]  # fmt: skip


def test_a_corrected_file_replaces_only_its_own_rows_downstream_too(second: RunOutcome, project: Project) -> None:
    expected = {
        (int(user), int(movie)): (float(row["rating"]), int(row["timestamp"]))
        for (user, movie), row in latest(good_records(project.samples, "ratings")).items()
    }
    expected |= {(NEW_USER, movie): (4.0, 1_730_000_000) for movie in range(1, 11)}
    rows = project.query("select user_id, movie_id, rating, epoch(rated_at) from core.fct_ratings")
    assert len(rows) == len(expected)
    assert {(user, movie): (float(rating), int(at)) for user, movie, rating, at in rows} == expected
    loads = project.query(
        f"""
        select load_id, is_current, superseded_by, rows_loaded from ops.loads
        where object_key = 'movielens/{CORRECTED}' order by load_id
        """
    )
    (replaced, *_, rows_before), (corrected, *_, rows_now) = loads
    assert [load[1:3] for load in loads] == [(False, corrected), (True, None)]
    assert (
        rows_now
        < rows_before
        == project.scalar(f"select count(*) from raw.movielens_ratings where _load_id = {replaced}")
    )
    assert project.query(f"select n_ratings from core.dim_users where user_id = {NEW_USER}") == [(10,)]
    assert project.scalar("select sum(n_ratings) from marts.mart_movie_ratings") == len(expected)


def test_landing_the_same_files_again_changes_nothing(project: Project) -> None:
    # Only last_modified follows: where the newest file is the whole table, it decides which file that is.
    loads = project.query("select * exclude (last_modified) from ops.loads order by dataset, load_id")
    with landing_bucket(project.settings).open() as store:
        for path in project.samples:
            store.put(landing_key(path), path)

    outcome = project.run(select="group:raw")

    assert outcome.success
    assert set(outcome.materialized) == {f"raw/{each.id}" for each in all_datasets(project.settings.sources())}
    assert project.query("select * exclude (last_modified) from ops.loads order by dataset, load_id") == loads
    assert project.events("raw/movielens/ratings")[-1].metadata["rows_loaded"].value == 0


def test_a_refused_file_blocks_nothing_and_is_reported(project: Project) -> None:
    project.land("movielens/tags-broken.csv", "userId,film,tag,timestamp\n1,2,3,4\n")

    outcome = project.run(select="raw/movielens/tags")

    assert outcome.success
    ((dataset, reason),) = outcome.refused
    assert dataset == "raw/movielens/tags"
    assert reason == (
        "movielens/tags-broken.csv refused: the header is missing column 'movieId' and has unknown column 'film'; "
        "expected: userId,movieId,tag,timestamp"
    )


def test_rows_missing_from_the_ledger_block_downstream_assets(project: Project) -> None:
    with duckdb.connect(str(project.settings.warehouse_file)) as connection:
        connection.execute(
            "delete from raw.movielens_links where movie_id in (select max(movie_id) from raw.movielens_links)"
        )

    outcome = project.run()

    assert not outcome.success
    assert "raw/movielens/links: rows_match_ledger" in outcome.failed_checks
    assert not any(key.startswith(("staging/", "core/", "marts/")) for key in outcome.materialized)


def test_rows_that_fail_a_test_are_stored_and_shown(project: Project) -> None:
    links = project.scalar("select count(*) from raw.movielens_links_current")

    outcome = project.run(select="staging/stg_movielens__links")

    assert not outcome.success
    (failed,) = outcome.failed_checks
    assert failed.startswith("staging/stg_movielens__links: reconciles_with_ledger_stg_movielens__links")
    assert project.query(f"select row_text from ops.failing_rows where run_id = '{outcome.run_id}'") == [
        (f'{{"n_expected": {links + 1}, "n_found": {links}}}',)
    ]
    assert project.query("select kind, failures from ops.test_results where status = 'fail'") == [("reconciliation", 1)]
    assert project.query(
        "select part, is_whole, has_passed, problem[:29] from ops.builds order by started_at desc limit 1"
    ) == [("models", False, False, "test reconciles_with_ledger_s")]
    with open_instance(project.settings) as instance:
        (check,) = instance.event_log_storage.get_asset_check_execution_history(
            dg.AssetCheckKey(dg.AssetKey(["staging", "stg_movielens__links"]), failed.split(": ")[1]), limit=1
        )
    shown = check.event.dagster_event.event_specific_data.metadata["failing_rows"].value
    assert [record.data for record in shown.records] == [{"n_expected": str(links + 1), "n_found": str(links)}]


def test_an_empty_selection_is_an_error(project: Project) -> None:
    with pytest.raises(SelectionError, match=r"nonsense.* were selected, but no"):
        project.run(select="raw/movielens/nonsense")
