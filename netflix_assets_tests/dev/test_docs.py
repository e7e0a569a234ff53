"""The documentation site, from a home in which nothing has been built, and the diagrams of a small project."""

import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import pytest

from netflix_assets import diagrams, docs
from netflix_assets.settings import read_settings

# What makes a browser fetch something from elsewhere.
LOADED = re.compile(r"""(?:<(?:script|img|iframe)[^>]*\ssrc=|<link[^>]*\shref=|@import\s|url\()["']?(//|https?:)""")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return docs.build(read_settings(home=tmp_path_factory.mktemp("fresh")))


def test_a_fresh_home_gets_the_site_and_no_warehouse(site: Path) -> None:
    assert {path.name for path in site.iterdir()} == {
        "index.html", "dbt.html", "tables.svg", "tables.mmd", "lineage.svg", "lineage.mmd", "manifest.json",
        "catalog.json",
    }  # fmt: skip
    assert not (site.parent / "warehouse.duckdb").exists()


def test_the_site_needs_no_network(site: Path) -> None:
    for name in ("index.html", "dbt.html", "tables.svg", "lineage.svg"):
        text = (site / name).read_text(encoding="utf-8")
        loaded = re.findall(
            r"""(?:<(?:script|img|iframe)[^>]*\ssrc=|<link[^>]*\shref=|@import\s|url\()["']?(//|https?:)""", text
        )
        assert loaded == [], name


def test_every_model_and_metric_has_its_entry(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    files = {file.stem for file in (read_settings().dbt_project / "models").rglob("*.sql")}
    assert files <= set(re.findall(r'<details id="(\w+)">', page))
    assert "<td>average_rating</td><td>ratio</td>" in page
    assert "Grain: " not in page  # it stands beside the name


def test_the_links_of_the_page_lead_somewhere(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    ids = set(re.findall(r"""\sid=["']([\w-]+)["']""", page))
    for link in re.findall(r'<a href="([^"]+)"', page):
        assert link[1:] in ids if link.startswith("#") else (site / link).exists(), link


def test_the_diagrams_show_what_the_project_has(site: Path) -> None:
    lineage = ElementTree.fromstring((site / "lineage.svg").read_text())  # noqa: S314 - our own
    nodes = {group.get("data-name") for group in lineage.iter(f"{SVG}g") if group.get("data-name")}
    assert {"movielens.ratings", "fct_ratings", "mart_rating_trends", "dashboard_overview", "snap_tags"} <= nodes
    ends = {(path.get("data-from"), path.get("data-to")) for path in lineage.iter(f"{SVG}path")}
    assert ("mart_rating_trends", "dashboard_overview") in ends
    tables = ElementTree.fromstring((site / "tables.svg").read_text())  # noqa: S314 - our own
    said = {title.text for title in tables.iter(f"{SVG}title")}
    assert "fct_ratings.movie_id is in dim_movies.movie_id" in said
    assert "    dim_movies ||--o{ fct_ratings : movie_id" in (site / "tables.mmd").read_text().splitlines()
    assert "    fct_ratings --> mart_rating_trends" in (site / "lineage.mmd").read_text().splitlines()


# ------------------------------------------------------------------------------------------ a small project


def model(name: str, layer: str, *columns: str, reads: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "unique_id": f"model.{name}",
        "name": name,
        "resource_type": "model",
        "fqn": ["shop", layer, name],
        "columns": {column: {"name": column, "data_type": "decimal(2,1)"} for column in columns},
        "depends_on": {"nodes": [f"model.{each}" for each in reads]},
    }


def data_test(kind: str, node: str, column: str | None, *reads: str, **arguments: Any) -> dict[str, Any]:
    return {
        "unique_id": f"test.{kind}.{node}.{column}",
        "resource_type": "test",
        "attached_node": f"model.{node}",
        "column_name": column,
        "test_metadata": {"name": kind, "kwargs": arguments},
        "depends_on": {"nodes": [f"model.{each}" for each in (node, *reads)]},
    }


@pytest.fixture
def shop() -> dict[str, Any]:
    nodes = [
        model("int_sales", "intermediate", "sale_id"),
        model("dim_goods", "core", "good_id", "price", reads=("int_sales",)),
        model("fct_sales", "core", "good_id", "day", "price", reads=("int_sales",)),
        model("mart_sales", "marts", "good_id", reads=("fct_sales", "dim_goods")),
        data_test("unique", "dim_goods", "good_id"),
        data_test("unique_combination", "fct_sales", None, columns=["good_id", "day"]),
        data_test("relationships", "fct_sales", "good_id", "dim_goods", field="good_id"),
        data_test("relationships", "mart_sales", "good_id", "dim_goods", field="good_id"),
    ]
    return {"nodes": {node["unique_id"]: node for node in nodes}, "sources": {}, "exposures": {}, "metrics": {}}


def test_keys_come_from_tests(shop: dict[str, Any]) -> None:
    assert diagrams.er_mermaid(shop) == (
        "erDiagram\n"
        "    dim_goods {\n        decimal(2_1) good_id PK\n        decimal(2_1) price\n    }\n"
        "    fct_sales {\n        decimal(2_1) good_id PK, FK\n        decimal(2_1) day PK\n"
        "        decimal(2_1) price\n    }\n"
        "    dim_goods ||--o{ fct_sales : good_id\n"
    )


def test_tables_do_not_overlap(shop: dict[str, Any], site: Path) -> None:
    for text in (diagrams.er_svg(shop), (site / "tables.svg").read_text(), (site / "lineage.svg").read_text()):
        drawn = ElementTree.fromstring(text)  # noqa: S314 - our own
        boxes = [
            tuple(float(rect.get(side, "")) for side in ("x", "y", "width", "height"))
            for rect in drawn.iter(f"{SVG}rect")
        ]
        width, height = (float(drawn.get(side, "")) for side in ("width", "height"))
        for number, (x, y, wide, high) in enumerate(boxes):
            assert 0 <= x <= x + wide <= width
            assert 0 <= y <= y + high <= height
            for other_x, other_y, other_wide, other_high in boxes[:number]:
                apart = x >= other_x + other_wide or other_x >= x + wide or y >= other_y + other_high
                assert apart or other_y >= y + high


def test_the_lineage_runs_from_left_to_right(shop: dict[str, Any]) -> None:
    drawn = ElementTree.fromstring(diagrams.lineage_svg(shop))  # noqa: S314 - our own
    left = {
        group.get("data-name"): float(group.find(f"{SVG}rect").get("x"))  # type: ignore[union-attr, arg-type]
        for group in drawn.iter(f"{SVG}g")
    }
    assert left["int_sales"] < left["dim_goods"] == left["fct_sales"] < left["mart_sales"]


def test_an_empty_project_is_drawn_too() -> None:
    nothing: dict[str, Any] = {"nodes": {}, "sources": {}, "exposures": {}, "metrics": {}}
    for text in (diagrams.er_svg(nothing), diagrams.lineage_svg(nothing)):
        ElementTree.fromstring(text)  # noqa: S314 - our own
    assert diagrams.lineage_mermaid(nothing) == "flowchart LR\n"
