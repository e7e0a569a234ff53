"""The limits of CONTRIBUTING.md that no linter checks."""

from pathlib import Path

import pytest

from netflix_assets.settings import REPO

PACKAGE = REPO / "netflix_assets"


def test_the_package_has_few_entries_at_its_top() -> None:
    entries = {path.name for path in PACKAGE.iterdir() if not path.name.startswith((".", "__pycache__"))}
    assert len(entries) <= 14, sorted(entries)


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_has_at_most_400_lines(module: Path) -> None:
    assert len(module.read_text(encoding="utf-8").splitlines()) <= 400, "split it by responsibility"
