"""Pipeline: what runs cost, whether they pass, and how fresh the data is."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from netflix_assets.dashboards import look
from netflix_assets.dashboards.page import OVERVIEW, Column, Drawing, Frames, Page, Panel, Tile, number, percent, said
from netflix_assets.dashboards.queries import Query, first, greatest, last

OUTCOMES = ("passed", "failed", "loaded only")

_ANYTHING = "a file of any dataset"
_BARS = 20


def tiles(frames: Frames) -> Sequence[Tile]:
    """The newest run, and all of them."""
    runs, assets, datasets = frames["runs"], frames["assets"], frames["datasets"]
    built = runs[runs["build_s"].notna()].sort_values("started_at") if len(runs) else runs
    passed = built["has_passed"].astype(bool).mean() if len(built) else None
    return [
        Tile(f"{built['build_s'].iloc[-1]:,.0f} s" if len(built) else "–", "the last build took"),
        Tile("–" if passed is None else f"{passed:.0%}", f"of the last {len(built):,} builds passed"),
        Tile(f"{len(assets):,}", "tables built or loaded"),
        Tile(f"{int(datasets['n_rows'].sum()) if len(datasets) else 0:,}", "rows loaded and current"),
    ]


def costs(frame: pd.DataFrame) -> Drawing:
    """The tables that take longest: the usual run and the slow one."""
    assets = frame.sort_values(["runtime_rank", "asset"], ignore_index=True)
    top, shown = first(assets), assets.head(_BARS)["asset"].tolist()
    name = alt.Y("asset:N", title=None, sort=shown)
    tips = look.tooltip(
        ("asset:N", "table"),
        ("materialization:N", "is a"),
        ("p50_s:Q", "usually s", ".2f"),
        ("p95_s:Q", "slow s", ".2f"),
        ("tests_total_s:Q", "tests s", ".2f"),
        ("n_runs:Q", "runs", ","),
        ("share_of_total:Q", "of all", ".1%"),
    )
    drawn = look.base().transform_filter(alt.FieldOneOfPredicate(field="asset", oneOf=shown))
    usual = drawn.mark_bar(color=look.BLUE).encode(
        alt.X("p50_s:Q", title="seconds: usual (bar), slow (line)"), name, tooltip=tips
    )
    slow = drawn.mark_rule(color=look.RED, strokeWidth=2).encode(alt.X("p50_s:Q"), name, x2="p95_s:Q", tooltip=tips)
    end = drawn.mark_tick(color=look.RED, thickness=2, size=10).encode(alt.X("p95_s:Q"), name, tooltip=tips)
    return Drawing(
        said(
            "{asset} takes most, with {share} of all seconds; it usually runs for {usual} s.",
            asset=top["asset"],
            share=f"{top['share_of_total']:.0%}",
            usual=f"{top['p50_s']:.1f}",
        ),
        assets,
        [
            number("runtime_rank", "#"),
            Column("asset", "Table"),
            Column("materialization", "Is a"),
            number("n_runs", "Runs"),
            number("p50_s", "Usual s", 2),
            number("p95_s", "Slow s", 2),
            number("tests_total_s", "Tests s", 2),
            percent("share_of_total", "Of all"),
            number("n_rows", "Rows"),
        ],
        alt.layer(usual, slow, end).properties(height=look.bands(shown, 20)),
    )


def trend(frame: pd.DataFrame) -> Drawing:
    """How long each run's builds took, and what came of them."""
    runs = _runs(frame)
    built = runs[runs["build_s"].notna()]
    if built.empty:
        return Drawing(said("No run has {what} yet.", what="built anything"), built, [])
    picked = look.legend_filter("outcome")
    chart = (
        look.base()
        .mark_bar(size=14)
        .encode(
            alt.X("place:O", title="runs, the newest on the right", axis=alt.Axis(labels=False, ticks=False)),
            alt.Y("build_s:Q", title="seconds of building"),
            alt.Color("outcome:N", title=None, scale=look.colours(OUTCOMES[:2], [look.BLUE, look.RED])),
            opacity=look.faded(picked),
            tooltip=look.tooltip(
                ("started:N", "began (UTC)"),
                ("build_s:Q", "seconds", ".0f"),
                ("outcome:N", "outcome"),
                ("n_tests:Q", "tests", ","),
                ("n_failed:Q", "failed", ","),
                ("n_rows_loaded:Q", "rows loaded", ","),
            ),
        )
        .properties(height=280)
        .add_params(picked)
    )
    newest, usual = last(built), built["build_s"].median()
    return Drawing(
        said(
            "The last of the {count} newest builds took {last} s, where {usual} s are usual.",
            count=f"{len(built):,}",
            last=f"{newest['build_s']:,.0f}",
            usual=f"{usual:,.0f}",
        ),
        built,
        [
            Column("started", "Began (UTC)"),
            number("build_s", "Seconds"),
            Column("outcome", "Outcome"),
            number("n_nodes", "Tables"),
            number("n_tests", "Tests"),
            number("n_failed", "Failed"),
            number("n_rows_loaded", "Rows loaded"),
        ],
        chart,
    )


