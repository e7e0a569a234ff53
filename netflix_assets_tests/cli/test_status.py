"""``status``, for people and as JSON."""

import json
import re
from pathlib import Path

from netflix_assets.contracts.model import all_datasets
from netflix_assets.settings import read_settings
from netflix_assets_tests.cli.command import run


def test_status_shows_the_ledger(home: Path) -> None:
    done = run(home, "status", "--json")
    assert done.returncode == 0, done.stderr
    states = {each["dataset"]: each for each in json.loads(done.stdout)["datasets"]}
    assert {name for name, each in states.items() if each["state"] != "awaited"} == {
        *(f"movielens/{name}" for name in ("movies", "ratings", "tags", "links", "genome_tags", "genome_scores")),
        *(f"netflix/{name}" for name in ("titles", "credits")),
    }
    titles = states["netflix/titles"]
    assert (titles["state"], titles["rows"], titles["rejected"]) == ("loaded", 1_342, 0)
    ratings = states["movielens/ratings"]
    assert (ratings["state"], ratings["objects"], ratings["versions"], ratings["rejected"]) == ("loaded", 10, 10, 5)
    assert ratings["rows"] == 3_000
    shown = run(home, "status").stdout
    assert "movielens/ratings" in shown
    assert "3,000" in shown


def test_every_dataset_of_a_new_home_is_awaited(tmp_path: Path) -> None:
    done = run(tmp_path, "status")
    assert done.returncode == 0
    datasets = [dataset for dataset in all_datasets(read_settings().sources()) if dataset.extract is None]
    assert done.stdout.count("awaited") == len(datasets)
    assert done.stdout.count("awaited (optional)") == sum(dataset.optional for dataset in datasets)
    assert "not in use: the databases crm, finance, shop (docs/databases.md)\n" in done.stdout


def test_a_space_at_the_end_of_a_stray_name_is_visible(fresh: Path) -> None:
    folder = fresh / "s3" / "landing" / "movielens"
    folder.mkdir(parents=True)
    (folder / "ratings-x.csv ").write_text("")
    said = run(fresh, "status").stdout
    assert "'movielens/ratings-x.csv ' does not match any dataset and is not loaded; rename it to movielens/rat" in said


def test_a_landed_file_is_to_load(tmp_path: Path) -> None:
    file = tmp_path / "tags.csv"
    file.write_text("userId,movieId,tag,timestamp\n1,2,fine,1600000000\n")
    assert run(tmp_path / "home", "land", str(file)).returncode == 0
    said = run(tmp_path / "home", "status").stdout
    assert re.search(r"^movielens/tags +landed ", said, re.MULTILINE)
    assert "1 file to load: netflix-assets run\n" in said
