"""What an extractor remembers of a table, as one object in the bucket that is replaced after each extract.

It is written last. An extract that is killed before leaves an object that the next one repeats: rows that land twice
are the same versions of the same rows.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from netflix_assets.contracts.extract import STATE_FOLDER
from netflix_assets.contracts.model import Dataset
from netflix_assets.extract.errors import SourceError
from netflix_assets.extract.session import Identity
from netflix_assets.storage.objects import ObjectStore

_FORMAT = 1


@dataclass(frozen=True)
class State:
    """The last extract of a table.

    ``number``: of the extract. ``xmin``, ``xmax``, ``position``, ``taken_at``: of its snapshot, ``taken_at`` in UTC and
    in ISO form. ``identity``: the server's. ``code``: a fingerprint of what was selected. ``types``: of the database's
    columns. ``rows``: in the table. ``changed``, ``deleted``: rows and keys that this extract wrote. ``digest``: of a
    whole table's content, or of the keys that a cursor cannot follow. ``highest``: of the cursor column.
    ``relations``: oids of the table and its partitions. ``news``: what the database has otherwise than the contract.
    """

    number: int
    xmin: int
    xmax: int
    position: int
    taken_at: str
    identity: Identity
    code: str
    types: Mapping[str, str]
    rows: int = 0
    changed: int = 0
    deleted: int = 0
    digest: str = ""
    highest: str | None = None
    relations: tuple[int, ...] = ()
    is_replica: bool = False
    news: tuple[str, ...] = ()

    @property
    def open_transactions(self) -> int:
        """How many transaction numbers the oldest transaction holds back that was open at the snapshot."""
        return self.xmax - self.xmin


def object_key(dataset: Dataset, state: State, name: str) -> str:
    """The key of an object: ``shop/orders/1772000012-00000000016B3748-rows.csv.zst``, by number and log position.

    The number is higher than that of every object before, also of those that a killed extract has left.
    """
    return f"{dataset.key_prefix}/{state.number:010d}-{state.position:016X}-{name}"


def number_of(key: str) -> int:
    """The number of the extract that wrote an object; 0 for another object."""
    found = re.search(r"/([0-9]{10,})-[0-9A-F]{16}-[a-z]+[.]csv[.]zst$", key)
    return int(found[1]) if found else 0


def keys_key(dataset: Dataset) -> str:
    """The key of the object with the known keys."""
    return f"{STATE_FOLDER}{dataset.id}.keys.parquet"


def read_state(store: ObjectStore, dataset: Dataset) -> State | None:
    """The state of a table; None before its first extract. Raises: BucketError, SourceError."""
    key = dataset.state_key
    found = next((each for each in store.list(key) if each.key == key), None)
    if found is None:
        return None
    values: dict[str, Any] = json.loads(b"".join(store.read(found)))
    if values.pop("format", None) != _FORMAT:
        raise SourceError(
            f"{key} was written by another version of netflix-assets. Use that version, or delete the object: the next "
            "extract then reads the whole table"
        )
    values["identity"] = Identity(**values["identity"])
    for name in ("relations", "news"):
        values[name] = tuple(values[name])
    return State(**values)


def write_state(store: ObjectStore, dataset: Dataset, state: State, scratch: Path) -> None:
    """Replace the state of a table. Raises: BucketError."""
    path = scratch / "state.json"
    path.write_text(json.dumps({"format": _FORMAT, **asdict(state)}, indent=1), encoding="utf-8")
    store.put(dataset.state_key, path)
