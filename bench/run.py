"""Compare whole runs with bare DuckDB that executes the same SQL.

    python -m bench.run [--scale 1] [--files FOLDER] [--new 0.01] [--rounds 1] [--json FILE]

Each round takes a new home: a first run, a run without news, one after 1 % of the ratings have changed by a few users,
one after as many by users at random, and a full refresh. Then one bare connection to DuckDB does the work of the first
run: it reads the files with a typed CREATE TABLE AS, executes the models and tests that the run compiled, in the order
of the graph, and copies what is published. It knows no ledger, no rejects and no records of runs.

Seconds are those of the whole process, memory is the highest sum over it and all processes that it started. Only the
ratios compare between machines. ``--files``: a folder with MovieLens files, such as those of bench.movielens, instead
of samples.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from graphlib import TopologicalSorter
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import duckdb
import psutil

from netflix_assets.contracts.loading import load_sources
from netflix_assets.contracts.model import Dataset, all_datasets
from netflix_assets.dev.samples import generate
from netflix_assets.warehouse.relations import current_view

COMMAND = Path(sys.executable).with_name("netflix-assets")
STAGES = ("first run", "no news", "1 % by few users", "1 % at random", "full refresh")
BARE = "bare DuckDB"
FEW = 0.03  # of the users; 5,000 of the 162,541 of ml-25m


@dataclass(frozen=True)
class Measured:
    """What a stage took: wall seconds, CPU seconds, and the highest memory of all its processes in MB."""

    seconds: float
    cpu_s: float
    peak_mb: float


def main() -> None:
    """Run the rounds and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=float, default=1)
    parser.add_argument("--files", type=Path)
    parser.add_argument("--new", type=float, default=0.01)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    rounds: list[dict[str, Measured]] = []
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            files = _files(arguments, Path(folder))
            rounds.append(_round(files, Path(folder, "home"), arguments.new))
        for name, each in rounds[-1].items():
            print(f"{name:20} {each.seconds:8.1f} s {each.cpu_s:8.1f} s CPU {each.peak_mb:8.0f} MB", flush=True)
    print(f"{'':20} {'to bare DuckDB':>16} {'to full refresh':>16}")
    for name in STAGES:
        print(f"{name:20} {_ratio(rounds, name, BARE):16.2f} {_ratio(rounds, name, 'full refresh'):16.2f}")
    if arguments.json:
        arguments.json.write_text(json.dumps([{name: vars(each) for name, each in found.items()} for found in rounds]))


def _ratio(rounds: Sequence[Mapping[str, Measured]], stage: str, base: str) -> float:
    return statistics.median(found[stage].seconds / found[base].seconds for found in rounds)


def _files(arguments: argparse.Namespace, folder: Path) -> Path:
    """The folder with the files to land."""
    if arguments.files:
        return Path(arguments.files)
    generate(folder / "files", scale=arguments.scale)
    return folder / "files"


def _round(files: Path, home: Path, share: float) -> dict[str, Measured]:
    landing = home / "s3" / "landing"
    _land(files, landing)
    found = {"first run": _command(home, "run")}
    manifest = json.loads(next(home.glob("dbt/runs/*/models/manifest.json")).read_text())
    compiled = _compiled(next(home.glob("dbt/runs/*/models")), manifest)
    with get_context("spawn").Pool(1) as pool:  # its memory is its own
        found[BARE] = pool.apply(_bare, (home, home.with_name("bare"), compiled))
    found["no news"] = _command(home, "run")
    for number, (stage, of_users) in enumerate((("1 % by few users", FEW), ("1 % at random", 1.0))):
        _write_new_ratings(home, landing / "movielens" / f"ratings-new-{number}.csv", share, of_users, number)
        found[stage] = _command(home, "run")
    found["full refresh"] = _command(home, "run", "--full-refresh")
    return found


def _land(files: Path, landing: Path) -> None:
    """Lay the files into the folder that the local S3 serves, under the keys of their datasets."""
    for dataset in all_datasets(load_sources()):
        name = dataset.key_prefix.rpartition("/")[2]
        for file in [*files.glob(f"{name}.csv"), *files.glob(f"{name}-*.csv")]:
            if not any(file.name.startswith(f"{other}") for other in _longer(name)):
                (landing / dataset.source).mkdir(parents=True, exist_ok=True)
                shutil.copy(file, landing / dataset.source / file.name)


def _longer(name: str) -> list[str]:
    """The names of datasets that begin with another's: genome-tags is not a file of tags."""
    names = [dataset.key_prefix.rpartition("/")[2] for dataset in all_datasets(load_sources())]
    return [each for each in names if each.startswith(f"{name}-")]


