"""docs/operations.md followed literally: every command of its procedures, in order, in one copy of the demo's home.

Each block runs in a shell of its own, as a person pastes it. Only the commands that change a clone are left out.
"""

import os
import re
import subprocess
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from netflix_assets.settings import REPO
from netflix_assets_tests.demo import COMMAND, Demo

pytestmark = [pytest.mark.long, pytest.mark.operations]

# What the page assumes: the section, and what its author cannot know.
CLONE = "Upgrade, and go back"
TAGS = "userId,movieId,tag,timestamp\n"
FIXED = "userId,movieId,rating,timestamp\n999999,1,4.5,1700000000\n"

# section -> texts that its commands print, in this order.
EXPECTED = {
    "Backfill": ["landing", "succeeded", "succeeded", "Forgot all loads of movielens/tags", "succeeded"],
    "Rejected records": ["ratings", "records written to", "succeeded", "rejected records left", "succeeded"],
    "Refused files": ["tags-bad.csv refused: ", "1 file to validate again", "succeeded"],
    "The source changes its columns": ["device"],
    "Roll back a published version": ["served", "consumers see version", "against published version", "version"],
    "Back up and restore": ["", "published: "],
    "Rotate keys": ["succeeded"],
    "Remove a person": ["movielens", "user 7 is erased"],
    "A run hangs or was killed": ["succeeded", "published: "],
    "Somebody holds the warehouse": [],
    "The disk is full": ["warehouse.duckdb", "removed"],
    "The sensor was off for days": ["succeeded"],
    "S3 or Snowflake is away": ["succeeded", "published: "],
    "An incident": ["against published version", "nothing differs", "version", "published: "],
}


def procedures() -> Iterator[tuple[str, list[str]]]:
    """The sections with their blocks of shell commands."""
    page = (REPO / "docs" / "operations.md").read_text(encoding="utf-8").partition("\n## Procedures\n")[2]
    titles_and_texts = iter(re.split(r"^### (.+)$", page, flags=re.MULTILINE)[1:])
    for title, text in zip(titles_and_texts, titles_and_texts, strict=True):
        blocks = re.findall(r"^ *```sh\n(.*?)^ *```", text, re.MULTILINE | re.DOTALL)
        if blocks and title != CLONE:
            yield title, [textwrap.dedent(block) for block in blocks]


PROCEDURES = dict(procedures())


@dataclass
class Duty:
    """A person on duty: a home folder, and the project's home."""

    user: Path
    home: Path

    def paste(self, block: str) -> str:
        path = os.pathsep.join([str(COMMAND.parent), os.environ["PATH"]])
        own = {"HOME": str(self.user), "NETFLIX_HOME": str(self.home), "PATH": path, "NETFLIX_SETTLE_SECONDS": "0.2"}
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", block],
            env={**os.environ, **own, "COLUMNS": "200"},
            cwd=REPO,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{block}\n{done.stdout}"
        return done.stdout

    def prepare(self, section: str) -> None:
        """Make what the section is about."""
        in_bucket = self.home / "s3" / "landing" / "movielens" / "tags-bad.csv"
        match section:
            case "Backfill":
                (self.user / "backfill").mkdir()
                (self.user / "backfill" / "tags-2001.csv").write_text(f"{TAGS}1,1,old,1000000000\n")
            case "Refused files":
                in_bucket.write_text("userId,movieId\n1,1\n")
                self.paste("netflix-assets run --select raw/movielens/tags || [ $? = 3 ]")
            case "The source changes its columns":
                in_bucket.unlink()
                (self.user / "ratings-next.csv").write_text(FIXED.replace("\n", ",tv\n").replace("p,tv", "p,device", 1))


@pytest.fixture(scope="module")
def duty(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Duty:
    user = tmp_path_factory.mktemp("duty")
    return Duty(user, demo.copied_to(user / "netflix"))


@pytest.mark.parametrize("section", list(PROCEDURES))
def test_the_commands_of_a_procedure(section: str, duty: Duty) -> None:
    duty.prepare(section)
    printed = ""
    for block in PROCEDURES[section]:
        if "land ~/ratings-fixed.csv" in block:  # the person has corrected the records
            assert (duty.user / "ratings-fixed.csv").read_text().startswith("userId,")
            (duty.user / "ratings-fixed.csv").write_text(FIXED)
        printed += duty.paste(block)
    at = 0
    for text in EXPECTED[section]:
        assert text in printed[at:], (text, printed)
        at = printed.index(text, at) + len(text)
