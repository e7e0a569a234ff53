"""The documentation names only what exists: files, headings, make targets, commands; and it names every setting."""

import re
from pathlib import Path

import click
import pytest

from netflix_assets.cli.app import cli
from netflix_assets.settings import REPO, Settings, SnowflakeSettings

PAGES = sorted([*REPO.glob("*.md"), *(REPO / "docs").glob("*.md")])
LINK = re.compile(r"\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`]+`", re.DOTALL)
BLOCK = re.compile(r"```.*?```", re.DOTALL)


def _anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page; code in a heading is part of its anchor."""
    headings = re.findall(r"^#+ (.+)$", BLOCK.sub("", page.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def _code(page: Path) -> str:
    return "\n".join(CODE.findall(page.read_text(encoding="utf-8")))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_to_a_file_and_a_heading(page: Path) -> None:
    broken = []
    for link in LINK.findall(page.read_text(encoding="utf-8")):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if "://" in link:
            continue
        if not target.exists() or (anchor and anchor not in _anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_and_suites_exist(page: Path) -> None:
    makefile = (REPO / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    suites = set(re.findall(r"^proof-([a-z0-9-]+) :=", makefile, re.MULTILINE))
    if page.name == "CHANGELOG.md":  # also names what is gone
        targets |= {"test-sequences"}
    named = set(re.findall(r"\bmake ([a-z0-9-]+)", _code(page)))
    assert named <= targets
    assert set(re.findall(r"\bSUITE=([a-z0-9-]+)", _code(page))) <= suites


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_and_their_options_exist(page: Path) -> None:
    for call in re.findall(r"(?<![\w/.])netflix-assets ([^\n`|#\")]*)", _code(page)):
        command: click.Command = cli
        words = call.split()
        while words and isinstance(command, click.Group) and words[0] != "--help":
            assert words[0] in command.commands, call
            command = command.commands[words.pop(0)]
        options = {name for parameter in command.params for name in (*parameter.opts, *parameter.secondary_opts)}
        assert {word for word in words if word.startswith("--")} <= {*options, "--help"}, call


def test_every_setting_is_documented() -> None:
    text = "\n".join(page.read_text(encoding="utf-8") for page in PAGES)
    names = {
        f"{model.model_config['env_prefix']}{name.upper()}"
        for model in (Settings, SnowflakeSettings)
        for name in model.model_fields
        if name
        not in (
            "snowflake",
            "dagster_plus",
            "databases",
            "apis",
        )  # the last are NETFLIX_POSTGRES_<NAME> and NETFLIX_API_<NAME>
    }
    assert {name for name in names if not re.search(rf"\b{name}\b", text)} == set()
