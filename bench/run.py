"""Compare whole runs with bare DuckDB that executes the same SQL.

    python -m bench.run [--scale 1] [--files FOLDER] [--new 0.01] [--rounds 1] [--runs 5] [--json FILE]
        [--plot FILE]

Each round takes a new home: a first run, a run without news, one after 1 % of the ratings have changed by a few users,
one after as many by users at random, and a full refresh. Then one bare connection to DuckDB does the work of the first
run: it reads the files with a typed CREATE TABLE AS, executes the models and tests that the run compiled, in the order
of the graph, and copies what is published. It knows no ledger, no rejects and no records of runs.

Seconds are those of the whole process, memory is the highest sum over it and all processes that it started. Only the
ratios compare between machines. Of each run it prints the seconds of each stage, and of the slowest models and tests;
``--json`` has all of them, and ``--plot`` draws the stages as SVG. ``--files``: a folder with MovieLens files, such as
those of bench.movielens, instead of samples. ``--runs``: only the first of the runs of a round.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from multiprocessing import get_context
from pathlib import Path

from bench.bare import compiled, measure_bare
from bench.homes import land, measure_command, write_new_ratings
from bench.stages import Measured, draw_stages, print_stages
from netflix_assets.dev.samples import generate

RUNS = ("first run", "no news", "1 % by few users", "1 % at random", "full refresh")
BARE = "bare DuckDB"
FEW = 0.03  # of the users; 5,000 of the 162,541 of ml-25m


def main() -> None:
    """Run the rounds and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--files", type=Path)
    parser.add_argument("--new", type=float, default=0.01)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--runs", type=int, default=len(RUNS), choices=range(1, len(RUNS) + 1))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    arguments = parser.parse_args()
    rounds: list[dict[str, Measured]] = []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            files = _files(arguments, Path(folder))
            runs = _runs(files, Path(folder, "home"), arguments.new)
            rounds.append(dict(islice(runs, arguments.runs + 1)))  # and bare DuckDB
        for name, each in rounds[-1].items():
            print_stages(name, each)
        sys.stdout.flush()
    print(f"{'':20} {'to bare DuckDB':>16} {'to full refresh':>16}")
    for name in RUNS[: arguments.runs]:
        print(f"{name:20} {_ratio(rounds, name, BARE):>16} {_ratio(rounds, name, 'full refresh'):>16}")
    if arguments.json:
        arguments.json.write_text(json.dumps([{name: vars(each) for name, each in found.items()} for found in rounds]))
    if arguments.plot:
        draw_stages(rounds, arguments.plot)


def _ratio(rounds: Sequence[Mapping[str, Measured]], run: str, base: str) -> str:
    if base not in rounds[0]:
        return "not measured"
    return f"{statistics.median(found[run].seconds / found[base].seconds for found in rounds):.2f}"


def _files(arguments: argparse.Namespace, folder: Path) -> Path:
    """The folder with the files to land."""
    if arguments.files:
        return Path(arguments.files)
    generate(folder / "files", scale=arguments.scale)
    return folder / "files"


def _runs(files: Path, home: Path, share: float) -> Iterator[tuple[str, Measured]]:
    """The runs of a round in their order, and bare DuckDB."""
    landing = home / "s3" / "landing"
    land(files, landing)
    yield "first run", measure_command(home, "run")
    manifest = json.loads(next(home.glob("dbt/runs/*/models/manifest.json")).read_text())
    statements = compiled(next(home.glob("dbt/runs/*/models")), manifest)
    with get_context("spawn").Pool(1) as pool:  # its memory is its own
        yield BARE, pool.apply(measure_bare, (home, home.with_name("bare"), statements))
    yield "no news", measure_command(home, "run")
    for number, (run, of_users) in enumerate((("1 % by few users", FEW), ("1 % at random", 1.0))):
        write_new_ratings(home, landing / "movielens" / f"ratings-new-{number}.csv", share, of_users, number)
        yield run, measure_command(home, "run")
    yield "full refresh", measure_command(home, "run", "--full-refresh")


if __name__ == "__main__":
    main()
