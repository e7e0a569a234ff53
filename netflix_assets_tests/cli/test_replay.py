"""``replay``: refused files are validated again."""

import json
from pathlib import Path

from netflix_assets_tests.cli.command import run


def test_a_refused_file_is_validated_again_after_replay(fresh: Path) -> None:
    assert "nothing to replay" in run(fresh, "replay").stdout
    for name in ("tags-a.csv", "tags-b.csv"):
        (fresh / name).write_bytes(b"")
        assert run(fresh, "land", str(fresh / name)).returncode == 0
    assert run(fresh, "run", "--select", "raw/movielens/tags").returncode == 3

    done = run(fresh, "replay", "movielens/ratings")
    assert (done.returncode, "nothing to replay" in done.stdout) == (0, True)
    done = run(fresh, "replay", "--object", "movielens/tags-c.csv")
    assert (done.returncode, "movielens/tags-c.csv is not a refused or ignored file" in done.stderr) == (1, True)
    done = run(fresh, "replay", "movielens/tags", "--object", "movielens/tags-a.csv")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "movielens/tags-a.csv was refused: the file is empty (0 bytes)",
        "1 file to validate again: netflix-assets run",
    ]
    [tags] = [
        each
        for each in json.loads(run(fresh, "status", "--json").stdout)["datasets"]
        if each["dataset"] == "movielens/tags"
    ]
    assert [each["object"] for each in tags["refused"]] == ["movielens/tags-b.csv"]
    assert run(fresh, "run", "--select", "raw/movielens/tags").returncode == 3
    assert "2 files to validate again" in run(fresh, "replay").stdout


def test_rebuild_in_a_new_home_has_nothing_to_forget(tmp_path: Path) -> None:
    for _ in range(2):
        done = run(tmp_path, "rebuild", "movielens/tags")
        assert (done.returncode, done.stdout) == (0, "Nothing has been loaded yet; nothing to forget\n"), done.stderr
    assert not (tmp_path / "warehouse.duckdb").exists()
