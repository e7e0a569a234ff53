"""Pages: the parts of a page, and rendering them as one HTML file.

A page has panels. A panel has a title, a sentence drawn from the data, a chart, and the chart's rows as a table and as
CSV. All of these come from one frame.
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from typing import Any

import pandas as pd
import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from netflix_assets.contracts.visibility import counted
from netflix_assets.dashboards import theme
from netflix_assets.dashboards.columns import Column
from netflix_assets.dashboards.queries import Query, first_row
from netflix_assets.dashboards.text import sentence
from netflix_assets.warehouse.publishing import Publication

Frames = Mapping[str, pd.DataFrame]  # names of a page's queries -> their rows

PREVIEW_WIDTH = 480  # pixels


@dataclass(frozen=True)
class Need:
    """What a panel needs before it has rows: files to land, or what a command gets."""

    what: str
    command: str = "netflix-assets land"

    @property
    def answer(self) -> Markup:
        """The sentence of a panel without rows."""
        text = "No data yet: get {what} with {command}, then build with {run}."
        return sentence(text, what=self.what, command=self.command, run="netflix-assets run")


_EXTRACT = "netflix-assets sources extract"
RATINGS = Need("movielens/ratings")
TITLES = Need("netflix/titles")
CREDITS = Need("netflix/credits")
ANY_FILE = Need("a file of any dataset")
ORDERS = Need("orders", _EXTRACT)
# With its name, the command says how to switch on an API that is off.
RATES = Need("exchange rates", f"{_EXTRACT} frankfurter")
HEADLINES = Need("headlines", f"{_EXTRACT} alphavantage")

# Every page reads it for the header: the dates of the data, and whether the data is synthetic.
OVERVIEW = Query(
    "mart_overview",
    (
        "n_ratings", "n_users", "n_rated_movies", "n_movies", "n_tags", "n_titles", "n_genome_scores", "avg_rating",
        "ratings_per_user", "first_rated_at", "last_rated_at", "has_sample_movies", "has_sample_titles",
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Drawing:
    """The content of a panel.

    The page embeds only those columns of ``rows`` that the table or the chart uses.

    Parameters:
        answer: the sentence above the chart. Without rows it gives the reason.
        rows: the rows of chart, table and CSV.
        columns: the columns of the table.
        chart: an Altair chart; None shows the table instead.
        pick: the column that a search box filters by, so that the panel shows one of its values at a time.
        steps: the colour steps to draw a legend for.
    """

    answer: str
    rows: pd.DataFrame
    columns: Sequence[Column] = ()
    chart: Any = None
    pick: str | None = None
    steps: theme.ColourSteps | None = None

    @property
    def page_rows(self) -> pd.DataFrame:
        """The rows with the columns that the page uses."""
        chart = spec(self) if self.chart is not None else {}
        used = {*(column.name for column in self.columns), *_fields(chart), self.pick}
        return self.rows[[name for name in self.rows.columns if name in used]]


@dataclass(frozen=True)
class Panel:
    """One panel of a page.

    Parameters:
        name: the panel's id in the page and the name of its CSV file.
        title: a short question or a noun phrase.
        query: the name of the query whose frame the panel draws.
        draw: turns the frame, which has at least one row, into a drawing.
        requires: what the panel needs before it has rows.
        span: twelfths of the page's width on a wide screen. Panels that follow each other share a row of twelve.
        empty_text: the sentence when the query returns no rows although data has been landed.
    """

    name: str
    title: str
    query: str
    draw: Callable[[pd.DataFrame], Drawing]
    requires: Need
    span: int = 12
    empty_text: str = ""


@dataclass(frozen=True)
class Tile:
    """A figure at the top of a page."""

    value: str
    label: str


@dataclass(frozen=True)
class Page:
    """A page: ``name`` is that of its asset, ``title`` that of its tab, ``lead`` the line below the title.

    ``definitions`` says what the words of the page mean: terms and their meaning.
    """

    name: str
    title: str
    lead: str
    queries: Mapping[str, Query]
    tiles: Callable[[Frames], Sequence[Tile]]
    panels: Sequence[Panel]
    definitions: Mapping[str, str] = field(default_factory=dict)

    @property
    def file_name(self) -> str:
        """The page's file; the overview is the index of the folder."""
        return "index.html" if self.name == "overview" else f"{self.name}.html"


@dataclass(frozen=True)
class Built:
    """A page as HTML and its first chart as JPEG; ``preview`` is None if no chart has rows."""

    html: str
    preview: bytes | None


def build(page: Page, pages: Sequence[Page], frames: Frames, publication: Publication) -> Built:
    """Render a page from the frames of its queries; ``pages`` are the entries of the navigation."""
    overview = first_row(frames["overview"])
    has_data = bool(overview["n_ratings"] or overview["n_titles"])
    drawings = [(panel, _draw(panel, frames[panel.query], has_data)) for panel in page.panels]
    html = _template().render(
        page=page,
        pages=pages,
        tiles=page.tiles(frames),
        panels=[
            _panel_context(panel, drawing, span)
            for (panel, drawing), span in zip(drawings, _spans(drawings), strict=True)
        ],
        data=_script_json({panel.name: _panel_data(drawing) for panel, drawing in drawings}),
        config=_script_json(theme.CONFIG),
        first_day=_iso_day(overview["first_rated_at"]),
        last_day=_iso_day(overview["last_rated_at"]),
        sample=_sample_parts(overview),
        publication=publication,
        tables={query.full_name: len(frames[name]) for name, query in page.queries.items()},
        light=theme.css_variables(theme.LIGHT),
        dark=theme.css_variables(theme.DARK),
        vega=_vega(),
        counted=counted,
    )
    with_chart = (each for _, each in drawings if each.chart is not None and not each.rows.empty)
    return Built(html, next(map(_drawing_preview, with_chart), None))


