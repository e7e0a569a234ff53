"""Data quality: whether the data can be trusted, and what became of every file."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from netflix_assets.dashboards import look
from netflix_assets.dashboards.page import OVERVIEW, Column, Drawing, Frames, Page, Panel, Tile, number, percent, said
from netflix_assets.dashboards.queries import Query, first, greatest

LAYERS = ("raw", "staging", "intermediate", "core", "marts", "seeds", "snapshots")

_ANYTHING = "a file of any dataset"
_SHADES = [look.GREY, look.BLUE, look.VIOLET, look.GREEN, look.RED, look.AMBER, look.INK]
_BARS = 20


def tiles(frames: Frames) -> Sequence[Tile]:
    """The newest day of tests, and all loads."""
    quality = frames["quality"]
    tested = quality[quality["n_tests"].notna()] if len(quality) else quality
    last = tested[tested["date_day"] == tested["date_day"].max()] if len(tested) else tested
    passed, tests = (int(last[name].sum()) if len(last) else 0 for name in ("n_passed", "n_tests"))
    raw = quality[quality["layer"] == "raw"] if len(quality) else quality
    rejected, refused, differing = (
        int(raw[name].sum()) if len(raw) else 0
        for name in ("n_rows_rejected", "n_objects_refused", "reconciliation_difference")
    )
    return [
        Tile(f"{passed / tests:.1%}" if tests else "–", f"of {tests:,} tests passed on the last day"),
        Tile(f"{rejected:,}", "records rejected, and kept"),
        Tile(f"{refused:,}", "files refused"),
        Tile(f"{differing:,}", "rows that do not add up"),
    ]


def pass_rate(frame: pd.DataFrame) -> Drawing:
    """The share of tests that passed, by day and layer."""
    days = frame[frame["pass_rate"].notna()].sort_values(["date_day", "layer"], ignore_index=True)
    if days.empty:
        return Drawing(said("No {what} yet.", what="test has run"), days, [])
    last = days[days["date_day"] == days["date_day"].max()]
    failed = int(last["n_failed"].sum())
    picked = look.legend_filter("layer")
    layers = [layer for layer in LAYERS if layer in set(days["layer"])]
    chart = (
        look.base()
        .mark_line(point=alt.OverlayMarkDef(size=70, filled=True), strokeWidth=2)
        .encode(
            alt.X("date_day:O", title="day (UTC)", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            alt.Y(
                "pass_rate:Q",
                title="tests passed",
                axis=alt.Axis(format="%", tickCount=4),
                scale=alt.Scale(domain=[min(0.95, float(days["pass_rate"].min())), 1], zero=False),
            ),
            alt.Color(
                "layer:N",
                title=None,
                scale=look.colours(layers, [_SHADES[LAYERS.index(layer)] for layer in layers]),
            ),
            opacity=look.faded(picked),
            tooltip=look.tooltip(
                ("date_day:N", "day"),
                ("layer:N", "layer"),
                ("pass_rate:Q", "passed", ".1%"),
                ("n_tests:Q", "tests", ","),
                ("n_failed:Q", "failed", ","),
                ("n_warned:Q", "warned", ","),
            ),
        )
        .properties(height=250)
        .add_params(picked)
    )
    return Drawing(
        said(
            "On {day}, {tests} tests ran and {failed} failed.",
            day=f"{last['date_day'].iloc[0]:%-d %B %Y}",
            tests=f"{int(last['n_tests'].sum()):,}",
            failed=f"{failed:,}" if failed else "none",
        ),
        days,
        [
            Column("date_day", "Day"),
            Column("layer", "Layer"),
            number("n_tests", "Tests"),
            number("n_failed", "Failed"),
            number("n_warned", "Warned"),
            percent("pass_rate", "Passed"),
            percent("test_coverage", "Tables tested", 0),
        ],
        chart,
    )


def coverage(frame: pd.DataFrame) -> Drawing:
    """How many tests each table has."""
    tables = frame[frame["kind"] != "load"].sort_values(["layer", "asset"], ignore_index=True)
    if tables.empty:
        return Drawing(said("Nothing has been {what} yet.", what="built"), tables, [])
    untested = tables[tables["n_tests"].fillna(0) == 0]
    tables["n_tests"] = tables["n_tests"].fillna(0)
    most = greatest(tables, "n_tests")
    chart = (
        look.base()
        .mark_point(size=70, opacity=0.6)
        .encode(
            alt.X("n_tests:Q", title="tests of a table"),
            alt.Y("layer:N", title=None, sort=list(LAYERS)),
            alt.Color(
                "n_tests:Q", legend=None, scale=alt.Scale(type="threshold", domain=[1], range=[look.RED, look.BLUE])
            ),
            yOffset=alt.YOffset("jitter:Q"),
            tooltip=look.tooltip(("asset:N", "table"), ("n_tests:Q", "tests", ",")),
        )
        .transform_window(jitter="row_number()", groupby=["layer", "n_tests"])
        .properties(height=look.bands(tables["layer"], 46))
    )
    without = (
        said("Every table is tested")
        if untested.empty
        else said(
            "{count} of {all} tables have no test of their own, such as {name}",
            count=len(untested),
            all=len(tables),
            name=untested["asset"].iloc[0],
        )
    )
    return Drawing(
        without + said("; most tests has {most} ({tests}).", most=most["asset"], tests=int(most["n_tests"])),
        tables,
        [Column("layer", "Layer"), Column("asset", "Table"), Column("kind", "Kind"), number("n_tests", "Tests")],
        chart,
    )


def completeness(frame: pd.DataFrame) -> Drawing:
    """The columns with most missing values."""
    columns = frame.sort_values(
        ["missing_pct", "dataset", "column_name"], ascending=[False, True, True], ignore_index=True
    )
    gaps = columns[columns["missing_pct"] > 0]
    columns["column"] = columns["dataset"] + "." + columns["column_name"]
    columns["missing"] = columns["missing_pct"] / 100
    shown = columns.head(max(min(len(gaps), _BARS), 5))
    chart = (
        look.base()
        .mark_bar(color=look.BLUE)
        .encode(
            alt.X("missing:Q", title="rows without a value", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])),
            alt.Y("column:N", title=None, sort=shown["column"].tolist()),
            tooltip=look.tooltip(
                ("column:N", "column"),
                ("missing:Q", "missing", ".2%"),
                ("n_missing:Q", "rows", ","),
                ("n_rows:Q", "of", ","),
                ("n_rejected:Q", "rejected because of it", ","),
            ),
        )
        .transform_filter(alt.FieldOneOfPredicate(field="column", oneOf=shown["column"].tolist()))
        .properties(height=look.bands(shown["column"], 20))
    )
    answer = (
        said(
            "{count} of {all} columns have gaps, most of all {name}: {share} of its rows have no value. Some gaps "
            "are in the nature of things: films have no seasons.",
            count=len(gaps),
            all=len(columns),
            name=first(columns)["column"],
            share=f"{first(columns)['missing']:.0%}",
        )
        if len(gaps)
        else said("Of {all} columns {none} lacks a value.", all=len(columns), none="none")
    )
    return Drawing(
        answer,
        columns,
        [
            Column("dataset", "Dataset"),
            Column("column_name", "Column"),
            number("n_rows", "Rows"),
            number("n_missing", "Missing"),
            percent("missing", "Missing", 2),
            number("n_rejected", "Rejected because of it"),
            number("n_loads", "Files"),
        ],
        chart,
    )


def receipts(frame: pd.DataFrame) -> Drawing:
    """What became of every file."""
    files = frame.sort_values(["received_at", "object_key"], ascending=[False, True], ignore_index=True)
    loaded = files[files["state"] == "current"]
    faulty = files[files["rows_rejected"].fillna(0) > 0]
    files["reason"] = files["reason"].fillna("")
    refused = files[files["state"] == "refused"]
    answer = said(
        "Of the {count} newest files {loaded} stand, with {rows} rows",
        count=f"{len(files):,}",
        loaded=f"{len(loaded):,}",
        rows=f"{int(loaded['rows_loaded'].sum()):,}",
    )
    if len(faulty):
        answer += said(
            "; {rejected} records were rejected, of {count}",
            rejected=f"{int(faulty['rows_rejected'].sum()):,}",
            count=f"{len(faulty)} file{'s' if len(faulty) > 1 else ''}",
        )
    if len(refused):
        answer += said("; {refused} refused", refused=f"{len(refused):,}")
    return Drawing(
        answer + said(". Every record is either a row or kept as a reject."),
        files,
        [
            Column("received_at", "Received (UTC)"),
            Column("object_key", "File"),
            Column("state", "State"),
            number("rows_in", "Records"),
            number("rows_loaded", "Rows"),
            number("rows_rejected", "Rejected"),
            number("load_seconds", "Seconds", 1),
            Column("reason", "Why not"),
        ],
    )


PAGE = Page(
    name="data-quality",
    title="Data quality",
    lead="Whether the data can be trusted, and what became of every file.",
    queries={
        "overview": OVERVIEW,
        "columns": Query(
            "mart_column_completeness",
            ("dataset", "column_name", "n_loads", "n_rows", "n_missing", "missing_pct", "n_rejected"),
        ),
        "quality": Query(
            "mart_data_quality",
            (
                "date_day",
                "layer",
                "test_coverage",
                "n_tests",
                "n_passed",
                "n_warned",
                "n_failed",
                "pass_rate",
                "n_rows_rejected",
                "n_objects_refused",
                "reconciliation_difference",
            ),
        ),
        "tables": Query("mart_model_runtime", ("asset", "kind", "layer", "n_tests")),
        "receipts": Query(
            "mart_load_receipts",
            (
                "object_key",
                "state",
                "received_at",
                "rows_in",
                "rows_loaded",
                "rows_rejected",
                "load_seconds",
                "reason",
            ),
            only="is_charted",
        ),
    },
    tiles=tiles,
    panels=[
        Panel("pass-rate", "Do the tests pass?", "quality", pass_rate, _ANYTHING, span=6),
        Panel("coverage", "Is every table tested?", "tables", coverage, _ANYTHING, span=6),
        Panel("completeness", "Where are values missing?", "columns", completeness, _ANYTHING),
        Panel("receipts", "What became of every file?", "receipts", receipts, _ANYTHING),
    ],
)
