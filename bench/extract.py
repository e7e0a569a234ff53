"""Compare extracts of one table with PostgreSQL's own COPY TO STDOUT.

    python -m bench.extract [--rows 20000000] [--rounds 1]

A server of its own has a table of so many rows (8 columns, 120 bytes as CSV). psql writes it to /dev/null, and then it
is extracted: in mode snapshot, first and unchanged; and in mode changes, first, with 10,000 changed rows all over the
table, without a change, and with one deleted row. Seconds are those of a process that has started, memory is its
highest. Only the ratios to COPY of the same round compare between machines.
"""

import argparse
import resource
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from netflix_assets.contracts.model import Dataset
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.dev import postgres
from netflix_assets.dev.postgres import ADMIN, Postgres
from netflix_assets.extract.postgres.run import Extracted, extract_database
from netflix_assets.settings import read_settings
from netflix_assets.settings.named import DatabaseSettings
from netflix_assets.storage.local_s3 import lease, local_s3

CHANGED = 10_000
COPY = "COPY TO STDOUT (psql)"
FILL = """
insert into orders
select i, i % 1000003, now() - i * interval '1 second', (array['new', 'paid', 'sent'])[1 + i % 3], i / 100.0, i % 5,
       'a note about order ' || md5(i::text), now()
from generate_series(1, {rows}) as i
"""
DELETE = "delete from orders where order_id = (select min(order_id) from orders)"
CREATE = """
create table orders (
    order_id bigint primary key, customer_id integer not null, ordered_at timestamptz not null, status text not null,
    amount numeric(12,2) not null, items integer not null, note text, changed_at timestamptz not null
)
"""
TYPES = {
    "order_id": "bigint", "customer_id": "integer", "ordered_at": "timestamp", "status": "text",
    "amount": "decimal(12,2)", "items": "integer", "note": "text", "changed_at": "timestamp",
}  # fmt: skip


def dataset(mode: str) -> Dataset:
    """The contract of the table in a mode."""
    entry: dict[str, Any] = {
        "source": "shop",
        "name": f"orders_{mode}",
        "description": "Orders.",
        "mode": "overwrite" if mode == "snapshot" else "upsert",
        "key": ["order_id"],
        "extract": {"database": "shop", "table": "orders", "mode": mode},
        "freshness": {"warn_after_days": 1, "fail_after_days": 2},
        "columns": [{"name": name, "type": kind, "description": name} for name, kind in TYPES.items()],
    }
    return Dataset.model_validate(entry)


def main() -> None:
    """Fill a table, measure, and print the ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000_000)
    parser.add_argument("--rounds", type=int, default=1)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, postgres.temporary(Path(folder, "postgres")) as server:
        execute(server, CREATE, FILL.format(rows=arguments.rows), "vacuum (freeze, analyze) orders")
        found: dict[str, list[tuple[float, float]]] = {}
        for number in range(arguments.rounds):
            home = Path(folder, f"home{number}")
            with lease(local_s3(home), "landing"):
                for name, measured in round_of(server, home, arguments.rows):
                    found.setdefault(name, []).append(measured)
    copies = [seconds for seconds, _ in found[COPY]]
    print(f"{arguments.rows:,} rows")
    for name, figures in found.items():
        ratio = statistics.median(copy / seconds for copy, (seconds, _) in zip(copies, figures, strict=True))
        peak = max(memory for _, memory in figures)
        median = statistics.median(seconds for seconds, _ in figures)
        print(f"{name:36} {median:8.1f} s {ratio:8.2f} x the speed of COPY {peak:8.0f} MB", flush=True)


def round_of(server: Postgres, home: Path, rows: int) -> list[tuple[str, tuple[float, float]]]:
    """What each step took: seconds, and MB of memory."""
    copied = (timed(lambda: psql(server, "copy orders to stdout (format csv)")), 0.0)
    steps = [(COPY, copied)]
    for mode, name, change in (
        ("snapshot", "snapshot", ""),
        ("snapshot", "snapshot, unchanged", ""),
        ("changes", "changes, the first", ""),
        ("changes", f"changes, {CHANGED:,} rows", "update orders set items = items + 1 where order_id % {step} = 0"),
        ("changes", "changes, none", ""),
        (
            "changes",
            "changes, one deleted row",
            "delete from orders where ctid = '(0,1)'",
        ),
    ):
        if change:
            execute(server, change.format(step=rows // CHANGED))
        steps.append((name, extracted(server, home, mode)))
    return steps


def extracted(server: Postgres, home: Path, mode: str) -> tuple[float, float]:
    """Seconds and memory of an extract in a process of its own."""
    with get_context("spawn").Pool(1) as pool:
        found: tuple[float, float] = pool.apply(extract, (server, home, mode))
    return found


def extract(server: Postgres, home: Path, mode: str) -> tuple[float, float]:
    """Extract the table."""
    database = DatabaseSettings.model_validate(
        {"url": server.address("shop", ADMIN), "password": server.passwords[ADMIN]}
    )
    settings = read_settings(home=home, databases={"shop": database})
    with LandingBucket(bucket="landing", local_home=str(home)).open() as store:
        started = time.monotonic()
        (outcome,) = extract_database("shop", [dataset(mode)], settings, store)
        seconds = time.monotonic() - started
    assert isinstance(outcome, Extracted), outcome
    return seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def timed(call: Callable[[], object]) -> float:
    """How many seconds a call takes."""
    started = time.monotonic()
    call()
    return time.monotonic() - started


def psql(server: Postgres, statement: str) -> None:
    """Run a statement and throw away what it returns."""
    command = [str(postgres.programs() / "psql"), server.address("shop", ADMIN), "-q", "-v", "ON_ERROR_STOP=1"]
    environment = {"PGPASSWORD": server.passwords[ADMIN]}
    subprocess.run([*command, "-c", statement], env=environment, stdout=subprocess.DEVNULL, check=True)


def execute(server: Postgres, *statements: str) -> None:
    """Run statements, each in its own transaction."""
    for statement in statements:
        psql(server, statement)


if __name__ == "__main__":
    main()