def spec(drawing: Drawing) -> dict[str, Any]:
    """Return the chart's Vega-Lite specification, without its rows."""
    chart: dict[str, Any] = drawing.chart.to_dict(context={"datasets": {}})
    chart.pop("config", None)
    if "vconcat" not in chart:  # fit axes and legends into the panel's width as well
        chart["autosize"] = {"type": "fit-x", "contains": "padding"}
    return chart


def values(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Return rows as JSON values: times in ISO 8601 and UTC, NaN as null."""
    return [
        dict(zip(rows.columns, map(_json_value, row), strict=True)) for row in rows.itertuples(index=False, name=None)
    ]


def preview(chart: Mapping[str, Any], rows: pd.DataFrame) -> bytes:
    """Return the chart as a JPEG in light colours, a third of the size of a PNG: each run keeps its previews."""
    config = {**theme.CONFIG, "background": theme.LIGHT["card"]}
    sized = theme.resolve_colours({**_with_width(chart, PREVIEW_WIDTH), "config": config})
    drawn = {**sized, "datasets": {theme.ROWS: values(rows)}}
    return vl_convert.vegalite_to_jpeg(drawn, scale=1, quality=85)


def _draw(panel: Panel, frame: pd.DataFrame, has_data: bool) -> Drawing:
    if not frame.empty:
        return panel.draw(frame)
    if has_data and panel.empty_text:
        return Drawing(sentence(panel.empty_text), frame)
    return Drawing(panel.requires.answer, frame)


def _fields(part: Any) -> Iterator[str]:
    """Yield every field that a part of a specification names."""
    if isinstance(part, Mapping):
        if isinstance(part.get("field"), str):
            yield part["field"]
        part = list(part.values())
    if isinstance(part, list):
        for each in part:
            yield from _fields(each)


def _spans(drawings: Sequence[tuple[Panel, Drawing]]) -> list[int]:
    """Return the width of each panel: one without rows is a line across the page, and its neighbours get its room."""
    rows: list[list[tuple[Panel, Drawing]]] = []
    width = 12
    for panel, drawing in drawings:
        if width + panel.span > 12:
            rows.append([])
            width = 0
        rows[-1].append((panel, drawing))
        width += panel.span
    spans = []
    for row in rows:
        filled = sum(panel.span for panel, drawing in row if not drawing.rows.empty)
        whole = sum(panel.span for panel, _ in row)
        spans += [12 if drawing.rows.empty else panel.span * whole // filled for panel, drawing in row]
    return spans


def _panel_context(panel: Panel, drawing: Drawing, span: int) -> dict[str, Any]:
    return {
        "name": panel.name,
        "title": panel.title,
        "answer": drawing.answer,
        "span": span,
        "count": len(drawing.rows),
        "is_empty": drawing.rows.empty,
        "is_table": drawing.chart is None,
        "pick": next((each.label for each in drawing.columns if each.name == drawing.pick), None),
        "choices": list(dict.fromkeys(drawing.rows[drawing.pick])) if drawing.pick and len(drawing.rows) else [],
        "steps": drawing.steps,
    }


def _panel_data(drawing: Drawing) -> dict[str, Any]:
    """Return a panel's data, with rows stored by column: a third of the size of one object per row."""
    if drawing.rows.empty:
        return {}
    rows = drawing.page_rows
    return {
        "names": list(rows.columns),
        "values": [[_json_value(value) for value in rows[name].tolist()] for name in rows.columns],
        "columns": [
            {key: value for key, value in vars(column).items() if value is not None} for column in drawing.columns
        ],
        "pick": drawing.pick,
        "spec": spec(drawing) if drawing.chart is not None else None,
    }


def _json_value(value: Any) -> Any:
    if value is None or value is pd.NaT or (isinstance(value, float) and not math.isfinite(value)):
        return None
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, float):
        return float(f"{value:.6g}")
    return value


def _script_json(value: Any) -> Markup:
    """Return JSON that is safe inside a script element, whatever text it holds."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    unsafe = re.compile("[<>&\u2028\u2029]")
    return Markup(unsafe.sub(lambda found: f"\\u{ord(found[0]):04x}", text))  # noqa: S704 - no HTML is left in it


def _iso_day(value: Any) -> str | None:
    return None if value is None or pd.isna(value) else f"{value:%Y-%m-%d}"


def _sample_parts(overview: Mapping[str, Any]) -> str:
    """Return the parts of the data that are synthetic."""
    parts = {"films and their ratings": "has_sample_movies", "Netflix's catalogue": "has_sample_titles"}
    return ", ".join(part for part, is_sample in parts.items() if overview[is_sample])


def _drawing_preview(drawing: Drawing) -> bytes:
    rows = drawing.page_rows
    if drawing.pick:
        rows = rows[rows[drawing.pick] == rows[drawing.pick].iloc[0]]
    return preview(spec(drawing), rows)


def _with_width(chart: Mapping[str, Any], width: int) -> dict[str, Any]:
    if "vconcat" in chart:
        return {**chart, "vconcat": [_with_width(each, width) for each in chart["vconcat"]]}
    return {**chart, "width": width}


@cache
def _vega() -> Markup:
    """Return Vega, Vega-Lite and vega-embed as one script of 0.9 MB; bundling takes 1.7 s, once per process."""
    return Markup(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;"))  # noqa: S704 - the library's own


@cache
def _template() -> Any:
    environment = Environment(
        loader=PackageLoader("netflix_assets.dashboards"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("page.html")
