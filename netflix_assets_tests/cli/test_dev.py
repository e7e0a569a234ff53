"""``netflix-assets dev postgres``, started as a user starts it."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from netflix_assets.dev.postgres import is_running, running
from netflix_assets_tests.cli.command import run
from netflix_assets_tests.demo import COMMAND
from netflix_assets_tests.waiting import until

SMALL = ("dev", "postgres", "--scale", "0.01")


@contextmanager
def served(home: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen[str], Path]]:
    """The command, once it has said all; and the file with what it has said."""
    output = home / "output.txt"
    with output.open("w") as file:
        process = subprocess.Popen(
            [COMMAND, *(arguments or SMALL)], env={**os.environ, "NETFLIX_HOME": str(home)}, stdout=file, stderr=file,
            text=True,
        )  # fmt: skip
    try:
        until(lambda: "Ctrl-C" in output.read_text() or process.poll() is not None, output.read_text, seconds=60)
        yield process, output
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.wait(60)


def test_it_serves_until_ctrl_c_and_keeps_the_data(tmp_path: Path) -> None:
    with served(tmp_path) as (process, output):
        server = running(tmp_path / "postgres")
        said = output.read_text()
        for name, value in server.settings().items():
            assert f"export {name}={value}" in said
        (psql,) = [line.partition(": ")[2] for line in said.splitlines() if line.startswith("to change rows")]
        change = "update customers set full_name = 'Changed' where customer_id = 1"
        changed = subprocess.run(
            ["sh", "-c", f'{psql.removesuffix("shop")} crm -c "{change}"'], capture_output=True, text=True, check=False
        )
        assert (changed.returncode, changed.stdout) == (0, "UPDATE 1\n"), changed.stderr

        played = run(tmp_path, "dev", "postgres", "--days", "2")
        assert (played.returncode, played.stdout) == (0, "played 2 days of activity; 2 since the sample was loaded\n")
        second = run(tmp_path, *SMALL)
        assert second.returncode == 0
        assert "another command is already serving it" in second.stdout
        reset = run(tmp_path, "reset", "--yes")
        assert reset.returncode == 1
        assert "are running. Stop them first: netflix-assets dev postgres --stop" in reset.stderr

        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert not is_running(server)

    with served(tmp_path, "dev", "postgres") as (process, output):
        assert running(tmp_path / "postgres") == server
        with server.connect("crm") as connection, connection.cursor() as cursor:
            cursor.execute("select full_name from customers where customer_id = 1")
            assert cursor.fetchone() == ("Changed",)
        connection.close()
        stopped = run(tmp_path, "dev", "postgres", "--stop")
        assert (stopped.returncode, stopped.stdout) == (0, "stopped\n")
        assert process.wait(60) == 0
    assert run(tmp_path, "reset", "--yes").returncode == 0
    assert not (tmp_path / "postgres").exists()


def test_a_killed_server_ends_the_command_and_a_killed_command_leaves_a_server(tmp_path: Path) -> None:
    with served(tmp_path) as (process, output):
        server = running(tmp_path / "postgres")
        os.kill(int((server.data / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
        assert process.wait(60) == 1
        assert "PostgreSQL ended" in output.read_text()
    with served(tmp_path) as (process, _):
        process.kill()
        process.wait()
        assert is_running(server)
    with served(tmp_path) as (process, output):  # takes it over
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
        assert "Traceback" not in output.read_text()
    assert not is_running(server)


def test_wrong_use_is_named(tmp_path: Path) -> None:
    for arguments, code, says in (
        (("--stop",), 1, ". To start it: netflix-assets dev postgres"),
        (("--days", "1"), 1, ". To start it: netflix-assets dev postgres"),
        (("--days", "1", "--stop"), 2, "pass either --days or --stop, not both"),
        (("--days", "0"), 2, "0 is not in the range"),
        (("--scale", "0.001"), 2, "scale 0.001 is not between"),
    ):
        done = run(tmp_path, "dev", "postgres", *arguments)
        assert done.returncode == code
        assert says in done.stderr
        assert "Traceback" not in done.stderr
