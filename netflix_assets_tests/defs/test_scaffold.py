"""``dg`` in a copy of the project lists and checks the definitions, and what it scaffolds is loaded."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from netflix_assets.definitions import build_defs
from netflix_assets.settings import REPO, read_settings
from netflix_assets_tests.demo import Demo

pytestmark = pytest.mark.long
DG = Path(sys.executable).with_name("dg")


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project, to which the tests add files."""
    copy = tmp_path_factory.mktemp("dg") / "project"
    for name in ("netflix_assets", "dbt"):
        shutil.copytree(REPO / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "target", "logs"))
    shutil.copy(REPO / "pyproject.toml", copy)
    return copy


@pytest.fixture(scope="module")
def home(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return demo.parsed_in(tmp_path_factory.mktemp("dg_home"))


def dg(project: Path, home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [DG, *arguments],
        cwd=project,
        env={**os.environ, "NETFLIX_HOME": str(home), "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def listed_assets(project: Path, home: Path) -> set[str]:
    return {each["asset_key"] for each in json.loads(dg(project, home, "list", "defs", "--json"))["assets"]}


def test_scaffolded_definitions_are_loaded_with_the_others(project: Path, home: Path) -> None:
    graph = build_defs(read_settings(home=home)).resolve_asset_graph()
    before = {key.to_user_string() for key in graph.get_all_asset_keys()}
    assert {"raw/movielens/ratings", "marts/mart_overview", "published/marts"} <= before
    dg(project, home, "scaffold", "defs", "dagster.asset", "my_asset.py")
    assert (project / "netflix_assets" / "defs" / "my_asset.py").exists()
    assert listed_assets(project, home) == before | {"my_asset"}
    assert "All definitions loaded successfully" in dg(project, home, "check", "defs")


def test_what_is_scaffolded_is_loaded_each_time(project: Path, home: Path) -> None:
    """The first load imports the files, so the second must not take them for the system's own."""
    (project / "netflix_assets" / "defs" / "added.py").write_text(
        "import dagster as dg\n\n\n@dg.asset\ndef added() -> None: ...\n"
    )
    check = (
        "from netflix_assets.definitions import current_settings, load_defs\n"
        "for each in (load_defs(current_settings()), load_defs(current_settings())):\n"
        "    each.resolve_assets_def('added')\n"
    )
    environment = {**os.environ, "NETFLIX_HOME": str(home), "PYTHONPATH": str(project)}
    subprocess.run([sys.executable, "-c", check], cwd=project, env=environment, check=True)


def test_definitions_import_all_files_of_defs_at_once() -> None:
    """A file that another one imports later would count as scaffolded, and cost every start Dagster's slow loader."""
    show = "import sys, netflix_assets.definitions; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", show], capture_output=True, text=True, check=True)
    defs = REPO / "netflix_assets" / "defs"
    files = {".".join(path.relative_to(REPO).with_suffix("").parts) for path in defs.rglob("*.py")}
    package = "\n".join(path.read_text(encoding="utf-8") for path in (REPO / "netflix_assets").rglob("*.py"))
    unused = {name for name in files - set(done.stdout.split()) if not name.endswith(".__init__")}
    assert {name for name in unused if f"from {name} import" in package} == set()
