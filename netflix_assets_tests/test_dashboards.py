"""The pages from frames, without a warehouse, and the command that serves them. In a browser: browser/."""

import json
import os
import re
import signal
import socket
import struct
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from netflix_assets.dashboards import look, recommendations
from netflix_assets.dashboards.page import OVERVIEW, Built, Page, build, preview, spec, values
from netflix_assets.dashboards.pages import PAGES
from netflix_assets.dashboards.queries import Query, first, frame, read
from netflix_assets.defs.dashboards import write_whole
from netflix_assets.settings import REPO
from netflix_assets.warehouse.publishing import Publication
from netflix_assets_tests.demo import COMMAND

AT = datetime(2026, 5, 4, 3, 2, tzinfo=UTC)
HOSTILE = "</script><img src=x onerror=alert(1)>"
PUBLICATION = Publication("v1", "run-1", "i1", "i1", AT, AT, {"marts.mart_overview": 1}, {"movielens/ratings": 12})


def overview(**changes: object) -> pd.DataFrame:
    """What mart_overview says of an empty warehouse, but for the changes."""
    row: dict[str, object] = dict.fromkeys(OVERVIEW.columns, 0)
    row |= dict.fromkeys(("avg_rating", "ratings_per_user", "first_rated_at", "last_rated_at"))
    row |= {"has_sample_movies": False, "has_sample_titles": False, **changes}
    return frame(list(row), [tuple(row.values())])


def frames(page: Page, **changes: pd.DataFrame) -> dict[str, pd.DataFrame]:
    empty = {name: frame(list(query.columns), []) for name, query in page.queries.items()}
    return {**empty, "overview": overview(), **changes}


def page_of(name: str) -> Page:
    (page,) = (page for page in PAGES if page.name == name)
    return page


def built(name: str, **changes: pd.DataFrame) -> Built:
    page = page_of(name)
    return build(page, PAGES, frames(page, **changes), PUBLICATION)


def data(html: str) -> dict[str, Any]:
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', html, re.DOTALL)[1])


def pairs(title: str) -> pd.DataFrame:
    row = {
        "movie_id": 1, "title": title, "release_year": 1994, "rank_for_movie": 1, "liked_movie_id": 2,
        "liked_title": title, "liked_release_year": None, "liked_genres": "Drama", "n_co_likes": 4, "n_likes": 9,
        "score": 0.5, "lift": 2.0,
    }  # fmt: skip
    return frame(list(row), [tuple(row.values())])


def test_films_of_which_none_is_rated_often_enough_are_no_failure() -> None:
    (query,) = (query for name, query in page_of("content").queries.items() if name == "films")
    film = dict.fromkeys(query.columns, 1) | {"title": "Heat", "genres": "Action", "avg_rating": 4.0}
    unranked = {"polarization_score": None, "polarization_rank": None, "is_polarized": False}
    row = {**film, **unranked, "is_high_engagement_low_rating": False}
    html = built("content", films=frame(list(row), [tuple(row.values())])).html
    assert "No film with enough ratings" in html


def test_the_queries_are_what_the_exposures_say() -> None:
    entries = yaml.safe_load((REPO / "dbt/models/exposures.yml").read_text())["exposures"]
    said: Mapping[str, set[str]] = {
        entry["config"]["meta"]["page"]: {ref.removeprefix("ref('").removesuffix("')") for ref in entry["depends_on"]}
        for entry in entries
    }
    assert {page.name: {query.mart for query in page.queries.values()} for page in PAGES} == said
    assert {entry["url"] for entry in entries} == {f"dashboards/{page.file_name}" for page in PAGES}
    assert {entry["label"] for entry in entries} == {page.title for page in PAGES}


def test_a_page_asks_each_mart_once_for_columns_and_nothing_else() -> None:
    for page in PAGES:
        marts = [query.mart for query in page.queries.values()]
        assert len(marts) == len(set(marts)), page.name
        for query in page.queries.values():
            assert re.fullmatch(r"select \w+(, \w+)* from marts\.mart_\w+( where \w+)?", query.sql), query.sql
        assert {panel.reads for panel in page.panels} | {"overview"} == set(page.queries), page.name


def test_frames_are_the_same_from_both_warehouses() -> None:
    rows = [(1, Decimal("2.5"), "a", True, date(2020, 1, 2)), (None, None, None, None, None)]
    found = frame(["number", "decimal", "text", "flag", "day"], rows)
    assert found["decimal"].tolist()[0] == 2.5
    assert values(found) == [
        {"number": 1.0, "decimal": 2.5, "text": "a", "flag": True, "day": "2020-01-02"},
        dict.fromkeys(("number", "decimal", "text", "flag", "day")),
    ]
    assert first(frame(["n", "share"], [(3, 0.5)])) == {"n": 3, "share": 0.5}
    asked: list[str] = []
    read({"a": Query("mart_x", ("b", "c"), only="is_d")}, lambda sql: asked.append(sql) or (["b", "c"], []))
    assert asked == ["select b, c from marts.mart_x where is_d"]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_without_data_every_panel_says_what_to_land(page: Page) -> None:
    html = built(page.name).html
    assert html.count("data-empty") >= len(page.panels)
    assert html.count("No data yet: land <b>") == len(page.panels)
    assert "No ratings yet" in html
    assert built(page.name).preview is None
    for each in PAGES:
        assert f'href="{each.file_name}"' in html