def runs(frame: pd.DataFrame) -> Drawing:
    """The runs, the newest first."""
    found = _runs(frame)[::-1].reset_index(drop=True)
    failed = found[found["outcome"] == "failed"]
    said_last = (
        said("Of the {count} newest runs {none} failed.", count=f"{len(found):,}", none="none")
        if failed.empty
        else said(
            "{failed} of the {count} newest runs failed, last that of {when} (UTC).",
            failed=f"{len(failed):,}",
            count=f"{len(found):,}",
            when=failed["started"].iloc[0],
        )
    )
    return Drawing(
        said_last,
        found,
        [
            Column("started", "Began (UTC)"),
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
    """How old each dataset's newest file was when the tables were built."""
    datasets = frame.sort_values("dataset", ignore_index=True)
    datasets["age"] = datasets["age_days"].clip(lower=0)
    datasets["newest"] = [f"{each:%Y-%m-%d %H:%M}" if pd.notna(each) else "" for each in datasets["newest_object_at"]]
    known = datasets.dropna(subset=["age"])
    if known.empty:
        return Drawing(said("No dataset has {what}.", what="a current file"), known, [])
    oldest = greatest(known, "age")
    # Hours where days would all be zero.
    in_days = bool(known["age"].max() >= 2)
    unit = "days" if in_days else "hours"
    datasets["shown"] = datasets["age"] * (1 if in_days else 24)
    chart = (
        look.base()
        .mark_bar(color=look.BLUE)
        .encode(
            alt.X("shown:Q", title=f"age of the newest file, {unit}"),
            alt.Y("dataset:N", title=None, sort="-x"),
            tooltip=look.tooltip(
                ("dataset:N", "dataset"),
                ("newest:N", "newest file (UTC)"),
                ("shown:Q", unit, ".1f"),
                ("n_objects:Q", "files", ","),
                ("n_rows:Q", "rows", ","),
            ),
        )
        .properties(height=look.bands(datasets["dataset"], 28))
    )
    return Drawing(
        said(
            "The oldest is {dataset}: its newest file was {age} old when the tables were built.",
            dataset=oldest["dataset"],
            age=f"{oldest['age']:.1f} days" if in_days else f"{oldest['age'] * 24:.1f} hours",
        ),
        datasets,
        [
            Column("dataset", "Dataset"),
            Column("newest", "Newest file (UTC)"),
            number("shown", f"Age in {unit}", 1),
            number("n_objects", "Files"),
            number("n_rows", "Rows"),
            number("n_objects_refused", "Refused"),
        ],
        chart,
    )


def _runs(frame: pd.DataFrame) -> pd.DataFrame:
    """The runs, oldest first, with what people call them."""
    found = frame.sort_values(["started_at", "run_id"], ignore_index=True)
    return found.assign(
        place=range(1, len(found) + 1),
        run=found["run_id"].str[:8],
        started=[f"{each:%Y-%m-%d %H:%M}" for each in found["started_at"]],
        outcome=[
            OUTCOMES[2] if each is None or pd.isna(each) else OUTCOMES[0] if each else OUTCOMES[1]
            for each in found["has_passed"]
        ],
        problem=found["problem"].fillna(""),
    )


PAGE = Page(
    name="pipeline",
    title="Pipeline",
    lead="What runs cost, whether they pass, and how fresh the data is.",
    queries={
        "overview": OVERVIEW,
        "assets": Query(
            "mart_model_runtime",
            (
                "asset",
                "materialization",
                "n_runs",
                "p50_s",
                "p95_s",
                "tests_total_s",
                "share_of_total",
                "n_rows",
                "runtime_rank",
            ),
        ),
        "runs": Query(
            "mart_pipeline_runs",
            (
                "run_id",
                "started_at",
                "has_passed",
                "n_nodes",
                "n_tests",
                "n_failed",
                "problem",
                "n_objects_loaded",
                "n_rows_loaded",
                "n_rows_rejected",
                "build_s",
            ),
            only="is_charted",
        ),
        "datasets": Query(
            "mart_dataset_freshness",
            ("dataset", "newest_object_at", "age_days", "n_objects", "n_rows", "n_objects_refused"),
        ),
    },
    tiles=tiles,
    panels=[
        Panel("costs", "Which tables cost most time?", "assets", costs, _ANYTHING),
        Panel("trend", "Do runs get slower?", "runs", trend, _ANYTHING, span=6),
        Panel("freshness", "How fresh is the data?", "datasets", freshness, _ANYTHING, span=6),
        Panel("runs", "What came of the runs?", "runs", runs, _ANYTHING),
    ],
)
