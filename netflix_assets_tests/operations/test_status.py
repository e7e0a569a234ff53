"""The status of a home, and the check in Dagster, against what is in the bucket now."""

import os
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg
import pytest

from netflix_assets.contracts.model import Dataset, all_datasets
from netflix_assets.defs.landing.assets import BUCKET_CHECK, bucket_checks, landing_assets, landing_key
from netflix_assets.defs.raw.assets import raw_key
from netflix_assets.defs.resources import landing_bucket, warehouse
from netflix_assets.ingest.sync import SyncReport, sync
from netflix_assets.operations import bucket as bucket_module
from netflix_assets.operations.status import read_status
from netflix_assets.settings import Settings, read_settings

TAGS = "userId,movieId,tag,timestamp\n1,2,fine,1600000000\n"
MOVIES = "movieId,title,genres\n{0},Film {0} (1999),Drama\n"


class Home:
    """A local home whose bucket is synced without a run of Dagster."""

    def __init__(self, path: Path) -> None:
        self.settings: Settings = read_settings(home=path)
        self.folder = self.settings.s3_folder / self.settings.bucket
        self.datasets = {dataset.id: dataset for dataset in all_datasets(self.settings.sources())}

    def write(self, key: str, content: str, minute: int = 0) -> Path:
        path = self.folder / key
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
        moment = datetime(2024, 5, 1, 12, minute, tzinfo=UTC).timestamp()
        os.utime(path, (moment, moment))
        return path

    def sync(self, name: str) -> SyncReport:
        dataset: Dataset = self.datasets[name]
        with landing_bucket(self.settings).open() as store, warehouse(self.settings).open() as connection:
            return sync(dataset, store, connection, "run-1", work_folder=self.settings.home / "tmp")

    def status(self, name: str) -> dict:
        return next(each for each in read_status(self.settings).datasets if each["dataset"] == name)

    def check(self, name: str) -> dg.AssetCheckEvaluation:
        """The check of bucket and ledger of one dataset, in a run of its own."""
        sources = self.settings.sources()
        keys = {each.id: raw_key(each) for each in self.datasets.values()}
        checks = bucket_checks(sources, keys, self.settings)
        defs = dg.Definitions(
            assets=[*landing_assets(sources), *(dg.AssetSpec(key) for key in keys.values())],
            asset_checks=[checks],
            jobs=[dg.define_asset_job("check", selection=dg.AssetSelection.checks(checks))],
            resources={"bucket": landing_bucket(self.settings), "warehouse": warehouse(self.settings)},
        )
        with dg.DagsterInstance.ephemeral() as instance:
            result = defs.resolve_job_def("check").execute_in_process(instance=instance)
        wanted = landing_key(self.datasets[name])
        return next(each for each in result.get_asset_check_evaluations() if each.asset_key == wanted)


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_refusals_of_versions_that_left_the_bucket_are_history(home: Home) -> None:
    bad = home.write("movielens/tags.csv", "userId,movieId\n1,2\n")
    assert home.sync("movielens/tags").refused
    assert [each["object"] for each in home.status("movielens/tags")["refused"]] == ["movielens/tags.csv"]
    assert home.status("movielens/tags")["state"] == "refused"

    bad.unlink()
    assert (home.status("movielens/tags")["refused"], home.status("movielens/tags")["state"]) == ([], "awaited")

    home.write("movielens/tags.csv", "userId\n1\n")
    home.sync("movielens/tags")
    assert len(home.status("movielens/tags")["refused"]) == 1
    home.write("movielens/tags.csv", TAGS)
    home.sync("movielens/tags")
    assert (home.status("movielens/tags")["refused"], home.status("movielens/tags")["state"]) == ([], "loaded")
    with warehouse(home.settings).open() as connection:
        assert connection.execute("select count(*) from ops.refused_objects") == [(2,)]


def test_unused_files_of_an_overwrite_dataset_are_named(home: Home) -> None:
    home.write("movielens/movies-part-0.csv", MOVIES.format(1), minute=1)
    home.write("movielens/movies-part-1.csv", MOVIES.format(2), minute=2)
    home.sync("movielens/movies")
    [warning] = home.status("movielens/movies")["warnings"]
    assert "movies-part-0.csv (2024-05-01 12:01:00 UTC). The newest file is the whole table: " in warning
    assert "movielens/movies-part-1.csv (2024-05-01 12:02:00 UTC)" in warning
    check = home.check("movielens/movies")
    assert (check.check_name, check.passed, check.severity) == (BUCKET_CHECK, False, dg.AssetCheckSeverity.WARN)
    assert warning in str(check.description)

    # A newer delivery replaces both; what was the table before is history.
    home.write("movielens/movies-part-0.csv", MOVIES.format(3), minute=3)
    home.sync("movielens/movies")
    assert home.status("movielens/movies")["warnings"] == []
    assert home.check("movielens/movies").passed
    # The next one has an older modification time.
    home.write("movielens/movies-new.csv", MOVIES.format(4), minute=0)
    home.sync("movielens/movies")
    [warning] = home.status("movielens/movies")["warnings"]
    assert "not used: movielens/movies-new.csv (2024-05-01 12:00:00 UTC)." in warning


def test_files_in_wrong_places_are_named_with_the_right_one(home: Home, tmp_path: Path) -> None:
    for key in (
        "ratings.csv",
        "movielense/ratings.csv",
        "movielens/ratings_1.csv",
        "logs/app.log",
        "movielens/tags.csv",
    ):
        home.write(key, TAGS)
    (home.folder / "movielens" / "links.csv").symlink_to(tmp_path / "links.csv")
    found = {each.key: each.problem for each in read_status(home.settings).bucket.strays}
    outside = "is outside the sources' folders and is not loaded; move it to "
    sources = [source.source for source in home.settings.sources()]
    assert found == {
        "movielens/links.csv": "is a symbolic link and is not loaded; copy the files themselves here",
        "movielens/ratings_1.csv": "does not match any dataset and is not loaded; rename it to movielens/ratings-1.csv",
        "logs/": f"is not the folder of a source ({', '.join(sources)}) and is not loaded",
        "movielense/ratings.csv": f"{outside}movielens/ratings.csv",
        "ratings.csv": f"{outside}movielens/ratings.csv",
    }


def test_a_foreign_bucket_is_not_listed(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(bucket_module.MAX_OTHER_FOLDERS + 5):
        for name in range(3):
            home.write(f"other-{number:02}/{name}/{number}.bin", "")
    requests: list[str] = []
    pages = bucket_module.S3ObjectStore.peek

    def counted(self, key_prefix: str, *arguments, **options):
        requests.append(key_prefix)
        return pages(self, key_prefix, *arguments, **options)

    monkeypatch.setattr(bucket_module.S3ObjectStore, "peek", counted)
    strays = read_status(home.settings).bucket.strays
    assert len(requests) == bucket_module.MAX_OTHER_FOLDERS + 1
    assert len(strays) == bucket_module.MAX_OTHER_FOLDERS + 1
    assert strays[-1].problem == "and the folders after it belong to no source and are not loaded"


def test_a_file_that_no_run_has_read_is_to_load(home: Home) -> None:
    def state() -> tuple[str, int]:
        found = home.status("movielens/tags")
        return found["state"], found["to_load"]

    assert state() == ("awaited", 0)
    home.write("movielens/tags.csv", TAGS)
    assert state() == ("landed", 1)
    home.sync("movielens/tags")
    assert state() == ("loaded", 0)
    home.write("movielens/tags-more.csv", TAGS)
    assert state() == ("loaded", 1)
