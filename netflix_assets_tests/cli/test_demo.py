"""``demo``: what it prints, builds and leaves alone."""

import re
from pathlib import Path

import duckdb
import pytest

from netflix_assets.dev.postgres import running
from netflix_assets_tests.cli.command import run
from netflix_assets_tests.demo import SCALE, Demo


def test_the_demo_builds_everything_and_shows_a_few_results(demo: Demo) -> None:
    assert "142 assets built, 21 awaited" in demo.printed
    assert "Most rated films" in demo.printed
    assert "Share of series by release year" in demo.printed
    assert (demo.home / "dashboards" / "index.html").as_uri() in demo.printed


def test_a_second_demo_loads_nothing_and_shows_the_same_results(demo: Demo, home: Path) -> None:
    done = run(home, "demo", "--scale", str(SCALE))
    assert done.returncode == 0
    assert "Already up to date; nothing to do" in done.stdout
    results = demo.printed[demo.printed.index("Most rated films") : demo.printed.index("\nFiles ")]
    assert results in done.stdout


def test_the_demo_leaves_other_files_alone(fresh: Path) -> None:
    mine = fresh / "s3" / "landing" / "movielens" / "movies.csv"
    mine.parent.mkdir(parents=True)
    mine.write_text("movieId,title,genres\n1,Mine (2001),Drama\n")
    done = run(fresh, "demo", "--scale", "0.01")
    assert (done.returncode, done.stdout) == (2, "")
    assert "the bucket has movielens/movies.csv, which is not one of the sample files" in done.stderr
    assert [path.name for path in mine.parent.iterdir()] == ["movies.csv"]
    assert "Mine" in mine.read_text()


@pytest.mark.long
def test_the_sample_databases_are_extracted_once(fresh: Path) -> None:
    options = ("demo", "--scale", "0.01", "--business")
    done = run(fresh, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "postgres/shop/orders: 5,000 of 5,000 rows" in done.stdout
    assert "163 assets built" in done.stdout
    assert "Sales in US dollars" in done.stdout
    status = run(fresh, "status").stdout
    assert re.search(r"shop/orders +loaded +1 +1 +5,000 ", status), status
    assert re.search(r"^database shop: extracted at 20\d\d-\d\d-\d\d \d\d:\d\d UTC$", status, re.MULTILINE), status
    assert "not in use" not in status
    with pytest.raises(OSError, match="no PostgreSQL is running in"):
        running(fresh / "postgres")
    with duckdb.connect(str(fresh / "published" / "current" / "netflix.duckdb"), read_only=True) as published:
        (lines,) = published.execute("select sum(n_lines) from marts.mart_weekly_sales").fetchone() or (0,)
        assert lines > 10_000

    again = run(fresh, *options)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "Already up to date; nothing to do" in again.stdout
    assert "postgres/shop" not in again.stdout


@pytest.mark.long
def test_a_demo_without_postgresql_goes_on(fresh: Path) -> None:
    (fresh / "postgres").mkdir()
    (fresh / "postgres" / "server.json").write_text("damaged")
    done = run(fresh, "demo", "--scale", "0.01", "--business")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "warning: the sample databases are left out: " in done.stderr
    assert "147 assets built, 16 awaited" in done.stdout  # with rates and headlines
