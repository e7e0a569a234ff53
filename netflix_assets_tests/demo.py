"""A home after `netflix-assets demo`: created once for all tests and processes, copied for each module."""

import hashlib
import json
import os
import pprint
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import duckdb
import msgpack
import pytest
import yaml
from dbt.adapters.duckdb.credentials import DuckDBCredentials
from filelock import FileLock

from netflix_assets.defs.jobs import EVERYTHING
from netflix_assets.operations import outcome
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.outcome import RunOutcome
from netflix_assets.settings import REPO, Settings

COMMAND = Path(sys.executable).with_name("netflix-assets")
SCALE = 0.05
_PARSED = Path("dbt", "target-local")


@dataclass(frozen=True)
class Demo:
    """The home, which no test changes, the output of the command, and the run it made."""

    home: Path
    printed: str
    run_id: str

    def copied_to(self, home: Path) -> Path:
        """Copy the home, so that a test can change it."""
        home.mkdir(exist_ok=True)
        subprocess.run(["cp", "-a", f"{self.home}/.", home], check=True)  # keeps the links between versions
        for path in home.glob("local-s3.*"):  # the address of the local S3 belongs to the path of the home
            path.unlink()
        shutil.rmtree(home / "s3-cache", ignore_errors=True)
        return self._adopt(home)

    def parsed_in(self, home: Path) -> Path:
        """Copy only dbt's parsed project, which takes dbt 9 s of CPU."""
        shutil.copytree(self.home / _PARSED, home / _PARSED, dirs_exist_ok=True)
        return self._adopt(home)

    def _adopt(self, home: Path) -> Path:
        """Make dbt use the parsed project in a copied home.

        dbt parses again where the connection differs, and the path of the database is part of it. If dbt computes this
        digest in another way, ``test_dbt_uses_the_parsed_project_of_a_copied_home`` fails.
        """
        file = home / _PARSED / "partial_parse.msgpack"
        parsed = msgpack.unpackb(file.read_bytes())
        parsed["state_check"]["profile_hash"]["checksum"] = _connection_digest(home)
        file.write_bytes(msgpack.packb(parsed))
        return home


def _connection_digest(home: Path) -> str:
    """dbt's digest of the connection to this home's database (``build_manifest_state_check``)."""
    profiles = (REPO / "dbt" / "profiles.yml").read_text()
    rendered = profiles
    for name, value in (("HOME", str(home)), ("SCHEMA_PREFIX", ""), ("MEMORY_LIMIT", "50%")):
        rendered = re.sub(rf"\{{\{{ env_var\('NETFLIX_{name}', .*? \}}\}}", lambda _, text=value: text, rendered)
    profile = yaml.safe_load(rendered)["netflix_assets"]["outputs"]["local"]
    values = {name: value for name, value in profile.items() if name not in ("type", "threads")}
    credentials = DuckDBCredentials.from_dict({**values, "database": "warehouse"})
    return hashlib.sha256(pprint.pformat(sorted(credentials.connection_info())).encode()).hexdigest()


def create_demo(tmp_path_factory: pytest.TempPathFactory) -> Demo:
    """Create the demo, or return the one that another test process created."""

    def make(home: Path) -> str:
        done = subprocess.run(
            [COMMAND, "demo", "--scale", str(SCALE)],
            env={**os.environ, "NETFLIX_HOME": str(home), "NETFLIX_SETTLE_SECONDS": "0.2", "COLUMNS": "200"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return create_once(tmp_path_factory, "demo", make)


def create_once(tmp_path_factory: pytest.TempPathFactory, name: str, make: Callable[[Path], str]) -> Demo:
    """Create a home for all test processes. ``make`` fills the folder and returns what was printed."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    home, printed = base / name, base / f"{name}.txt"
    with FileLock(base / f"{name}.lock"):
        if not printed.exists():
            printed.write_text(make(home))
    published = json.loads((home / "published" / "current" / "manifest.json").read_text())
    return Demo(home, printed.read_text(), published["run_id"])


def outcome_of(demo: Demo, settings: Settings, defs: dg.Definitions) -> RunOutcome:
    """The outcome of the demo's run, by Dagster's event log in a copy of its home."""
    with open_instance(settings) as instance:
        run = instance.get_run_by_id(demo.run_id)
        events = [entry.dagster_event for entry in instance.all_logs(demo.run_id) if entry.dagster_event]
    return outcome.outcome_of(demo.run_id, run is not None and run.is_success, events, built_by_a_run(defs))


def built_by_a_run(defs: dg.Definitions) -> AbstractSet[dg.AssetKey]:
    """The assets that a run of everything builds: all but the tables of databases, which have jobs of their own."""
    layer = defs.resolve_job_def(EVERYTHING).asset_layer
    return layer.executable_asset_keys & set(layer.selected_asset_keys)


def published_tables(home: Path) -> dict[str, tuple[int, int]]:
    """Rows, and a sum of their hashes whatever their order, of every published table that does not describe runs.

    Without the numbers of loads, and the digests made of them: a run that was killed has used one up.
    """
    (manifest,) = home.glob("dbt/target-local/manifest.json")
    nodes = json.loads(manifest.read_text())["nodes"].values()
    run_dependent = {node["name"] for node in nodes if "run_dependent" in node["tags"]}
    with duckdb.connect(str((home / "published/current/netflix.duckdb").resolve()), read_only=True) as connection:
        tables = connection.execute("select schema_name, table_name from duckdb_tables()").fetchall()
        return {
            f"{schema}.{table}": connection.execute(
                f"""
                select count(*), coalesce(sum(hash(t)::hugeint), 0)
                from (
                    select columns(lambda name: name not in ('_load_id', '_digest', 'reflects_load_id'))
                    from {schema}.{table}
                ) as t
                """
            ).fetchone()
            for schema, table in tables
            if table not in run_dependent
        }
