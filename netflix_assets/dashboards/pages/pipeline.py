"""Pipeline: run times, run results and the freshness of the data."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from netflix_assets.contracts.visibility import counted
from netflix_assets.dashboards import theme
from netflix_assets.dashboards.columns import Column, number, percent, tooltips
from netflix_assets.dashboards.page import ANY_FILE, OVERVIEW, Drawing, Frames, Page, Panel, Tile
from netflix_assets.dashboards.queries import Query, first_row, last_row, max_row
from netflix_assets.dashboards.text import plural, sentence, share

PASSED, FAILED, LOADED_ONLY = "passed", "failed", "loaded only"
BUILDING, TESTING = "building", "testing"

_BARS = 20


def tiles(frames: Frames) -> Sequence[Tile]:
    """Return the latest build and the totals."""
    runs, assets, datasets = frames["runs"], frames["assets"], frames["datasets"]
    built = runs[runs["build_s"].notna()].sort_values("started_at") if len(runs) else runs
    n_rows = int(datasets["n_rows"].sum()) if len(datasets) else 0
    return [
        Tile(f"{built['build_s'].iloc[-1]:,.0f} s" if len(built) else "–", "duration of the latest build"),
        Tile(
            share(built["has_passed"].astype(bool).mean()) if len(built) else "–",
            f"of {counted(len(built), 'recent build')} passed",
        ),
        Tile(f"{len(assets):,}", f"{plural(len(assets), 'table')} built or loaded"),
        Tile(f"{n_rows:,}", f"{plural(n_rows, 'row')} loaded and current"),
    ]


def costs(frame: pd.DataFrame) -> Drawing:
    """Draw the total time of the tables that take the most: building or loading them, and testing them."""
    assets = frame.sort_values("runtime_rank", ignore_index=True)
    shown = assets.head(_BARS)["asset"].tolist()
    assets["build_total_s"] = assets["total_s"] - assets["tests_total_s"]
    columns = [
        number("runtime_rank", "Rank"),
        Column("asset", "Table"),
        Column("materialization", "Type"),
        number("n_runs", "Runs"),
        number("total_s", "Total (s)", 2),
        number("build_total_s", "Building (s)", 2),
        number("tests_total_s", "Testing (s)", 2),
        percent("share_of_total", "Share of total"),
        number("p50_s", "Median run (s)", 2),
        number("p95_s", "95th percentile (s)", 2),
        number("n_rows", "Rows"),
    ]
    chart = (
        theme.base()
        .transform_filter(alt.FieldOneOfPredicate(field="asset", oneOf=shown))
        .transform_fold(["build_total_s", "tests_total_s"], as_=["part", "seconds"])
        .transform_calculate(part=f"datum.part === 'build_total_s' ? '{BUILDING}' : '{TESTING}'")
        .mark_bar()
        .encode(
            alt.X("seconds:Q", title="seconds in all runs"),
            alt.Y("asset:N", title=None, sort=shown),
            alt.Order("part:N", sort="ascending"),
            tooltip=tooltips(columns),
        )
        .properties(height=theme.band_height(shown, 20))
    )
    top = first_row(assets)
    return Drawing(
        sentence(
            "{asset} takes the most time: {total_s:,.1f} s in {runs}, {share_of_total:.0%} of the total. A median run "
            "builds it in {p50_s:.1f} s.",
            runs=counted(top["n_runs"], "run"),
            **top,
        ),
        assets,
        columns,
        theme.colour_by(chart, "part", {BUILDING: theme.BLUE, TESTING: theme.AMBER}),
    )


def trend(frame: pd.DataFrame) -> Drawing:
    """Draw the build time and the outcome of each run."""
    all_runs = _named_runs(frame)
    built = all_runs[all_runs["build_s"].notna()]
    if built.empty:
        return Drawing(sentence("No run has built anything yet."), built)
    if len(built) == 1:
        text = "One build so far, which took {build_s:,.0f} s. There is nothing to compare it with yet."
        return Drawing(sentence(text, **first_row(built)), built.head(0))
    columns = [
        Column("started", "Started (UTC)"),
        number("build_s", "Seconds"),
        Column("outcome", "Outcome"),
        number("n_nodes", "Tables"),
        number("n_tests", "Tests"),
        number("n_failed", "Failed"),
        number("n_rows_loaded", "Rows loaded"),
    ]
    chart = (
        theme.base()
        .mark_bar(size=14)
        .encode(
            alt.X("position:O", title="builds, newest on the right", axis=alt.Axis(labels=False, ticks=False)),
            alt.Y("build_s:Q", title="build time (s)"),
            tooltip=tooltips(columns),
        )
        .properties(height=280)
    )
    return Drawing(
        sentence(
            "The latest build took {latest:,.0f} s; the median of {builds} is {median:,.0f} s.",
            latest=last_row(built)["build_s"],
            builds=counted(len(built), "recent build"),
            median=built["build_s"].median(),
        ),
        built,
        columns,
        theme.colour_by(chart, "outcome", {PASSED: theme.BLUE, FAILED: theme.RED}),
    )


def runs(frame: pd.DataFrame) -> Drawing:
    """List the runs, newest first."""
    newest_first = _named_runs(frame)[::-1].reset_index(drop=True)
    failed = newest_first[newest_first["outcome"] == FAILED]
    n_runs = counted(len(newest_first), "recent run")
    answer = sentence("No failures in {runs}.", runs=n_runs)
    if len(failed):
        answer = sentence(
            "{failed:,} of {runs} failed. Latest failure: {started} UTC.",
            failed=len(failed),
            runs=n_runs,
            started=failed["started"].iloc[0],
        )
    return Drawing(
        answer,
        newest_first,
        [
            Column("started", "Started (UTC)"),
            Column("run", "Run"),
            Column("outcome", "Outcome"),
            number("build_s", "Seconds"),
            number("n_objects_loaded", "Files"),
            number("n_rows_loaded", "Rows"),
            number("n_rows_rejected", "Rejected"),
            Column("problem", "First failure"),
        ],
    )


def freshness(frame: pd.DataFrame) -> Drawing:
    """Draw the age of each dataset's newest file when the tables were built."""
    datasets = frame.sort_values("dataset", ignore_index=True)
    datasets["age"] = datasets["age_days"].clip(lower=0)
    datasets["newest"] = [f"{each:%Y-%m-%d %H:%M}" if pd.notna(each) else "" for each in datasets["newest_object_at"]]
    known = datasets.dropna(subset=["age"])
    if known.empty:
        return Drawing(sentence("No dataset has a current file."), known)
    # In days, every age below two days would round to about zero.
    units = {"days": 1, "hours": 24, "minutes": 24 * 60}
    unit = next((name for name, per_day in units.items() if known["age"].max() * per_day >= 2), "minutes")
    per_day = units[unit]
    datasets["shown"] = datasets["age"] * per_day
    columns = [
        Column("dataset", "Dataset"),
        Column("newest", "Newest file (UTC)"),
        number("shown", f"Age ({unit})", 1),
        number("n_objects", "Files"),
        number("n_rows", "Rows"),
        number("n_objects_refused", "Refused files"),
    ]
    oldest = max_row(datasets, "shown")
    return Drawing(
        sentence(
            "Oldest data: {dataset}. Its newest file was {age} old when the tables were built.",
            dataset=oldest["dataset"],
            age=f"{oldest['shown']:.1f} {unit}",
        ),
        datasets,
        columns,
        theme.bars(
            alt.X("shown:Q", title=f"age of the newest file ({unit})"),
            alt.Y("dataset:N", title=None, sort="-x"),
            columns,
            height=theme.band_height(datasets["dataset"], 28),
        ),
    )


