"""From frames to a page: what a page is made of, and the one HTML file that it becomes.

A page has panels. Each asks a question, answers it in a sentence, draws it, and has the rows that it was drawn from as
a table and as CSV; all of it comes from one frame. Does not belong here: colours and styles of charts (``look.py``),
which panels there are (the pages), where frames come from and where pages go (``assets.py``).
"""

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from functools import cache
from typing import Any

import pandas as pd
import vl_convert
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from netflix_assets.dashboards import look
from netflix_assets.dashboards.queries import Query, first
from netflix_assets.warehouse.publishing import Publication

Frames = Mapping[str, pd.DataFrame]

PREVIEW_WIDTH = 480  # pixels


@dataclass(frozen=True)
class Column:
    """A column of a panel's rows, as its table shows it.

    ``form``: text, number (with ``digits`` after the point), percent, or bar (a number with a bar as long as its share
    of ``most``).
    """

    name: str
    label: str
    form: str = "text"
    digits: int = 0
    most: float | None = None


def number(name: str, label: str, digits: int = 0) -> Column:
    """A column of numbers."""
    return Column(name, label, "number", digits)


def percent(name: str, label: str, digits: int = 1) -> Column:
    """A column of shares, 0 to 1, shown in per cent."""
    return Column(name, label, "percent", digits)


@dataclass(frozen=True)
class Drawing:
    """What a panel shows: a sentence, the rows and, unless it is a table, a chart of them.

    Of ``rows`` the page gets the columns that its table shows or its chart names. ``steps``: the key of a chart whose
    colours are steps. ``pick``: the column by which one of many is picked, and the page then shows its rows only. No
    rows: the sentence says why.
    """

    answer: str
    rows: pd.DataFrame
    columns: Sequence[Column]
    chart: Any = None
    pick: str | None = None
    steps: look.Steps | None = None

    @property
    def shown(self) -> pd.DataFrame:
        """The rows with the columns that the page needs."""
        chart = spec(self) if self.chart is not None else {}
        needed = {*(column.name for column in self.columns), *_fields(chart), self.pick}
        return self.rows[[name for name in self.rows.columns if name in needed]]


@dataclass(frozen=True)
class Panel:
    """A question and how it is answered from the frame ``reads``; ``needs``: what must be landed for it to have rows.

    ``otherwise``: what it means when there are none although there is data. ``span``: twelfths of the page's width,
    where there is room.
    """

    name: str
    question: str
    reads: str
    draw: Callable[[pd.DataFrame], Drawing]
    needs: str
    span: int = 12
    otherwise: str = ""


@dataclass(frozen=True)
class Tile:
    """A figure at the top of a page."""

    value: str
    label: str


@dataclass(frozen=True)
class Page:
    """A page: ``name`` is that of its asset, ``title`` that of its tab, ``lead`` what it is about."""

    name: str
    title: str
    lead: str
    queries: Mapping[str, Query]
    tiles: Callable[[Frames], Sequence[Tile]]
    panels: Sequence[Panel]

    @property
    def file_name(self) -> str:
        """Its file; the first page is the folder's index."""
        return "index.html" if self.name == "overview" else f"{self.name}.html"


@dataclass(frozen=True)
class Built:
    """A page as HTML, and its first chart as JPEG; None where no chart has rows."""

    html: str
    preview: bytes | None


# What every page reads, for its header: dates of the data, and whether they are invented.
OVERVIEW = Query(
    "mart_overview",
    (
        "n_ratings", "n_users", "n_rated_movies", "n_movies", "n_tags", "n_titles", "n_genome_scores", "avg_rating",
        "ratings_per_user", "first_rated_at", "last_rated_at", "has_sample_movies", "has_sample_titles",
    ),
)  # fmt: skip


def said(text: str, **values: object) -> Markup:
    """A sentence with its values in bold; whatever they are, they are text."""
    return Markup(text).format(**{name: Markup("<b>{}</b>").format(value) for name, value in values.items()})  # noqa: S704 - a constant


def build(page: Page, pages: Sequence[Page], frames: Frames, publication: Publication) -> Built:
    """The page of these frames; ``pages`` are those of the navigation."""
    overview = first(frames["overview"])
    has_data = bool(overview["n_ratings"] or overview["n_titles"])
    drawings = [(panel, _drawn(panel, frames[panel.reads], has_data)) for panel in page.panels]
    html = _template().render(
        page=page,
        pages=pages,
        tiles=page.tiles(frames),
        panels=[_panel(panel, drawing) for panel, drawing in drawings],
        data=_embedded({panel.name: _data(drawing) for panel, drawing in drawings}),
        config=_embedded(look.CONFIG),
        first_day=_day(overview["first_rated_at"]),
        last_day=_day(overview["last_rated_at"]),
        sample=_sample(overview),
        publication=publication,
        tables={query.full_name: len(frames[name]) for name, query in page.queries.items()},
        light=look.css(look.LIGHT),
        dark=look.css(look.DARK),
        vega=_vega(),
    )
    return Built(html, next(_previews(drawings), None))


