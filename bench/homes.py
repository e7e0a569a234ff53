"""A home to measure in: land files, add new ratings, run a command."""

import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import duckdb
import psutil

from bench.stages import Measured, read_nodes, read_stages
from netflix_assets.contracts.loading import load_sources
from netflix_assets.contracts.model import all_datasets

COMMAND = Path(sys.executable).with_name("netflix-assets")


def land(files: Path, landing: Path) -> None:
    """Copy the files into the folder that the local S3 serves, under the keys of their datasets."""
    for dataset in all_datasets(load_sources()):
        name = dataset.key_prefix.rpartition("/")[2]
        for file in [*files.glob(f"{name}.csv"), *files.glob(f"{name}-*.csv")]:
            (landing / dataset.source).mkdir(parents=True, exist_ok=True)
            shutil.copy(file, landing / dataset.source / file.name)


def write_new_ratings(home: Path, file: Path, share: float, of_users: float, seed: int) -> None:
    """Rate a share of all ratings again, by some users: half a star higher (lower from 5), a day after the newest."""
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


def measure_command(home: Path, *arguments: str) -> Measured:
    """Run the command in the home, and measure it with all processes that it starts."""
    environment = {**os.environ, "NETFLIX_HOME": str(home), "NETFLIX_SETTLE_SECONDS": "0.1"}
    started = time.time()
    process = psutil.Popen([COMMAND, *arguments], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    peak, ended = [0.0], threading.Event()
    watcher = threading.Thread(target=_watch, args=(process, peak, ended))
    watcher.start()
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    now = time.time()
    ended.set()
    watcher.join()
    if status:
        raise SystemExit(f"netflix-assets {' '.join(arguments)} failed:\n{errors}")
    stages, nodes = read_stages(home, started, now), read_nodes(home, started)
    return Measured(now - started, usage.ru_utime + usage.ru_stime, peak[0], stages, nodes)


def _watch(process: psutil.Process, peak: list[float], ended: threading.Event) -> None:
    while not ended.wait(0.2):
        total = 0
        try:
            for each in (process, *process.children(recursive=True)):
                total += each.memory_info().rss
        except psutil.Error:
            continue
        peak[0] = max(peak[0], total / 2**20)
