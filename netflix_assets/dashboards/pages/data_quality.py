"""Data quality: test results, missing values, and how each file was processed."""

from collections.abc import Sequence

import altair as alt
import pandas as pd

from netflix_assets.contracts.visibility import counted
from netflix_assets.dashboards import theme
from netflix_assets.dashboards.columns import Column, number, percent, tooltips
from netflix_assets.dashboards.page import ANY_FILE, OVERVIEW, Drawing, Frames, Page, Panel, Tile
from netflix_assets.dashboards.queries import Query, first_row, max_row
from netflix_assets.dashboards.text import plural, sentence, share

LAYERS = {
    "raw": theme.GREY,
    "staging": theme.BLUE,
    "intermediate": theme.VIOLET,
    "core": theme.GREEN,
    "marts": theme.RED,
    "seeds": theme.AMBER,
    "snapshots": theme.INK,
}

_BARS = 20


def tiles(frames: Frames) -> Sequence[Tile]:
    """Return the test results of the latest day and the totals of all loads."""
    quality = frames["quality"]
    tested = quality[quality["n_tests"].notna()] if len(quality) else quality
    latest = tested[tested["date_day"] == tested["date_day"].max()] if len(tested) else tested
    passed, tests = (int(latest[name].sum()) if len(latest) else 0 for name in ("n_passed", "n_tests"))
    raw = quality[quality["layer"] == "raw"] if len(quality) else quality
    rejected, refused, unexplained = (
        int(raw[name].sum()) if len(raw) else 0
        for name in ("n_rows_rejected", "n_objects_refused", "reconciliation_difference")
    )
    return [
        Tile(share(passed / tests, ".1%") if tests else "–", f"of {counted(tests, 'test')} passed on the latest day"),
        Tile(f"{rejected:,}", f"rejected {plural(rejected, 'record')}, kept for replay"),
        Tile(f"{refused:,}", f"refused {plural(refused, 'file')}"),
        Tile(f"{unexplained:,}", f"{plural(unexplained, 'row')} unaccounted for"),
    ]


def pass_rate(frame: pd.DataFrame) -> Drawing:
    """Draw the share of tests that passed, by day and layer; list the layers of a single day."""
    days = frame[frame["pass_rate"].notna()].sort_values(["date_day", "layer"], ignore_index=True)
    if days.empty:
        return Drawing(sentence("No test has run yet."), days)
    columns = [
        Column("date_day", "Day"),
        Column("layer", "Layer"),
        number("n_tests", "Tests"),
        number("n_failed", "Failed"),
        number("n_warned", "Warned"),
        percent("pass_rate", "Passed"),
        percent("test_coverage", "Tables tested", 0),
    ]
    chart = (
        theme.base()
        .mark_line(point=alt.OverlayMarkDef(size=70, filled=True), strokeWidth=2)
        .encode(
            alt.X("date_day:O", title="day (UTC)", axis=alt.Axis(labelAngle=0, labelOverlap=True)),
            alt.Y(
                "pass_rate:Q",
                title="tests passed",
                axis=alt.Axis(format="%", tickCount=4),
                scale=alt.Scale(domain=[min(0.95, float(days["pass_rate"].min())), 1], zero=False),
            ),
            tooltip=tooltips(columns),
        )
        .properties(height=250)
    )
    colours = {layer: colour for layer, colour in LAYERS.items() if layer in set(days["layer"])}
    latest = days[days["date_day"] == days["date_day"].max()]
    failed = int(latest["n_failed"].sum())
    return Drawing(
        sentence(
            "On {day:%-d %B %Y}, {tests} ran and {failed} failed.",
            day=latest["date_day"].iloc[0],
            tests=counted(latest["n_tests"].sum(), "test"),
            failed=f"{failed:,}" if failed else "none",
        ),
        days,
        columns,
        theme.colour_by(chart, "layer", colours) if days["date_day"].nunique() > 1 else None,
    )


def coverage(frame: pd.DataFrame) -> Drawing:
    """Draw the number of tests of each table."""
    tables = frame[frame["kind"] != "load"].sort_values(["layer", "asset"], ignore_index=True)
    if tables.empty:
        return Drawing(sentence("Nothing has been built yet."), tables)
    tables["n_tests"] = tables["n_tests"].fillna(0)
    columns = [Column("layer", "Layer"), Column("asset", "Table"), Column("kind", "Kind"), number("n_tests", "Tests")]
    shades = alt.Scale(type="threshold", domain=[1], range=[theme.RED, theme.BLUE])
    chart = (
        theme.base()
        .mark_point(size=70, opacity=0.6)
        .encode(
            alt.X("n_tests:Q", title="tests per table"),
            alt.Y("layer:N", title=None, sort=list(LAYERS)),
            alt.Color("n_tests:Q", legend=None, scale=shades),
            yOffset=alt.YOffset("jitter:Q"),
            tooltip=tooltips(columns),
        )
        .transform_window(jitter="row_number()", groupby=["layer", "n_tests"])
    )
    untested = tables[tables["n_tests"] == 0]
    answer = sentence("Every table has tests.")
    if len(untested):
        answer = sentence(
            "{untested} of {tables} {have} no tests, for example {example}.",
            untested=len(untested),
            tables=counted(len(tables), "table"),
            have=plural(len(untested), "has", "have"),
            example=untested["asset"].iloc[0],
        )
    return Drawing(
        answer + sentence(" Most tests: {asset}, {n_tests:.0f}.", **max_row(tables, "n_tests")),
        tables,
        columns,
        chart.properties(height=theme.band_height(tables["layer"], 46)),
    )


