"""Every page in Chromium: from sample data, real files and no files; wide and narrow, light and dark.

A page fails if it sends a request, writes to the console, is wider than its window, has an empty chart or a violation
that axe calls serious. The tests use the system's Chromium and are skipped without one.

Environment variables: DASHBOARD_SHOTS is a folder for screenshots; REAL_DATA and REAL_CATALOGUE are folders of real
files; SAMPLES_HOME and REAL_HOME are homes that have been built already.
"""

import csv
import io
import itertools
import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from netflix_assets.dashboards.page import build
from netflix_assets.dashboards.pages import PAGES
from netflix_assets.dashboards.queries import read
from netflix_assets.warehouse.publishing import Publication
from netflix_assets_tests.cli.persons import done
from netflix_assets_tests.demo import create_once

pytestmark = pytest.mark.browser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WIDTHS = (1440, 768, 375)
THEMES = ("light", "dark")
DATA = ("samples", "real", "nothing")
FILES = [page.file_name for page in PAGES]
HOSTILE = "</script><img src=x onerror=alert(1)>"


@pytest.fixture(scope="session")
def home_of(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return the home built from the given data, building it on first use."""
    homes = {data: Path(home) for data in DATA if (home := os.environ.get(f"{data.upper()}_HOME"))}
    if "samples" not in homes:
        homes["samples"] = request.getfixturevalue("demo").home

    def home(data: str) -> Path:
        if data not in homes:
            files = _files(data)
            homes[data] = create_once(tmp_path_factory, data, lambda folder: _landed_and_run(folder, files)).home
        return homes[data]

    return home


def _landed_and_run(home: Path, files: list[str]) -> str:
    if files:
        done(home, "land", *files)
    return done(home, "run")


def _files(data: str) -> list[str]:
    if data == "real":
        real = os.environ.get("REAL_DATA")
        if not real or not Path(real).is_dir():
            pytest.skip("REAL_DATA is not a folder with MovieLens' ml-latest-small")
        catalogue = os.environ.get("REAL_CATALOGUE", "")
        return sorted(str(path) for folder in filter(None, (real, catalogue)) for path in Path(folder).glob("*.csv"))
    return []


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    if CHROMIUM is None:
        pytest.skip("Chromium is not installed: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        yield browser
        browser.close()


@contextmanager
def opened(chromium: Browser, file: Path, **context: Any) -> Iterator[Page]:
    """Open a page and wait until it is drawn; fail on console messages, errors, dialogs and requests."""
    events: list[str] = []
    with chromium.new_context(
        **{"viewport": {"width": 1440, "height": 900}, "reduced_motion": "reduce", **context}
    ) as tab:
        page = tab.new_page()
        page.on("console", lambda message: events.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: events.append(f"error: {error}"))
        page.on("dialog", lambda dialog: (events.append(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("request", lambda request: events.append(request.url) if _is_fetched(request.url) else None)
        page.goto(file.as_uri())
        page.wait_for_selector("html[data-drawn]", timeout=30_000)
        yield page
        assert events == []


def _is_fetched(url: str) -> bool:
    return not url.startswith(("file:", "data:", "blob:"))


def shot(page: Page, name: str) -> None:
    if folder := os.environ.get("DASHBOARD_SHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


# The contents of each panel: marks of the chart, or rows of the table.
PANELS = """
[...document.querySelectorAll("section.panel")].map(panel => ({
    id: panel.id,
    isEmpty: "empty" in panel.dataset,
    answer: panel.querySelector(".answer").textContent,
    marks: panel.querySelectorAll(".chart .role-mark path, .chart .role-mark rect, .chart .role-mark line").length,
    rows: panel.querySelectorAll(":scope > .scroll tbody tr").length,
    tooWide: [...panel.querySelectorAll(".chart svg")].some(
        svg => svg.getBoundingClientRect().right > svg.closest(".chart").getBoundingClientRect().right + 1),
}))
"""


@pytest.mark.parametrize("data", DATA)
@pytest.mark.parametrize("theme", THEMES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("file", FILES)
def test_a_page_is_complete(
    data: str, theme: str, width: int, file: str, chromium: Browser, home_of: Callable[[str], Path]
) -> None:
    path = home_of(data) / "dashboards" / file
    assert path.stat().st_size < 3_000_000
    with opened(chromium, path, viewport={"width": width, "height": 900}, color_scheme=theme) as page:
        shot(page, f"{data}-{path.stem}-{width}-{theme}")
        assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        panels = page.evaluate(PANELS)
        assert len(panels) >= 4
        for panel in panels:
            assert panel["answer"].strip(), panel
            assert not panel["tooWide"], panel
            assert panel["isEmpty"] or panel["marks"] or panel["rows"], panel
        empty = {panel["id"] for panel in panels if panel["isEmpty"]}
        if data == "nothing":  # runs and tests exist even without files
            assert empty >= {panel["id"] for panel in panels} - {"pass-rate", "coverage", "costs", "trend", "runs"}
        else:
            # The business waits for its databases, rates and headlines.
            awaited = {panel.name for each in PAGES if each.name == "business" for panel in each.panels}
            assert empty <= {"seasons", "releases", "trend"} | awaited
        assert page.locator(".badge").count() == (1 if data == "samples" else 0)
        found = Axe().run(page).response["violations"]
        assert [each for each in found if each["impact"] in ("serious", "critical")] == []


def test_large_screens_and_print(chromium: Browser, home_of: Callable[[str], Path]) -> None:
    for file in FILES:
        path = home_of("samples") / "dashboards" / file
        with opened(chromium, path, viewport={"width": 1920, "height": 1080}, color_scheme="dark") as page:
            assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
            shot(page, f"samples-{path.stem}-1920")
            page.emulate_media(media="print")
            shot(page, f"samples-{path.stem}-print")
            assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
            assert page.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
            label = "getComputedStyle(document.querySelector('.chart text')).fill"
            assert page.evaluate(label) == "rgb(86, 97, 117)", "a dark page must print its charts in dark ink"


def test_the_theme_toggle_changes_charts_and_persists(chromium: Browser, home_of: Callable[[str], Path]) -> None:
    path = home_of("samples") / "dashboards" / "index.html"
    colours = "[document.body, document.querySelector('.chart text')].map(e => getComputedStyle(e))"
    colours = f"{colours}.map(style => [style.backgroundColor, style.fill].join(' '))"
    with opened(chromium, path, color_scheme="light") as page:
        light = page.evaluate(colours)
        page.get_by_role("button", name="Switch to dark colours").press("Enter")
        dark = page.evaluate(colours)
        assert all(one != other for one, other in zip(light, dark, strict=True))
        page.reload()
        page.wait_for_selector("html[data-drawn]")
        assert page.evaluate(colours) == dark


def test_table_and_csv_hold_the_rows_of_the_chart(chromium: Browser, home_of: Callable[[str], Path]) -> None:
    path = home_of("samples") / "dashboards" / "audience.html"
    with opened(chromium, path) as page:
        hours = page.locator("#hours")
        hours.locator("summary").press("Enter")
        hours.locator("tbody tr").first.wait_for()  # the toggle event comes a moment later
        assert hours.locator("tbody tr").count() == 168
        assert hours.locator("caption").text_content() == "When do people rate?"
        with page.expect_download() as download:
            hours.get_by_role("button", name="Download CSV").press("Enter")
        rows = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
        assert download.value.suggested_filename == "hours.csv"
        drawn = page.evaluate(
            "document.querySelectorAll('#hours .role-mark path').length - "
            "document.querySelectorAll('#hours .role-legend path').length"
        )
        assert len(rows) == 168 == drawn
        first = [cell.text_content() for cell in hours.locator("tbody tr").first.locator("td").all()]
        assert first[:3] == [rows[0]["day"], rows[0]["hour_utc"], f"{int(rows[0]['n_ratings']):,}"]


def test_a_film_can_be_picked(chromium: Browser, home_of: Callable[[str], Path]) -> None:
    path = home_of("samples") / "dashboards" / "recommendations.html"
    (liked,) = (each.queries["liked"] for each in PAGES if each.file_name == path.name)
    published = home_of("samples") / "published" / "current" / "netflix.duckdb"
    with duckdb.connect(str(published.resolve()), read_only=True) as connection:
        films = connection.execute(
            f"select count(distinct movie_id) from {liked.full_name} where {liked.where or 'true'}"
        ).fetchone()[0]
    with opened(chromium, path) as page:
        panel = page.locator("#also-liked")
        choices = panel.locator("option").evaluate_all("options => options.map(option => option.value)")
        assert len(choices) == films > 10
        before = panel.locator(".chart").inner_text()
        panel.locator("summary").click()
        panel.locator("tbody tr").first.wait_for()
        panel.get_by_role("combobox", name="Film").fill(choices[5])
        page.wait_for_function(
            "before => document.querySelector('#also-liked .chart').innerText !== before", arg=before
        )
        assert {row.locator("td").first.text_content() for row in panel.locator("tbody tr").all()} == {choices[5]}
        panel.get_by_role("combobox", name="Film").fill("no such film")
        assert panel.get_by_role("status").text_content() == "Choose one from the list."


def test_brush_legend_and_tooltip_work(chromium: Browser, home_of: Callable[[str], Path]) -> None:
    folder = home_of("samples") / "dashboards"
    with opened(chromium, folder / "index.html") as page:
        box = page.locator("#activity .chart svg").bounding_box()
        ticks = (
            "[...document.querySelectorAll('#activity .chart .role-axis-label text')].map(e => e.textContent).join()"
        )
        before = page.evaluate(ticks)
        strip = box["y"] + box["height"] - 60
        page.mouse.move(box["x"] + 300, strip)
        page.mouse.down()
        page.mouse.move(box["x"] + 500, strip, steps=4)
        page.mouse.up()
        page.wait_for_function(f"before => {ticks} !== before", arg=before)
    with opened(chromium, folder / "content.html") as page:
        marks = "[...document.querySelectorAll('#engagement .mark-symbol.role-mark path')]"
        opacities = f"[...new Set({marks}.map(mark => mark.getAttribute('opacity')))]"
        assert len(page.evaluate(opacities)) == 1
        page.locator("#engagement .role-legend-symbol path").first.click(force=True)
        page.wait_for_function(f"{opacities}.length === 2")
        page.locator("#popular-genres .mark-rect.role-mark path").first.hover()
        page.wait_for_selector("#vg-tooltip-element.visible")
        assert "Mean rating" in page.locator("#vg-tooltip-element").inner_text()


def test_hostile_titles_stay_text(chromium: Browser, home_of: Callable[[str], Path], tmp_path: Path) -> None:
    """Append markup that would call alert to every text of every frame."""
    for path in spoiled_pages(home_of("samples"), tmp_path, lambda text: f"{text}{HOSTILE}"):
        with opened(chromium, path) as page:
            assert page.locator("img").count() == 0
            for summary in page.locator("summary").all():
                summary.click()
            assert page.locator("img").count() == 0
            for mark in page.locator(".chart .role-mark path").all()[:200:20]:
                mark.dispatch_event("mousemove")
            assert page.locator("img").count() == 0


FORMULAS = ("=1+1", "+1+1", "-1+1", "@SUM(1)", "\t=1+1")


def test_a_spreadsheet_gets_no_formula(chromium: Browser, home_of: Callable[[str], Path], tmp_path: Path) -> None:
    """Put a formula before every text of every frame. Texts get a quote in the CSV file; numbers stay as they are."""
    formulas = itertools.cycle(FORMULAS)
    fields = [
        field
        for path in spoiled_pages(home_of("samples"), tmp_path, lambda text: f"{next(formulas)}{text}")
        for row in downloaded(chromium, path)
        for field in row
    ]
    numbers = {field for field in fields if is_number(field)}
    assert any(number.startswith("-") for number in numbers)
    for formula in FORMULAS:
        assert sum(field.startswith(f"'{formula}") for field in fields) > 100, formula
    assert [field for field in fields if field.startswith(tuple("=+-@\t\r\n")) and field not in numbers] == []


def downloaded(chromium: Browser, path: Path) -> list[list[str]]:
    """The records of every CSV file of a page, without the headers."""
    rows = []
    with opened(chromium, path) as page:
        for summary in page.locator("summary").all():
            summary.click()
        for button in page.get_by_role("button", name="Download CSV").all():
            with page.expect_download() as download:
                button.press("Enter")
            text = Path(download.value.path()).read_bytes().decode()
            rows += list(csv.reader(io.StringIO(text, newline="")))[1:]
    return rows


def is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def spoiled_pages(home: Path, folder: Path, spoil: Callable[[str], str]) -> list[Path]:
    """Build every page from the published tables of a home, with every text changed by ``spoil``."""
    current = home / "published" / "current"
    publication = Publication.from_json(json.loads((current / "manifest.json").read_text()))
    with duckdb.connect(str((current / "netflix.duckdb").resolve()), read_only=True) as connection:

        def execute(sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
            result = connection.execute(sql)
            return [column[0] for column in result.description], result.fetchall()

        for each in PAGES:
            frames = {name: spoiled(frame, spoil) for name, frame in read(each.queries, execute).items()}
            (folder / each.file_name).write_text(build(each, PAGES, frames, publication).html)
    return [folder / each.file_name for each in PAGES]


def spoiled(frame: pd.DataFrame, spoil: Callable[[str], str]) -> pd.DataFrame:
    # Pages look rows up by these.
    kept = {"kind", "layer", "state", "activity_level", "lifecycle", "rater_type", "quadrant", "production_type"}
    texts = [name for name in frame.columns if frame[name].dtype == object and name not in kept]
    changed = {
        name: [spoil(value) if isinstance(value, str) and value != "all" else value for value in frame[name]]
        for name in texts
    }
    return frame.assign(**{name: pd.Series(values, dtype=object) for name, values in changed.items()})
