"""What the warehouse knows, for people and for ``--json``: every dataset, what is published, rejects as a CSV to mend.

Belongs here: pure functions over the warehouse's answers. Does not belong here: printing (``cli.py``).
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from netflix_assets.contracts.model import Dataset
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.publishing import Publication, branch_reason, problem_of


def dataset_status(dataset: Dataset, warehouse: Warehouse | None) -> dict[str, Any]:
    """The state of one dataset; ``warehouse`` is None where nothing has ever been loaded.

    ``objects``: objects whose rows count now. ``versions``: all object versions there have been. ``rejected``: records
    of current objects that are still kept out. ``state``: awaited (no file has arrived yet), loaded, or refused (files
    arrived, none could be loaded).
    """
    loads = warehouse.loads(dataset) if warehouse else []
    refused = warehouse.refused_objects(dataset) if warehouse else []
    current = [load for load in loads if load.is_current]
    objects = [load for load in current if not load.is_replay]
    replayed = sum(load.rows_in for load in current if load.is_replay)
    return {
        "dataset": dataset.id,
        "state": "loaded" if current else "refused" if refused else "awaited",
        "optional": dataset.optional,
        "objects": len(objects),
        "versions": sum(not load.is_replay for load in loads),
        "rows": sum(load.rows_loaded for load in current),
        "rejected": sum(load.rows_rejected for load in current) - replayed,
        "bytes": sum(load.listed.size for load in objects),
        "last_loaded_at": loads[-1].loaded_at.isoformat() if loads else None,
        "refused": [
            {"object": each.listed.key, "etag": each.listed.etag, "outcome": each.outcome, "reason": each.reason}
            for each in refused
        ],
    }


def publication_status(
    shown: Publication | None, warehouse: Warehouse | None, place: str, schema_prefix: str
) -> dict[str, Any]:
    """What consumers see (None where nothing was ever published), where, and why it is not what was built last.

    ``warehouse`` is None where nothing has ever been loaded.
    """
    problem = branch_reason(schema_prefix) if schema_prefix else problem_of(warehouse, shown)
    return {
        **(dict.fromkeys(_SHOWN) if shown is None else {name: shown.as_json()[name] for name in _SHOWN}),
        "place": place,
        "is_latest": problem is None,
        "problem": problem,
    }


_SHOWN = ("version", "run_id", "built_at", "published_at")


def publication_lines(status: Mapping[str, Any]) -> Iterator[str]:
    """The same for people."""
    if status["version"]:
        built_at = status["built_at"][:16].replace("T", " ")
        yield f"published: {status['place']}, built by run {status['run_id'][:8]} at {built_at} UTC"
    if status["problem"]:
        since = f" since {status['published_at'][:16].replace('T', ' ')} UTC" if status["version"] else ""
        yield f"not published{since}: {status['problem']}"


def write_rejects(dataset: Dataset, rejects: Sequence[Mapping[str, Any]], file: Path) -> int:
    """Write rejected records under the contract's header, so that they can be mended and landed again.

    Values stand under their own column by their object's header. A record with too few fields is filled up with empty
    ones; of one with too few or too many, what has no column in the contract stands after the last one, so that nothing
    is lost. The file is in the contract's encoding. Returns the number of records.

    Raises: FileExistsError when the file is there already (it may be half mended), OSError when it cannot be written.
    """
    with file.open("x", encoding=dataset.encoding, newline="") as target:
        writer = csv.writer(target, delimiter=dataset.delimiter, lineterminator="\n")
        writer.writerow([column.file_name for column in dataset.columns])
        for reject in rejects:
            writer.writerow(_in_contract_order(dataset, reject["header"], reject["raw_text"]))
    return len(rejects)


def _in_contract_order(dataset: Dataset, header: str, raw_text: str) -> list[str]:
    expected = [column.file_name for column in dataset.columns]
    names = _fields(header, dataset.delimiter) or expected  # a ledger from before headers were kept has none
    fields = _fields(raw_text, dataset.delimiter)
    values = dict(zip(names, fields, strict=False))
    ordered = [values.get(name, "") for name in expected]
    if len(names) == len(fields):
        return ordered
    without_column = [field for name, field in zip(names, fields, strict=False) if name not in expected]
    return [*ordered, *without_column, *fields[len(names) :]]


def _fields(record: str, delimiter: str) -> list[str]:
    return next(csv.reader(io.StringIO(record, newline=""), delimiter=delimiter), [])


def answers(warehouse: Warehouse) -> Iterator[tuple[str, list[str], list[tuple[Any, ...]]]]:
    """A few answers from the marts: question, column names, rows."""
    for question, names, query in _QUESTIONS:
        yield question, names, warehouse.execute(query)


_QUESTIONS: tuple[tuple[str, list[str], str], ...] = (
    (
        "Which films are rated most, and how?",
        ["film", "ratings", "average"],
        """
        select title, n_ratings, round(avg_rating, 2) from marts.mart_movie_ratings
        order by n_ratings desc, movie_id limit 5
        """,
    ),
    (
        "Which films split their audience?",
        ["film", "ratings", "average", "polarization"],
        """
        select title, n_ratings, round(avg_rating, 2), round(polarization_score, 2) from marts.mart_movie_ratings
        where is_polarized order by polarization_score desc, movie_id limit 5
        """,
    ),
    (
        "Which days saw unusual activity?",
        ["day", "ratings", "robust z"],
        """
        select cast(date_day as varchar), n_ratings, round(robust_z, 1) from marts.mart_rating_trends
        where is_anomalous order by abs(robust_z) desc, date_day limit 5
        """,
    ),
    (
        "What share are series?",
        ["released in", "titles", "series"],
        """
        select cast(release_year as varchar), sum(n_titles),
            cast(
                cast(round(max(case when production_type = 'SHOW' then share_of_year end) * 100) as integer) as varchar
            ) || ' %'
        from marts.mart_content_by_year
        group by release_year order by release_year desc limit 5
        """,
    ),
)
