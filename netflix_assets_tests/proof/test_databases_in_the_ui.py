"""A changed row of a sample database reaches the published marts by itself, in `netflix-assets ui` as a user has it."""

import os
import signal
import subprocess
from pathlib import Path

import duckdb
import pytest

from netflix_assets.contracts.loading import CONTRACTS_DIR
from netflix_assets.dev.postgres import is_running, running
from netflix_assets_tests.cli.command import run_installed
from netflix_assets_tests.demo import COMMAND
from netflix_assets_tests.waiting import free_port, until

pytestmark = pytest.mark.healing

TIMEOUT_S = 1_800.0  # against a hang; two sensors and two runs take 2 to 3 minutes on two quiet cores


def pieces(home: Path) -> int:
    with duckdb.connect(str(home / "published" / "current" / "netflix.duckdb"), read_only=True) as published:
        return published.execute("select sum(n_pieces) from marts.mart_weekly_sales").fetchall()[0][0]


def test_a_changed_row_reaches_the_published_marts_by_itself(tmp_path: Path) -> None:
    home, log = tmp_path / "home", tmp_path / "ui.log"
    done = run_installed(home, "demo", "--scale", "0.01", "--business")
    assert done.returncode == 0, done.stdout + done.stderr
    before = pieces(home)
    contracts = tmp_path / "contracts"
    contracts.mkdir()
    for path in CONTRACTS_DIR.glob("*.yaml"):
        (contracts / path.name).write_text(path.read_text().replace("every_minutes: 15", "every_minutes: 0.5"))
    environment = {
        **os.environ, "NETFLIX_HOME": str(home), "NETFLIX_CONTRACTS": str(contracts), "UI_PORT": str(free_port()),
    }  # fmt: skip
    with log.open("wb") as output:
        process = subprocess.Popen([COMMAND, "ui"], env=environment, stdout=output, stderr=output)
    try:
        until(lambda: "UI       http" in log.read_text(), log.read_text, seconds=60)
        assert "databases crm, shop, finance   (to change rows: PGPASSFILE=" in log.read_text()
        server = running(home / "postgres")
        with server.connect("shop") as connection:
            connection.execute("update order_lines set quantity = quantity + 1000 where order_id = 4000")
            changed = connection.execute("select count(*) from order_lines where order_id = 4000").fetchone()
        assert changed is not None
        until(lambda: pieces(home) == before + 1000 * changed[0], log.read_text, seconds=TIMEOUT_S)
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(120)
    assert process.returncode == 0, log.read_text()
    assert not is_running(server)