def spec(drawing: Drawing) -> dict[str, Any]:
    """The chart's Vega-Lite specification, without its rows."""
    chart: dict[str, Any] = drawing.chart.to_dict(context={"datasets": {}})
    chart.pop("config", None)
    if "vconcat" not in chart:  # axes and legends within the panel's width too
        chart["autosize"] = {"type": "fit-x", "contains": "padding"}
    return chart


def _fields(part: Any) -> Iterator[str]:
    """Every field that a part of a specification names."""
    if isinstance(part, Mapping):
        if isinstance(part.get("field"), str):
            yield part["field"]
        for each in part.values():
            yield from _fields(each)
    elif isinstance(part, list):
        for each in part:
            yield from _fields(each)


def values(rows: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as JSON has them: times as ISO 8601 in UTC, no NaN."""
    return [
        dict(zip(rows.columns, map(_json_value, row), strict=True)) for row in rows.itertuples(index=False, name=None)
    ]


def _drawn(panel: Panel, frame: pd.DataFrame, has_data: bool) -> Drawing:
    if not frame.empty:
        return panel.draw(frame)
    if has_data and panel.otherwise:
        return Drawing(said(panel.otherwise), frame, [])
    return Drawing(said("No data yet: land {needs} and run.", needs=panel.needs), frame, [])


def _panel(panel: Panel, drawing: Drawing) -> dict[str, Any]:
    return {
        "name": panel.name,
        "question": panel.question,
        "answer": drawing.answer,
        "span": panel.span,
        "count": len(drawing.rows),
        "is_empty": drawing.rows.empty,
        "is_table": drawing.chart is None,
        "pick": next((each.label for each in drawing.columns if each.name == drawing.pick), None),
        "choices": list(dict.fromkeys(drawing.rows[drawing.pick])) if drawing.pick and len(drawing.rows) else [],
        "steps": drawing.steps,
    }


def _data(drawing: Drawing) -> dict[str, Any]:
    """A panel's data: rows column by column, which is a third of what objects take."""
    if drawing.rows.empty:
        return {}
    rows = drawing.shown
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


def _embedded(value: Any) -> Markup:
    """JSON that can stand within a script element, whatever texts it holds."""
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    unsafe = re.compile("[<>&\u2028\u2029]")
    return Markup(unsafe.sub(lambda found: f"\\u{ord(found[0]):04x}", text))  # noqa: S704 - nothing of HTML is left in it


def _day(value: Any) -> str | None:
    return None if value is None or pd.isna(value) else f"{value:%Y-%m-%d}"


def _sample(overview: Mapping[str, Any]) -> str | None:
    """What of the data is invented."""
    invented = [
        what
        for what, is_sample in (
            ("films and their ratings", overview["has_sample_movies"]),
            ("the catalogue", overview["has_sample_titles"]),
        )
        if is_sample
    ]
    return " and ".join(invented) or None


def _previews(drawings: Sequence[tuple[Panel, Drawing]]) -> Iterator[bytes]:
    for _, drawing in drawings:
        if drawing.chart is not None and not drawing.rows.empty:
            rows = drawing.shown if drawing.pick is None else _first_pick(drawing.shown, drawing.pick)
            yield preview(spec(drawing), rows)


def _first_pick(rows: pd.DataFrame, pick: str) -> pd.DataFrame:
    return rows[rows[pick] == rows[pick].iloc[0]]


def preview(chart: Mapping[str, Any], rows: pd.DataFrame) -> bytes:
    """The chart as a small JPEG in the light colours: a third of the bytes of a PNG, and each run keeps its own."""
    sized = _with_width(chart, PREVIEW_WIDTH)
    config = {**look.CONFIG, "background": look.LIGHT["card"]}
    drawn = look.resolved({**sized, "datasets": {look.ROWS: values(rows)}, "config": config})
    return vl_convert.vegalite_to_jpeg(drawn, scale=1, quality=85)


def _with_width(chart: Mapping[str, Any], width: int) -> dict[str, Any]:
    if "vconcat" in chart:
        return {**chart, "vconcat": [_with_width(each, width) for each in chart["vconcat"]]}
    return {**chart, "width": width}


@cache
def _vega() -> Markup:
    """Vega, Vega-Lite and vega-embed in one script of about 0.9 MB; bundling them takes 1.7 s, once per process."""
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
