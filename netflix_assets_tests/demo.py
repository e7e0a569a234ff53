"""A home in which `netflix-assets demo` has run: made once for all tests and processes, copied for each module."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest
from filelock import FileLock

from netflix_assets.operations import outcome
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.outcome import RunOutcome
from netflix_assets.settings import Settings

COMMAND = Path(sys.executable).with_name("netflix-assets")
SCALE = 0.05
# What belongs to the place: the local S3's address and dbt's parsed project, which is made anew in a second place.
_OF_THE_PLACE = shutil.ignore_patterns("local-s3.*", "s3-cache", "target-local")


@dataclass(frozen=True)
class Demo:
    """The home, which no test changes, what the command printed, and the run that it made."""

    home: Path
    printed: str
    run_id: str

    def copied_to(self, home: Path) -> Path:
        """A home of a test's own in the same state."""
        return shutil.copytree(self.home, home, symlinks=True, ignore=_OF_THE_PLACE, dirs_exist_ok=True)

    def parsed_in(self, home: Path) -> Path:
        """A home that holds dbt's parsed project alone, which Dagster's definitions follow from and dbt takes 9 s for.

        For homes in which dbt builds nothing: each build would parse anew, because the warehouse is elsewhere.
        """
        shutil.copytree(self.home / "dbt" / "target-local", home / "dbt" / "target-local")
        return home


def made_once(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """The demo, made by the first who asks for it."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    home, printed = base / "demo", base / "demo.txt"
    with FileLock(base / "demo.lock"):
        if not printed.exists():
            done = subprocess.run(
                [COMMAND, "demo", "--scale", str(SCALE)],
                env={**os.environ, "NETFLIX_HOME": str(home), "NETFLIX_SETTLE_SECONDS": "0.2", "COLUMNS": "200"},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
            printed.write_text(done.stdout)
    published = json.loads((home / "published" / "current" / "manifest.json").read_text())
    return Demo(home, printed.read_text(), published["run_id"])


def outcome_of(demo: Demo, settings: Settings, defs: dg.Definitions) -> RunOutcome:
    """How the demo's run has ended, by Dagster's event log in a copy of its home."""
    with open_instance(settings) as instance:
        run = instance.get_run_by_id(demo.run_id)
        events = [entry.dagster_event for entry in instance.all_logs(demo.run_id) if entry.dagster_event]
    built = defs.resolve_asset_graph().executable_asset_keys
    return outcome.outcome_of(demo.run_id, run is not None and run.is_success, events, built)
