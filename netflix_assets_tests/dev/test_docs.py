"""The documentation site of a home in which nothing has been built."""

import re
from pathlib import Path

import pytest

from netflix_assets.dev import docs
from netflix_assets.settings import read_settings

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return docs.build(read_settings(home=tmp_path_factory.mktemp("fresh")))


def test_a_fresh_home_gets_the_site_and_no_warehouse(site: Path) -> None:
    assert {path.name for path in site.iterdir()} == {"index.html", "tables.mmd", "manifest.json", "catalog.json"}
    assert not (site.parent / "warehouse.duckdb").exists()


def test_the_site_has_every_model_and_needs_no_network(site: Path) -> None:
    page = (site / "index.html").read_text(encoding="utf-8")
    loaded = re.findall(
        r"""(?:<(?:script|img|iframe)[^>]*\ssrc=|<link[^>]*\shref=|@import\s|url\()["']?(//|https?:)""", page
    )
    assert loaded == []
    models = [file.stem for file in (read_settings().dbt_project / "models").rglob("*.sql")]
    assert [name for name in models if f'"model.netflix_assets.{name}"' not in page] == []


def test_the_diagram_has_the_tables_of_core_and_their_foreign_keys(site: Path) -> None:
    diagram = (site / "tables.mmd").read_text(encoding="utf-8")
    tables = set(re.findall(r'^  "(\w+)" \{$', diagram, re.MULTILINE))
    core = (read_settings().dbt_project / "models" / "core").glob("*.sql")
    assert {name.lower() for name in tables} == {file.stem for file in core}
    assert '  "FCT_RATINGS" }|--|| "DIM_MOVIES": movie_id' in diagram.splitlines()
    assert "    decimal(2_1) rating" in diagram.splitlines()
