"""Generated CSV files go through S3, validation and DuckDB, with the outcome that Python's csv module predicts.

A file is refused exactly when the oracle (``csv_oracle.py``) says so, for the same cause. Otherwise loaded + rejected
is the oracle's record count, the loaded values are the oracle's (as multisets that include the record's number), and
the rejects have its numbers, lines, columns and texts. Blocks are so small that their boundaries fall everywhere.
"""

import random
import re
from collections import Counter
from collections.abc import Iterator

from netflix_assets.ingest import decompress
from netflix_assets.storage.objects import ObjectVersion
from netflix_assets_tests.proof.csv_files import FEATURES, random_dataset, random_file
from netflix_assets_tests.proof.csv_oracle import judge

SEED = "2026-11-07"
FILES_OF_A_CONTRACT = 20
MAX_BLOCKS = 300  # per file; more only cost time

# Oracle's cause -> the product's words for it. The product names the format of a file before its faults.
SAME_CAUSE = {
    "byte 0x": "byte 0x|NUL byte|UTF-16",
    "middle of a character": "byte 0x|middle of a character",
    "gzip": "gzip",
    "NUL": "NUL",
    "header": "header|first line looks like data",
    "encoded in UTF-8": "encoded in UTF-8|the contract says utf-16",
}


class ChoppedStore:
    """The real bucket; objects arrive and are decompressed in small blocks."""

    def __init__(self, store, chance: random.Random, monkeypatch) -> None:
        self.bucket = store.bucket
        self.list = store.list
        self._store = store
        self._chance = chance
        self._monkeypatch = monkeypatch

    def read(self, listed: ObjectVersion) -> Iterator[bytes]:
        content = b"".join(self._store.read(listed))
        size = max(self._chance.choice([1, 2, 3, 5, 64, 4096]), len(content) // MAX_BLOCKS)
        # A small compressed file may be large.
        self._monkeypatch.setattr(decompress, "BLOCK_BYTES", size if len(content) < 1000 else size * 100)
        for start in range(0, len(content), size):
            yield content[start : start + size]


def test_every_generated_file_matches_the_csv_oracle(cases, sync, bucket, warehouse, monkeypatch):
    count = cases(344)
    seen: Counter[str] = Counter()
    outcomes: Counter[str] = Counter()
    for group, first in enumerate(range(0, count, FILES_OF_A_CONTRACT)):
        numbers = range(first, min(first + FILES_OF_A_CONTRACT, count))
        chance = random.Random(f"{SEED} contract {group}")  # noqa: S311
        dataset = random_dataset(chance, f"fuzz_{group}")
        files = {}
        for number in numbers:
            # Each file gets one feature in turn; each round, another contract gets it.
            wanted = FEATURES[(number + number // len(FEATURES) * 7) % len(FEATURES)]
            file = random_file(random.Random(f"{SEED} file {number}"), dataset, wanted)  # noqa: S311
            key = f"shop/fuzz_{group}-{number}.csv"
            files[key] = file
            bucket.put(key, file.content)
            seen.update(file.features)
        report = sync(dataset, store=ChoppedStore(bucket.store, chance, monkeypatch))
        outcomes += compare(report, warehouse, dataset, files)
    print(f"\n{count:,} files: {dict(outcomes)}; features: {dict(seen)}")
    assert sum(outcomes[name] for name in ("loaded", "refused", "ignored")) == count
    assert set(seen) == set(FEATURES)
    assert min(outcomes[name] for name in ("loaded", "refused", "ignored", "rows", "rejects")) > 0


def compare(report, warehouse, dataset, files) -> Counter:
    """Compare the files' outcomes with the oracle's. Returns how many files had which outcome."""
    loads = {load.listed.key: load for load in report.loads}
    refused = {each.listed.key: each for each in report.refused}
    rows, rejects = loaded_rows(warehouse, dataset), kept_rejects(warehouse, dataset)
    outcomes: Counter[str] = Counter()
    for key, file in files.items():
        verdict = judge(file.content, dataset)
        case = f"{SEED} {key} {sorted(file.features)}\n{dataset!r}\n{file.content[:2000]!r}"
        assert (key in loads) != (key in refused), case
        if verdict.refused or verdict.ignored:
            assert key in refused, f"must be refused ({verdict.refused or 'ignored'}): {case}"
            assert refused[key].outcome == ("ignored" if verdict.ignored else "refused"), case
            cause = "no records" if verdict.ignored else SAME_CAUSE.get(verdict.refused, verdict.refused)
            assert re.search(cause, refused[key].reason), f"{refused[key].reason}: {case}"
            outcomes[refused[key].outcome] += 1
            continue
        assert key in loads, f"refused: {refused.get(key)}: {case}"
        load = loads[key]
        assert load.rows_in == load.rows_loaded + load.rows_rejected == verdict.record_count, case
        assert rows.get(load.load_id, Counter()) == verdict.rows, case
        assert tuple(rejects.get(load.load_id, ())) == verdict.rejects, case
        outcomes += Counter(loaded=1, rows=load.rows_loaded, rejects=load.rows_rejected)
    return outcomes


def loaded_rows(warehouse, dataset) -> dict[int, Counter]:
    names = ", ".join(column.name for column in dataset.columns)
    found: dict[int, Counter] = {}
    for load_id, *values in warehouse.execute(f"select _load_id, {names} from raw.{dataset.table}"):
        found.setdefault(load_id, Counter())[tuple(values)] += 1
    return found


def kept_rejects(warehouse, dataset) -> dict[int, list[tuple]]:
    found: dict[int, list[tuple]] = {}
    for load_id, *reject in warehouse.execute(
        """
        select load_id, record_number, line_number, column_name, raw_text from ops.rejected_rows
        where dataset = ? order by load_id, record_number
        """,
        (dataset.id,),
    ):
        found.setdefault(load_id, []).append(tuple(reject))
    return found