def _write_new_ratings(home: Path, file: Path, share: float, of_users: float, seed: int) -> None:
    """Write a share of all ratings again, of some users: half a star lower or higher, and a day after the last."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        connection.execute(
            f"""
            copy (
                with newest as (select max(rated_at_epoch_s) + 86400 as moment from raw.movielens_ratings_current),
                chosen as (
                    select * from raw.movielens_ratings_current
                    where hash(user_id + {seed * 1_000_003}) % 10000 < {10_000 * of_users}
                )
                select
                    user_id as "userId", movie_id as "movieId",
                    case when rating < 5 then rating + 0.5 else rating - 0.5 end as rating, newest.moment as timestamp
                from chosen, newest
                order by hash(user_id, movie_id, {seed})
                limit (select cast(count(*) * {share} as bigint) from raw.movielens_ratings_current)
            ) to '{file}' (header true)
            """
        )


def _command(home: Path, *arguments: str) -> Measured:
    environment = {**os.environ, "NETFLIX_HOME": str(home), "NETFLIX_SETTLE_SECONDS": "0.1"}
    started = time.perf_counter()
    process = psutil.Popen([COMMAND, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak, ended = [0.0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(process, peak, ended))
    watcher.start()
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    ended.set()
    watcher.join()
    if status:
        raise SystemExit(f"netflix-assets {' '.join(arguments)} failed:\n{errors}")
    return Measured(seconds, usage.ru_utime + usage.ru_stime, peak[0])


def _watch(process: psutil.Process, peak: list[float], ended: threading.Event) -> None:
    while not ended.wait(0.2):
        total = 0
        try:
            for each in (process, *process.children(recursive=True)):
                total += each.memory_info().rss
        except psutil.Error:
            continue
        peak[0] = max(peak[0], total / 2**20)


# ---------------------------------------------------------------- bare DuckDB


def _compiled(folder: Path, manifest: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The statements that a run's first invocation of dbt amounts to, in the order of the graph: kind and SQL."""
    graph = {name: node["depends_on"].get("nodes", ()) for name, node in manifest["nodes"].items()}
    order = [name for name in TopologicalSorter(graph).static_order() if name in manifest["nodes"]]
    return list(_statements([manifest["nodes"][name] for name in order]))


def _statements(nodes: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    for node in nodes:
        kind, sql = node["config"]["materialized"], node.get("compiled_code")
        relation = f'{node.get("schema")}."{node.get("alias")}"'
        if node["resource_type"] == "seed":
            yield "seed", f"create table {relation} as select * from project.{relation}"
        elif not sql or "observation" in node.get("tags", ()):
            continue
        elif node["resource_type"] == "test":
            yield "tests", f"select count(*) from ({sql})"
        elif kind == "view":
            yield "models", f"create view {relation} as {sql}"
        elif kind == "snapshot":
            own = "uuid() as dbt_scd_id, now()::timestamp as dbt_updated_at, now()::timestamp as dbt_valid_from"
            yield (
                "models",
                f"create table {relation} as select *, {own}, null::timestamp as dbt_valid_to from ({sql})",
            )
        elif kind in ("table", "incremental"):
            yield "models", f"create table {relation} as {sql}"


def _bare(home: Path, folder: Path, statements: Sequence[tuple[str, str]]) -> Measured:
    """Do the work of the first run with one connection. Prints the seconds of each kind of statement."""
    folder.mkdir()
    started = time.perf_counter()
    seconds: dict[str, float] = {}
    with duckdb.connect(str(folder / "warehouse.duckdb")) as connection:
        connection.execute(f"attach '{home / 'warehouse.duckdb'}' as project (read_only)")
        for schema in ("raw", "ops", "seeds", "staging", "intermediate", "core", "marts", "snapshots"):
            connection.execute(f"create schema {schema}")
        for (table,) in connection.execute(
            "select table_name from duckdb_tables() where database_name = 'project' and schema_name = 'ops'"
        ).fetchall():
            connection.execute(f"create table ops.{table} as select * from project.ops.{table}")
        at = time.perf_counter()
        for dataset in all_datasets(load_sources()):
            _read(dataset, home, connection)
        seconds["files"] = time.perf_counter() - at
        for kind, sql in statements:
            at = time.perf_counter()
            connection.execute(sql).fetchall()
            seconds[kind] = seconds.get(kind, 0.0) + time.perf_counter() - at
        at = time.perf_counter()
        _publish(connection, folder)
        seconds["copies"] = time.perf_counter() - at
    whole = time.perf_counter() - started
    shutil.rmtree(folder)
    usage = psutil.Process().cpu_times()
    print("bare DuckDB:", ", ".join(f"{name} {each:.1f} s" for name, each in seconds.items()), flush=True)
    return Measured(whole, usage.user + usage.system, _own_peak_mb())


def _read(dataset: Dataset, home: Path, connection: duckdb.DuckDBPyConnection) -> None:
    columns = ", ".join(f"{each.name} {_type(each)}" for each in dataset.columns)
    connection.execute(f"create table raw.{dataset.table} ({columns}, _load_id integer)")
    loads = connection.execute(
        "select load_id, object_key from project.ops.loads where is_current and dataset = ?", [dataset.id]
    ).fetchall()
    wanted = ", ".join(f'try_cast("{each.file_name}" as {_type(each)}) as {each.name}' for each in dataset.columns)
    for load_id, key in loads:
        file = home / "s3" / "landing" / key
        connection.execute(
            f"insert into raw.{dataset.table} by name select {wanted}, {load_id} as _load_id "
            f"from read_csv('{file}', header = true, all_varchar = true, delim = ',', quote = '\"', escape = '\"', "
            "ignore_errors = true)"
        )
    connection.execute(current_view(dataset))


def _type(column: Any) -> str:
    return "varchar" if column.is_text else str(column.type)


def _publish(connection: duckdb.DuckDBPyConnection, folder: Path) -> None:
    """Copy core and marts into a database and into Parquet, as publishing does."""
    connection.execute(f"attach '{folder / 'published.duckdb'}' as published")
    for schema, table in connection.execute(
        "select schema_name, table_name from duckdb_tables() "
        "where database_name = 'warehouse' and schema_name in ('core', 'marts')"
    ).fetchall():
        connection.execute(f"create schema if not exists published.{schema}")
        connection.execute(f'create table published.{schema}."{table}" as select * from {schema}."{table}"')
        connection.execute(f"copy {schema}.\"{table}\" to '{folder / f'{schema}.{table}.parquet'}'")


def _own_peak_mb() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
