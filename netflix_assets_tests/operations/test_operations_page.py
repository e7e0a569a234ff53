"""docs/operations.md has a section for everything that can alert; ``proof/test_operations.py`` runs its commands."""

import re
from typing import get_args

import yaml

from netflix_assets.alerts.rules import Event
from netflix_assets.defs.landing.assets import BUCKET_CHECK
from netflix_assets.defs.raw.assets import raw_assets
from netflix_assets.settings import REPO, read_settings

PAGE = (REPO / "docs" / "operations.md").read_text(encoding="utf-8")
ALERTS = PAGE.partition("\n## Alerts\n")[2].partition("\n## Procedures\n")[0]
SECTIONS = dict(zip(*[iter(re.split(r"^### (.+)$", ALERTS, flags=re.MULTILINE)[1:])] * 2, strict=True))


def test_every_event_has_its_section() -> None:
    """Alerts name it, so the heading is the event."""
    assert {name for name in SECTIONS if " " not in name} == set(get_args(Event))


def test_every_policy_of_dagster_plus_has_its_row() -> None:
    file = REPO / "deploy" / "dagster_plus" / "alert_policies.yaml"
    policies = {each["name"] for each in yaml.safe_load(file.read_text())["alert_policies"]}
    rows = set(re.findall(r"^\| (.+?) \|", SECTIONS["Policies of Dagster+"], re.MULTILINE)) - {"Policy", "---"}
    assert rows == policies


def test_every_check_of_our_own_has_its_row() -> None:
    """Those of dbt share a row: they are several hundred. ``is_fresh`` sends no alert: the freshness policies do."""
    settings = read_settings()
    raw = raw_assets(settings.sources(), settings)
    wanted = {spec.name for each in raw for spec in each.check_specs} | {BUCKET_CHECK}
    rows = [
        re.findall(r"^\| `(\w+)` \|", SECTIONS[f"asset_check_severity_{severity}"], re.MULTILINE)
        for severity in ("error", "warn")
    ]
    assert sorted([*rows[0], *rows[1]]) == sorted(wanted)
    blocking = {spec.name for each in raw for spec in each.check_specs if spec.blocking}
    assert set(rows[0]) == blocking
