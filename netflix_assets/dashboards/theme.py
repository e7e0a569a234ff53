"""The theme of all charts: palettes, Vega configuration and the chart parts that pages share.

A chart names a colour as a CSS variable (``var(--blue)``) and the page resolves it, so charts follow the theme, the
toggle and the printer without a redraw. This needs SVG, and scales that don't blend colours: colour ramps have steps.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import altair as alt

from netflix_assets.dashboards.columns import Column, tooltips

Palette = Mapping[str, str]  # colour names -> hex colours

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

# aria is off: each panel describes its chart in words and offers its rows as a table. Labelling every mark adds noise.
CONFIG: Mapping[str, Any] = {
    "aria": False,
    "background": "transparent",
    "font": _FONT,
    "view": {"stroke": None},
    "axis": {
        "labelColor": SOFT, "titleColor": SOFT, "titleFontWeight": "normal", "titleFontSize": 11, "labelFontSize": 11,
        "gridColor": "var(--grid)", "domainColor": "var(--line)", "tickColor": "var(--line)",
    },
    "axisX": {"labelOverlap": True, "labelSeparation": 6, "tickCount": 8},
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

ROWS = "rows"  # the name of a chart's data in its specification


def base() -> alt.Chart:
    """Return a chart of the panel's rows, as wide as the panel."""
    return alt.Chart(alt.NamedData(ROWS), width="container")


def reference(**place: float) -> alt.Chart:
    """Return a line at a value of one axis: ``x=1`` or ``y=1``."""
    one = base().transform_aggregate(n="count()").mark_rule(color=GREY, strokeDash=[4, 4])
    line: alt.Chart = one.encode(**{axis: alt.datum(value) for axis, value in place.items()})
    return line


def ratings_axis() -> alt.X:
    """Return a logarithmic x axis of the number of ratings."""
    return alt.X(
        "n_ratings:Q",
        title="ratings (log scale)",
        scale=alt.Scale(type="log"),
        axis=alt.Axis(format="~s", tickCount=5),
    )


def bars(x: alt.X, y: alt.Y, columns: Iterable[Column], *, height: int, colour: str = BLUE) -> alt.Chart:
    """Return horizontal bars of one colour."""
    chart: alt.Chart = base().mark_bar(color=colour).encode(x, y, tooltip=tooltips(columns)).properties(height=height)
    return chart


def colour_by(
    chart: alt.Chart, field: str, colours: Mapping[str, str], *, title: str | None = None, opacity: float = 0.9
) -> alt.Chart:
    """Colour marks by the values of a field; a click on the legend highlights one value, another click shows all."""
    picked = alt.selection_point(fields=[field], bind="legend", name=f"{field}_picked")
    scale = alt.Scale(domain=list(colours), range=list(colours.values()))
    return chart.encode(
        color=alt.Color(f"{field}:N", title=title, scale=scale),
        opacity=alt.when(picked).then(alt.value(opacity)).otherwise(alt.value(0.08)),
    ).add_params(picked)


@dataclass(frozen=True)
class ColourSteps:
    """One colour per range between bounds: one more colour than bounds.

    The page draws the legend. Vega's grows with the distance between bounds and does not wrap on a phone.

    Parameters:
        title: the title of the legend.
        bounds: ascending bounds between the ranges.
        colours: the colours, lowest range first.
        format: the format of a bound in the legend.
    """

    title: str
    bounds: Sequence[float]
    colours: Sequence[str]
    format: str = "{:g}"

    @property
    def scale(self) -> alt.Scale:
        """The chart's colour scale."""
        return alt.Scale(type="threshold", domain=list(self.bounds), range=list(self.colours))

    def legend(self) -> list[tuple[str, str]]:
        """Return the label and the colour of each range."""
        bounds = [self.format.format(bound) for bound in self.bounds]
        ranges = [f"{low} – {high}" for low, high in pairwise(bounds)]
        labels = (f"below {bounds[0]}", *ranges, f"{bounds[-1]} and above")
        return list(zip(labels, self.colours, strict=True))


def sequential(title: str, maximum: float) -> ColourSteps:
    """Return equal steps from 0 to the maximum, light to strong."""
    bounds = [(maximum or 1) * step / len(HEAT) for step in range(1, len(HEAT))]
    return ColourSteps(title, bounds, HEAT, "{:.1f}")


def diverging(title: str, bounds: Sequence[float], format: str = "{:g}") -> ColourSteps:
    """Return steps around the usual value from six bounds: red below, blue above."""
    return ColourSteps(title, bounds, DIVERGING, format)


def heatmap(
    x: str,
    y: str,
    value: str,
    steps: ColourSteps,
    columns: Iterable[Column],
    *,
    height: int,
    x_title: str | None = None,
    x_sort: Any = alt.Undefined,
    y_sort: Any = alt.Undefined,
    has_long_names: bool = False,
) -> alt.Chart:
    """Return one cell per pair of ``x`` and ``y``, coloured by ``value``; ``has_long_names`` slants the x labels."""
    plain: dict[str, Any] = {"domain": False, "ticks": False}
    slanted: dict[str, Any] = {"labelAngle": -40, "labelOverlap": False, "labelLimit": 120}
    x_axis = alt.Axis(**plain, **(slanted if has_long_names else {"labelAngle": 0}))
    chart: alt.Chart = (
        base()
        .mark_rect(cornerRadius=2)
        .encode(
            alt.X(x, title=x_title, sort=x_sort, axis=x_axis),
            alt.Y(y, title=None, sort=y_sort, axis=alt.Axis(**plain)),
            alt.Color(f"{value}:Q", legend=None, scale=steps.scale),
            tooltip=tooltips(columns),
        )
        .properties(height=height)
    )
    return chart


def band_height(values: Iterable[object], pixels: int) -> int:
    """Return the height of a chart with one band of this many pixels per distinct value."""
    return max(len(set(values)), 2) * pixels


def resolve_colours(spec: Mapping[str, Any], palette: Palette = LIGHT) -> dict[str, Any]:
    """Replace CSS variables in a specification with hex colours, for renderers without CSS."""
    text = re.sub(r"var\(--([a-z0-9-]+)\)", lambda found: palette[found[1]], json.dumps(spec))
    resolved: dict[str, Any] = json.loads(text)
    return resolved


def css_variables(palette: Palette) -> str:
    """Return the palette as CSS declarations."""
    return "".join(f"--{name}:{colour};" for name, colour in palette.items())
