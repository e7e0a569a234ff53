"""Wrong use, wrong settings and values that are hard to print."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from netflix_assets_tests.cli.command import run, run_installed

# Root may write everywhere, unless it gives that up.
WITHOUT_PRIVILEGES = ["setpriv", "--inh-caps=-all", "--bounding-set=-all"] if os.geteuid() == 0 else []


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("land", "nonexistent.csv"), "nonexistent.csv"),
        (("land", __file__), "does not match any dataset"),
        (("land", "--as", "movielens/nothing", __file__), "movielens/movies, "),
        (("run", "--select", "raw/movielens/nothing"), "nothing"),
        (("rejects", "list", "--dataset", "x/y"), "unknown dataset 'x/y'"),
        (("replay", "x/y"), "unknown dataset 'x/y'"),
        (("generate", "--scale", "-1", "out"), "scale"),
        (("unknown",), "No such command"),
    ],
)
def test_wrong_use_exits_2_without_a_traceback(fresh: Path, arguments: tuple[str, ...], says: str) -> None:
    done = run(fresh, *arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_status_land_and_rejects_start_without_dagster(loaded: Path, tmp_path: Path) -> None:
    """They take at most 0.9 s of CPU; importing Dagster and dagster-aws took 1.7 s more."""
    program = """
import json, sys
from netflix_assets.cli.app import cli
slow = {"dagster", "dagster_aws", "dagster_dbt", "dbt", "pandas", "altair", "boto3", "sqlalchemy", "pyarrow", "numpy"}
for arguments in (["status"], ["rejects", "list"], ["land", sys.argv[1]]):
    cli(arguments, standalone_mode=False)
    print(json.dumps({arguments[0]: sorted(slow & set(sys.modules))}))
"""
    file = tmp_path / "tags-new.csv"
    file.write_text("userId,movieId,tag,timestamp\n1,2,good,1\n")
    done = subprocess.run(
        [sys.executable, "-c", program, file],
        env={**os.environ, "NETFLIX_HOME": str(loaded)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "tags-new.csv -> s3://landing/movielens/tags-new.csv" in done.stdout
    imported = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert imported == [{"status": []}, {"rejects": []}, {"land": []}]


def test_a_wrong_setting_names_the_variable(tmp_path: Path) -> None:
    done = run(tmp_path, "status", NETFLIX_ENV="prod")
    assert done.returncode == 2
    assert "NETFLIX_ENV='prod'" in done.stderr
    assert "Traceback" not in done.stderr


def test_characters_outside_the_terminals_encoding_are_escaped(tmp_path: Path) -> None:
    done = run_installed(tmp_path, "generate", str(tmp_path / "hüllen"), "--scale", "0.01", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert r"h\xfcllen/movies.csv" in done.stdout


def test_a_damaged_local_s3_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "s3" / "landing").mkdir(parents=True)
    (tmp_path / "local-s3.json").write_text("")
    done = run(tmp_path, "status")
    assert (done.returncode, "Traceback" in done.stderr) == (1, False)
    assert "local-s3.json is damaged: remove it" in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_standard_streams_change_nothing(tmp_path: Path, closed: str) -> None:
    file = tmp_path / "tags.csv"
    file.write_text("userId,movieId,tag,timestamp\n1,2,good,1\n")
    done = run_installed(tmp_path / "home", "land", str(file), through=["sh", "-c", f'exec "$0" "$@" {closed}'])
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "home" / "s3" / "landing" / "movielens" / "tags.csv").read_bytes() == file.read_bytes()


def test_a_reader_that_stops_does_not_stop_the_command(tmp_path: Path) -> None:
    files = [tmp_path / f"tags-{number}.csv" for number in range(4)]
    for file in files:
        file.write_text("userId,movieId,tag,timestamp\n1,2,good,1\n")
    through = ["bash", "-c", '"$0" "$@" 2>&1 | true; exit ${PIPESTATUS[0]}']
    done = run_installed(tmp_path / "home", "land", *map(str, files), through=through, PYTHONUNBUFFERED="1")
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list((tmp_path / "home" / "s3" / "landing" / "movielens").iterdir())) == len(files)


def test_values_that_look_like_markup_are_printed_as_they_are(fresh: Path) -> None:
    file = fresh / "tags-[red]x.csv"
    file.write_text("userId,movieId,tag,timestamp\n1,2,good,1\n[/b],2,bad,1\n")
    assert "tags-[red]x.csv" in run(fresh, "land", str(file)).stdout
    assert run(fresh, "run", "--select", "raw/movielens/tags").returncode == 0
    assert "user_id '[/b]' is not an integer" in run(fresh, "rejects", "list").stdout


def test_a_home_that_cannot_be_written_is_named_with_the_fix(tmp_path: Path) -> None:
    file = tmp_path / "tags.csv"
    file.write_text("userId,movieId,tag,timestamp\n1,2,good,1\n")
    (tmp_path / "home").mkdir(mode=0o555)
    done = run_installed(tmp_path / "home", "land", str(file), through=WITHOUT_PRIVILEGES)
    assert done.returncode == 1
    assert f"(NETFLIX_HOME={tmp_path / 'home'}); set NETFLIX_HOME to a folder that you can write to" in done.stderr
    assert list((tmp_path / "home").iterdir()) == []