def completeness(frame: pd.DataFrame) -> Drawing:
    """Draw the columns with the highest share of missing values."""
    order = ["missing_pct", "dataset", "column_name"]
    rows = frame.sort_values(order, ascending=[False, True, True], ignore_index=True)
    rows["column"] = rows["dataset"] + "." + rows["column_name"]
    rows["missing"] = rows["missing_pct"] / 100
    n_gaps = int((rows["missing_pct"] > 0).sum())
    rows["label"] = [
        f"{missing:,} of {total:,}" for missing, total in zip(rows["n_missing"], rows["n_rows"], strict=True)
    ]
    shown = rows["column"].head(max(min(n_gaps, _BARS), 5)).tolist()
    columns = [
        Column("dataset", "Dataset"),
        Column("column_name", "Column"),
        number("n_rows", "Rows"),
        number("n_missing", "Missing"),
        percent("missing", "Share missing", 2),
        number("n_rejected", "Rejected for this column"),
        number("n_loads", "Files"),
    ]
    # The labels name the few values whose bars are too short to see.
    base = theme.base().transform_filter(alt.FieldOneOfPredicate(field="column", oneOf=shown))
    missing = alt.X(
        "missing:Q", title="rows without a value", axis=alt.Axis(format="%"), scale=alt.Scale(domain=[0, 1])
    )
    name = alt.Y("column:N", title=None, sort=shown)
    bars = base.mark_bar(color=theme.BLUE).encode(missing, name, tooltip=tooltips(columns))
    # Beyond the middle the label is inside the bar.
    outside, inside = (base.transform_filter(f"datum.missing {side} 0.5") for side in ("<=", ">"))
    few = outside.mark_text(align="left", dx=5, fontSize=11).encode(missing, name, alt.Text("label:N"))
    many = inside.mark_text(align="right", dx=-6, fontSize=11, color="var(--card)").encode(
        missing, name, alt.Text("label:N")
    )
    chart = alt.layer(bars, few, many).properties(height=theme.band_height(shown, 20))
    answer = sentence("None of {columns} has missing values.", columns=counted(len(rows), "column"))
    if n_gaps:
        top = first_row(rows)
        answer = sentence(
            "{gaps:,} of {columns} {have} missing values. Most: {column}, {n_missing:,} of {rows}. Some gaps are "
            "expected: films have no seasons.",
            gaps=n_gaps,
            columns=counted(len(rows), "column"),
            have=plural(n_gaps, "has", "have"),
            rows=counted(top["n_rows"], "row"),
            **top,
        )
    return Drawing(answer, rows, columns, chart)


def receipts(frame: pd.DataFrame) -> Drawing:
    """List how each file was processed."""
    files = frame.sort_values(["received_at", "object_key"], ascending=[False, True], ignore_index=True)
    files["reason"] = files["reason"].fillna("")
    current = files[files["state"] == "current"]
    faulty = files[files["rows_rejected"].fillna(0) > 0]
    n_refused = int((files["state"] == "refused").sum())
    answer = sentence(
        "Among the newest files of each state, {current:,} {are} current, with {rows}.",
        current=len(current),
        are=plural(len(current), "is", "are"),
        rows=counted(current["rows_loaded"].sum(), "row"),
    )
    if len(faulty):
        answer += sentence(
            " {records} in {files} {were} rejected.",
            records=counted(faulty["rows_rejected"].sum(), "record"),
            files=counted(len(faulty), "file"),
            were=plural(faulty["rows_rejected"].sum(), "was", "were"),
        )
    if n_refused:
        answer += sentence(
            " {files} {were} refused.", files=counted(n_refused, "file"), were=plural(n_refused, "was", "were")
        )
    return Drawing(
        answer + sentence(" Every record of a loaded file is either a row or kept as a reject."),
        files,
        [
            Column("received_at", "Received (UTC)"),
            Column("object_key", "File"),
            Column("state", "State"),
            number("rows_in", "Records"),
            number("rows_loaded", "Rows"),
            number("rows_rejected", "Rejected"),
            number("load_seconds", "Seconds", 1),
            Column("reason", "Reason"),
        ],
    )


QUERIES = {
    "overview": OVERVIEW,
    "columns": Query(
        "mart_column_completeness",
        ("dataset", "column_name", "n_loads", "n_rows", "n_missing", "missing_pct", "n_rejected"),
    ),
    "quality": Query(
        "mart_data_quality",
        (
            "date_day", "layer", "test_coverage", "n_tests", "n_passed", "n_warned", "n_failed", "pass_rate",
            "n_rows_rejected", "n_objects_refused", "reconciliation_difference",
        ),
    ),
    "tables": Query("mart_model_runtime", ("asset", "kind", "layer", "n_tests")),
    "receipts": Query(
        "mart_load_receipts",
        (
            "object_key", "state", "received_at", "rows_in", "rows_loaded", "rows_rejected", "load_seconds", "reason",
        ),
        where="is_charted",
    ),
}  # fmt: skip

PAGE = Page(
    name="data-quality",
    title="Data quality",
    lead="Test results, missing values, and how each file was processed.",
    queries=QUERIES,
    tiles=tiles,
    panels=[
        Panel("pass-rate", "Do the tests pass?", "quality", pass_rate, ANY_FILE, 6),
        Panel("coverage", "Is every table tested?", "tables", coverage, ANY_FILE, 6),
        Panel("completeness", "Where are values missing?", "columns", completeness, ANY_FILE),
        Panel("receipts", "How was each file processed?", "receipts", receipts, ANY_FILE),
    ],
)
