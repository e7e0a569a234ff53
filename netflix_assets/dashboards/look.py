"""The look of all charts: colours by name, one configuration, and the few ways in which charts are drawn here.

A chart names a colour as a CSS variable (``var(--blue)``), which the page resolves: so charts follow the theme, the
toggle and the printer without a line of script. That needs SVG, and scales that do not mix colours: ramps have steps.
Does not belong here: what a chart shows (the pages), how it gets into a page (``page.py``).
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import altair as alt

Palette = Mapping[str, str]

LIGHT: Palette = {
    "page": "#f5f6fa", "card": "#ffffff", "ink": "#1a2233", "soft": "#566175", "line": "#e1e6ee", "grid": "#e9edf3",
    "blue": "#2b5c8a", "red": "#cf2440", "amber": "#b57b00", "green": "#2a8259", "violet": "#7a4fa3", "grey": "#9aa6b6",
    "wash": "#d5dfe9", "link": "#1f5a94", "badge": "#7a4c00", "badge-back": "#fff0cf",
    "heat0": "#eef3f8", "heat1": "#d3e0ec", "heat2": "#aec6dd", "heat3": "#7fa5c8", "heat4": "#4f80ad",
    "heat5": "#2b5c8a", "heat6": "#173a5e",
    "low3": "#b81d3a", "low2": "#dd6c80", "low1": "#f1c4cc", "even": "#eff2f6", "high1": "#bcd3e7", "high2": "#6b9cc8",
    "high3": "#1f5c96",
}  # fmt: skip
DARK: Palette = {
    "page": "#0e131b", "card": "#171e29", "ink": "#e8edf5", "soft": "#a5b1c3", "line": "#2b3545", "grid": "#242d3b",
    "blue": "#6caae2", "red": "#ff6f88", "amber": "#e8b848", "green": "#5bc493", "violet": "#b99be0", "grey": "#75839a",
    "wash": "#2c435c", "link": "#8cc0f2", "badge": "#ffdf9c", "badge-back": "#4a3708",
    "heat0": "#1d2735", "heat1": "#23374e", "heat2": "#2b4c6e", "heat3": "#376a99", "heat4": "#4f8cc4",
    "heat5": "#7fb4e6", "heat6": "#bfe0ff",
    "low3": "#ff6f88", "low2": "#c04a60", "low1": "#713644", "even": "#2a3342", "high1": "#2f5276", "high2": "#4785c1",
    "high3": "#8cc6ff",
}  # fmt: skip

BLUE, RED, AMBER, GREEN, VIOLET, GREY, SOFT, INK, WASH = (
    f"var(--{name})" for name in ("blue", "red", "amber", "green", "violet", "grey", "soft", "ink", "wash")
)
HEAT = [f"var(--heat{step})" for step in range(7)]
DIVERGING = [f"var(--{name})" for name in ("low3", "low2", "low1", "even", "high1", "high2", "high3")]

_FONT = "system-ui, -apple-system, Segoe UI, Roboto, Helvetica, Arial, sans-serif"

# aria: the page says in words what a chart shows and has its rows as a table; a thousand labelled marks help nobody.
CONFIG: Mapping[str, Any] = {
    "aria": False,
    "background": "transparent",
    "font": _FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": SOFT, "titleColor": SOFT, "titleFontWeight": "normal", "titleFontSize": 11, "labelFontSize": 11,
        "gridColor": "var(--grid)", "domainColor": "var(--line)", "tickColor": "var(--line)",
    },
    "axisX": {"labelOverlap": True, "tickCount": 8},
    "legend": {
        "labelColor": INK, "titleColor": SOFT, "titleFontWeight": "normal", "titleFontSize": 11, "labelFontSize": 12,
        "orient": "top", "direction": "horizontal", "symbolType": "circle", "offset": 6, "labelLimit": 230,
        "columnPadding": 14,
    },
    "header": {"labelColor": SOFT, "titleColor": SOFT},
    "bar": {"cornerRadiusEnd": 2},
    "point": {"filled": True, "size": 45, "opacity": 0.85},
    "rule": {"color": "var(--line)"},
    "text": {"color": INK},
}  # fmt: skip

ROWS = "rows"  # what a chart's data is called in its specification


def base() -> alt.Chart:
    """A chart of the panel's rows, as wide as its panel."""
    return alt.Chart(alt.NamedData(ROWS), width="container")


def tooltip(*fields: tuple[str, str] | tuple[str, str, str]) -> list[alt.Tooltip]:
    """Lines of a tooltip: field with type (``n_ratings:Q``), title and, for numbers, d3's format."""
    return [
        alt.Tooltip(field, title=title, format=form[0] if form else alt.Undefined) for field, title, *form in fields
    ]


def colours(domain: Sequence[str], shades: Sequence[str]) -> alt.Scale:
    """These values in these colours."""
    return alt.Scale(domain=list(domain), range=list(shades))


@dataclass(frozen=True)
class Steps:
    """Colours of the ranges between bounds: one more than there are bounds. ``form``: how a bound is written.

    The page writes the key itself: Vega's is as long as its bounds are far apart, and does not wrap on a telephone.
    """

    title: str
    bounds: Sequence[float]
    shades: Sequence[str]
    form: str = "{:g}"

    @property
    def scale(self) -> alt.Scale:
        """The scale of the chart's colours."""
        return alt.Scale(type="threshold", domain=list(self.bounds), range=list(self.shades))

    def key(self) -> list[tuple[str, str]]:
        """Each range in words, with its colour."""
        said = [self.form.format(bound) for bound in self.bounds]
        ranges = [f"{low} – {high}" for low, high in pairwise(said)]
        return list(zip((f"below {said[0]}", *ranges, f"{said[-1]} and more"), self.shades, strict=True))


def rising(title: str, greatest: float, form: str = "{:.1f}") -> Steps:
    """From 0 to the greatest value in steps of equal size, light to strong."""
    return Steps(title, [(greatest or 1) * step / len(HEAT) for step in range(1, len(HEAT))], HEAT, form)


def around(title: str, bounds: Sequence[float], form: str = "{:g}") -> Steps:
    """Six bounds around what is usual: below in red, above in blue."""
    return Steps(title, bounds, DIVERGING, form)


def bands(values: Iterable[object], pixels: int) -> int:
    """The height of a chart that has a band of so many pixels for each different value."""
    return max(len(set(values)), 2) * pixels


def slanted() -> alt.Axis:
    """An axis of long names below a chart, every one of them shown."""
    return alt.Axis(labelAngle=-40, labelOverlap=False, labelLimit=120, domain=False, ticks=False)


def legend_filter(field: str) -> alt.Parameter:
    """A click on the legend keeps one value strong; another click, or a double click, gives the others back."""
    return alt.selection_point(fields=[field], bind="legend", name=f"{field}_picked")


def faded(picked: alt.Parameter, strong: float = 0.9) -> Any:
    """The opacity of marks: strong where the legend has picked them, or nothing."""
    return alt.when(picked).then(alt.value(strong)).otherwise(alt.value(0.08))


def resolved(spec: Mapping[str, Any], palette: Palette = LIGHT) -> dict[str, Any]:
    """The specification with the colours themselves, for what knows no CSS."""
    text = re.sub(r"var\(--([a-z0-9-]+)\)", lambda found: palette[found[1]], json.dumps(spec))
    resolved_spec: dict[str, Any] = json.loads(text)
    return resolved_spec


def css(palette: Palette) -> str:
    """The palette as CSS declarations."""
    return "".join(f"--{name}:{colour};" for name, colour in palette.items())
