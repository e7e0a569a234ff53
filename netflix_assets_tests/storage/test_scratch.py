"""Scratch folders are removed after use, and those of killed processes by the next run."""

import subprocess
import sys

from netflix_assets.storage.scratch import scratch_folder

HOLD_FOLDER = """
import sys
from pathlib import Path
from netflix_assets.storage.scratch import scratch_folder

with scratch_folder(Path(sys.argv[1])) as folder:
    (folder / "copy.csv").write_text("1,2")
    print(folder.name, flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_removed_after_use(tmp_path):
    with scratch_folder(tmp_path / "tmp") as folder:
        (folder / "copy.csv").write_text("1,2")
        assert folder.parent == tmp_path / "tmp"
    assert list((tmp_path / "tmp").iterdir()) == []


def test_the_folder_of_a_killed_process_is_removed_and_that_of_a_live_one_stays(tmp_path):
    (tmp_path / "notes.txt").write_text("not ours")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_FOLDER, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        name = process.stdout.readline().strip()
        with scratch_folder(tmp_path) as mine, scratch_folder(tmp_path) as another:
            assert {path.name for path in tmp_path.iterdir()} == {name, mine.name, another.name, "notes.txt"}
        process.kill()
        process.wait()
    assert (tmp_path / name / "copy.csv").exists()
    with scratch_folder(tmp_path) as mine:
        assert {path.name for path in tmp_path.iterdir()} == {mine.name, "notes.txt"}
