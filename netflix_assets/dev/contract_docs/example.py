"""An example of a contract's option, and what it gives: the outcomes come from a real load, never from a text."""

import csv
import io
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from netflix_assets.contracts.loading import ContractError, load_source
from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.trial import Trial, TrialResult
from netflix_assets.warehouse.duckdb.warehouse import DuckDBWarehouse

_BASE: Mapping[str, Any] = {
    "description": "Things.",
    "mode": "append",
    "key": [],
    "freshness": {"warn_after_days": 1, "fail_after_days": 2},
    "columns": [
        {"name": "item", "type": "integer", "description": "Number of the item."},
        {"name": "label", "type": "text", "description": "Its label."},
    ],
}

_API = {"url": "https://api.example.com/v1"}
_REQUESTED: Mapping[str, Any] = {
    "format": "json",
    "request": {"path": "/items", "per": "day", "start": "2026-01-01", "ready_after_minutes": 1500},
}

Content = str | bytes


@dataclass(frozen=True)
class Files:
    """Deliveries of a dataset, by file name: the outcome is what they load."""

    contents: Mapping[str, Content]


@dataclass(frozen=True)
class Example:
    """An option of a part of the contract model, and a right and a wrong use of it.

    ``option``: ``Column.min``. ``entry``: options of the dataset that the example sets; the docs show only these.
    ``right`` and ``wrong``: the files, or other options (a mapping) that make the contract right or wrong.
    """

    option: str
    entry: Mapping[str, Any]
    right: Files | Mapping[str, Any]
    wrong: Files | Mapping[str, Any]

    @property
    def shown(self) -> str:
        """The example's part of a contract, as YAML."""
        return to_yaml(self.entry)


def to_yaml(entry: Mapping[str, Any]) -> str:
    """Options as they are written in a contract: one in a line, columns in flow style."""
    lines = []
    for name, value in entry.items():
        if name == "columns":
            lines += ["columns:", *(f"  - {_flow(column)}" for column in value)]
        else:
            lines.append(f"{name}: {_flow(value)}")
    return "\n".join(lines)


def _flow(value: object) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=2**20)
    return text.removesuffix("...\n").rstrip("\n")


def files(**contents: Content) -> Files:
    """Files by the name of their dataset's file: ``files(things="…")`` is things.csv."""
    return Files({f"{name}.csv": content for name, content in contents.items()})


def of_values(option: str, column: Mapping[str, Any], right: str, wrong: str, **dialect: Any) -> Example:
    """An example of a column's option: a file with one value each."""
    described = {"name": "value", **column}
    entry: dict[str, Any] = {"columns": [{"name": "item", "type": "integer"}, described]}
    if dialect:
        entry = {"dialect": dialect, **entry}
    return Example(option, entry, _one_value(right, dialect), _one_value(wrong, dialect))


def _one_value(text: str, dialect: Mapping[str, Any]) -> Files:
    """A file with an item and the value; an empty value alone would be a blank line."""
    line = io.StringIO()
    csv.writer(line, delimiter=dialect.get("delimiter", ","), lineterminator="\n").writerows(
        [["item", "value"], [1, text]]
    )
    return Files({"things.csv": line.getvalue()})


@contextmanager
def open_examples() -> Iterator["Examples"]:
    """A place to run examples in."""
    with tempfile.TemporaryDirectory() as folder, DuckDBWarehouse(Path(folder) / "examples.duckdb") as warehouse:
        yield Examples(Path(folder), Trial(warehouse, Path(folder)))


@dataclass
class Examples:
    """Runs examples: reads their contracts, loads their files."""

    folder: Path
    trial: Trial
    count: int = 0

    def outcome(self, example: Example, use: Files | Mapping[str, Any]) -> list[tuple[str, str]]:
        """What a use of the example gives, as (what was used, what came of it)."""
        if isinstance(use, Files):
            dataset = self.read(example.entry)
            self.trial.warehouse.prepare(dataset)
            return [(_shown(content), self._load(dataset, name, content)) for name, content in use.contents.items()]
        try:
            if example.option.startswith(("Source.", "Api.", "Authentication.")):
                things = {**_BASE, **_REQUESTED} if "api" in use else _BASE
                self._read_file({"source": "shop", "description": "A shop.", "datasets": {"things": things}, **use})
            else:
                self.read({**example.entry, **use})
        except ContractError as error:
            problem = str(error).split(".yaml: ", 1)[1].replace("Value error, ", "")
            return [(to_yaml(use), f"contract error: {problem}")]
        return [(to_yaml(use) or "datasets: {things: …}", "a valid contract")]

    def read(self, entry: Mapping[str, Any]) -> Dataset:
        """The example's dataset, in its own table. Raises: ContractError."""
        self.count += 1
        options = {**_BASE, **entry}
        options["columns"] = [
            column if "description" in column or "name" not in column else {**column, "description": "…"}
            for column in options["columns"]
        ]
        api = {"api": _API} if "request" in options else {}
        return self._read_file(
            {"source": f"shop{self.count}", "description": "A shop.", **api, "datasets": {"things": options}}
        )

    def _read_file(self, content: Mapping[str, Any]) -> Dataset:
        path = self.folder / "shop.yaml"
        path.write_text(yaml.safe_dump(dict(content), allow_unicode=True), encoding="utf-8")
        return load_source(path).datasets[0]

    def _load(self, dataset: Dataset, name: str, content: Content) -> str:
        key = f"{dataset.source}/{name}"
        if not dataset.owns_key(key):
            return f"not a file of this dataset, which has {dataset.file_names}"
        path = self.folder / Path(name).name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(_python_codec(dataset)))
        return _describe(self.trial.load(dataset, path), self._rows(dataset))

    def _rows(self, dataset: Dataset) -> list[tuple[Any, ...]]:
        names = ", ".join(column.name for column in dataset.columns)
        return self.trial.warehouse.execute(
            f"select {names} from raw.{dataset.table}_current where _load_id ="  # noqa: S608 (names are a contract's)
            f" (select max(load_id) from ops.loads where dataset = ?)",
            (dataset.id,),
        )


def _python_codec(dataset: Dataset) -> str:
    return dataset.encoding if dataset.format == "csv" else "utf-8"


def _describe(result: TrialResult, rows: list[tuple[Any, ...]]) -> str:
    if result.outcome != "loads":
        return f"file {result.outcome}: {result.reason}"
    parts = []
    if result.rows:
        parts.append(f"loads {'; '.join(_row(row) for row in rows)}")
    parts += [f"record rejected: {reason.text}" for reason in result.reasons]
    parts += [f"warning: {warning}" for warning in result.warnings]
    return ". ".join(parts)


def _row(row: tuple[Any, ...]) -> str:
    return ", ".join("no value" if value is None else str(value) for value in row)


def _shown(content: Content) -> str:
    return content.decode("utf-8", "backslashreplace") if isinstance(content, bytes) else content