def _named_runs(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the runs, oldest first, with short ids, readable times and outcomes."""
    ordered = frame.sort_values(["started_at", "run_id"], ignore_index=True)
    return ordered.assign(
        position=range(1, len(ordered) + 1),
        run=ordered["run_id"].str[:8],
        started=[f"{each:%Y-%m-%d %H:%M}" for each in ordered["started_at"]],
        outcome=[
            LOADED_ONLY if has_passed is None or pd.isna(has_passed) else PASSED if has_passed else FAILED
            for has_passed in ordered["has_passed"]
        ],
        problem=ordered["problem"].fillna(""),
    )


QUERIES = {
    "overview": OVERVIEW,
    "assets": Query(
        "mart_model_runtime",
        (
            "asset", "materialization", "n_runs", "p50_s", "p95_s", "total_s", "tests_total_s", "share_of_total",
            "n_rows", "runtime_rank",
        ),
    ),
    "runs": Query(
        "mart_pipeline_runs",
        (
            "run_id", "started_at", "has_passed", "n_nodes", "n_tests", "n_failed", "problem", "n_objects_loaded",
            "n_rows_loaded", "n_rows_rejected", "build_s",
        ),
        where="is_charted",
    ),
    "datasets": Query(
        "mart_dataset_freshness",
        ("dataset", "newest_object_at", "age_days", "n_objects", "n_rows", "n_objects_refused"),
    ),
}  # fmt: skip

PAGE = Page(
    name="pipeline",
    title="Pipeline",
    lead="Run times, run results and the freshness of the data.",
    queries=QUERIES,
    tiles=tiles,
    panels=[
        Panel("costs", "Which tables take the most time?", "assets", costs, ANY_FILE),
        Panel("trend", "Are builds getting slower?", "runs", trend, ANY_FILE, 6),
        Panel("freshness", "How fresh is the data?", "datasets", freshness, ANY_FILE, 6),
        Panel("runs", "How did recent runs end?", "runs", runs, ANY_FILE),
    ],
)
