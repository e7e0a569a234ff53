"""Two persons that the samples do not have, and the run by which they arrive."""

from pathlib import Path

import pytest

from netflix_assets.defs.landing.sensor import source_status
from netflix_assets.defs.resources import landing_bucket
from netflix_assets.operations.instance import open_instance
from netflix_assets.settings import read_settings
from netflix_assets_tests.cli.command import run

PERSON, OTHER = 31_337, 31_338
CANARY = "zebra crossing at dusk"  # of the person, and of nobody else
TAGS = "userId,movieId,tag,timestamp\n"
RATINGS = "userId,movieId,rating,timestamp\n"


def arrive(home: Path) -> str:
    """Pin the published version, then load the persons by two versions of a file, with rejects, and run."""
    done(home, "publish", "--version", (home / "published" / "current").resolve().name)
    land(home, "tags-person.csv", f"{TAGS}{PERSON},1,an older remark,1700000000\n")
    done(home, "run", "--select", "raw/movielens/tags")
    land(
        home,
        "tags-person.csv",
        f"{TAGS}{PERSON},1,{CANARY},1700000000\n{OTHER},1,funny enough,1700000000\n"
        f"{PERSON},1,{CANARY},yesterday\n{OTHER},1,funny enough,yesterday\n",
    )
    land(home, "ratings-person.csv", f"{RATINGS}{PERSON},1,4.5,1700000000\n{OTHER},1,4.5,1700000000\n")
    assert sorted(stale(home)) == ["movielens/ratings", "movielens/tags"]
    return done(home, "run")


def done(home: Path, *arguments: str, code: int = 0) -> str:
    """What a command prints that ends with this code."""
    ended = run(home, *arguments)
    assert ended.returncode == code, ended.stdout + ended.stderr
    return ended.stdout


def land(home: Path, name: str, text: str) -> None:
    """Land a file and remove it."""
    file = home / name
    file.write_text(text)
    done(home, "land", str(file))
    file.unlink()


def stale(home: Path) -> list[str]:
    """What the sensor would request a run for."""
    settings = read_settings(home=home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DAGSTER_HOME", str(home / "dagster"))
        with open_instance(settings) as instance, landing_bucket(settings).open() as store:
            found = [source_status(source, store, instance).stale for source in settings.sources()]
    return [each.dataset.id for stale in found for each in stale]
