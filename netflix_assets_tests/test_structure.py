"""The limits of CONTRIBUTING.md that no linter checks."""

from pathlib import Path

import pytest

from netflix_assets.settings import REPO

PACKAGE = REPO / "netflix_assets"
TESTS = REPO / "netflix_assets_tests"


def test_the_package_has_few_entries_at_its_top() -> None:
    entries = {path.name for path in PACKAGE.iterdir() if not path.name.startswith((".", "__pycache__"))}
    assert len(entries) <= 14, sorted(entries)


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_has_at_most_400_lines(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 400, "split it by responsibility"


def test_nothing_replaces_what_the_fork_server_imports() -> None:
    texts = {path: path.read_text(encoding="utf-8") for path in TESTS.rglob("*.py") if path != Path(__file__)}
    users = [path.relative_to(TESTS).as_posix() for path, text in texts.items() if "forkserver" in text]
    assert users == ["forks.py"], "use forks.FORKS: a second list of imports replaces the first"