def test_no_rows_are_not_called_no_data_where_there_is_data() -> None:
    html = built("overview", overview=overview(n_ratings=100)).html
    assert "No day stands out from the 90 days before it." in html
    assert html.count("No data yet") == len(page_of("overview").panels) - 1


def test_no_value_becomes_markup() -> None:
    html = built("recommendations", liked=pairs(HOSTILE)).html
    assert "onerror=alert" in html  # it is there, as text
    assert "<img src=x" not in html
    assert html.count("</script>") == html.count("<script")
    told = data(html)["also-liked"]
    assert told["values"][told["names"].index("film")] == [f"{HOSTILE} (1994)"]


def test_chart_table_and_csv_have_the_same_rows() -> None:
    told = data(built("recommendations", liked=pairs("Heat")).html)["also-liked"]
    assert {column["name"] for column in told["columns"]} <= set(told["names"])
    assert told["spec"]["data"] == {"name": "rows"}
    assert "datasets" not in told["spec"]


def test_the_page_tells_dates_run_objects_and_that_data_is_invented() -> None:
    dated = overview(first_rated_at=datetime(2015, 1, 1), last_rated_at=datetime(2024, 12, 31), has_sample_movies=True)
    html = built("overview", overview=dated).html
    assert "Ratings from 2015-01-01 to 2024-12-31" in html
    assert "SAMPLE DATA" in html
    assert "films and their ratings" in html
    assert "<code>run-1</code>" in html
    assert "movielens/ratings (12 objects)" in html
    assert "SAMPLE DATA" not in built("overview").html


def test_charts_name_colours_that_every_palette_has() -> None:
    assert set(look.LIGHT) == set(look.DARK)
    drawn = recommendations.also_liked(pairs("Heat"))
    text = json.dumps([spec(drawn), look.CONFIG])
    assert set(re.findall(r"var\(--([\w-]+)\)", text)) <= set(look.LIGHT)
    assert "var(" not in json.dumps(look.resolved(spec(drawn)))
    jpeg = preview(spec(drawn), drawn.rows)
    frame = jpeg.index(b"\xff\xc0")
    height, width = struct.unpack(">HH", jpeg[frame + 5 : frame + 9])
    assert jpeg.startswith(b"\xff\xd8\xff")
    assert width == 480
    assert 100 < height < 500


@pytest.mark.parametrize("palette", [look.LIGHT, look.DARK], ids=["light", "dark"])
def test_text_can_be_read_and_marks_be_seen(palette: look.Palette) -> None:
    for name, least in (("ink", 7.0), ("soft", 4.5), ("link", 4.5), ("blue", 3.0), ("red", 3.0), ("green", 3.0),
                        ("amber", 3.0), ("violet", 3.0)):  # fmt: skip
        for ground in ("card", "page"):
            assert contrast(palette[name], palette[ground]) >= least, (name, ground)


def contrast(one: str, other: str) -> float:
    """WCAG 2's ratio of two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    light, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_a_reader_sees_the_old_page_or_the_new_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "dashboards" / "index.html"
    write_whole(file, "old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError("the disk is full")))
    with pytest.raises(OSError, match="full"):
        write_whole(file, "new")
    assert file.read_text() == "old"
    assert [path.name for path in file.parent.iterdir()] == ["index.html"]


# ---------------------------------------------------------------- the command


def start(home: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [COMMAND, "dashboards", "--no-browser", *arguments],
        env={**os.environ, "NETFLIX_HOME": str(home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_the_command_says_what_to_run_where_there_are_no_pages(tmp_path: Path) -> None:
    process = start(tmp_path)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "`netflix-assets run` builds them" in said


def test_the_command_serves_the_folder_until_it_is_stopped(tmp_path: Path) -> None:
    write_whole(tmp_path / "dashboards" / "index.html", "<h1>Overview</h1>")
    port = free_port()
    process = start(tmp_path, "--port", str(port))
    try:
        deadline = time.monotonic() + 30
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/") as answer:
                    assert answer.read() == b"<h1>Overview</h1>"
                    assert answer.headers["Cache-Control"] == "no-cache"
                break
            except urllib.error.URLError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.1)
        second = start(tmp_path, "--port", str(port))
        assert "choose another" in second.communicate(timeout=30)[1]
        assert second.returncode == 1
    finally:
        process.send_signal(signal.SIGINT)
        out, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")
    assert f"http://127.0.0.1:{port}/" in out
