"""Read the contract files (``*.yaml``)."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from netflix_assets.contracts.model import Dataset, Source, all_datasets
from netflix_assets.contracts.values import find_fault
from netflix_assets.contracts.visibility import reason_of

CONTRACTS_DIR = Path(__file__).parent
# Every process reads all contracts. libyaml takes a fifth of the time, but an installation may lack it.
_YAML_LOADER: type = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ContractError(ValueError):
    """An invalid contract file; the message names the file, the entry and the problem."""


def _find_longer(stem: str, stems: Iterable[str]) -> list[str]:
    return sorted(other for other in stems if other.startswith((f"{stem}-", f"{stem}/")))


def load_source(path: Path) -> Source:
    """Read one contract file.

    Raises: ContractError, naming the file and the entry, when the file is not a valid contract.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=_YAML_LOADER)  # noqa: S506 - both are safe
        if missing := _missing_keys(content):
            raise ContractError(f"contract {path}: not a contract file (missing: {', '.join(missing)})")
        common = {"source": content["source"], "owners": content.get("owners", [])}
        files = {name: entry.get("file", name) for name, entry in content["datasets"].items()}
        content["datasets"] = [
            {"name": name, "longer_files": _find_longer(files[name], files.values()), **common, **entry}
            for name, entry in content["datasets"].items()
        ]
        source = Source.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(f"{_format_location(content, each['loc'])}: {reason_of(each)}" for each in error.errors())
        raise ContractError(f"contract {path}: {problems}") from error
    except yaml.YAMLError as error:
        raise ContractError(f"contract {path}: not a contract file ({error})") from error
    except (UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ContractError(f"contract {path}: not a contract file ({error!r})") from error
    if fault := next(_faulty_defaults(source), None):
        raise ContractError(f"contract {path}: {fault}")
    return source


def _faulty_defaults(source: Source) -> Iterator[str]:
    for dataset in source.datasets:
        for column in dataset.columns:
            fault = find_fault(column, column.default) if column.default else None
            if fault:
                yield f"datasets.{dataset.name}: column '{column.name}': default: {fault}"


def _missing_keys(content: object) -> list[str]:
    """The required top-level keys that a contract file does not have."""
    given = content if isinstance(content, Mapping) else {}
    return [name for name in ("source", "datasets") if given.get(name) is None]


def _format_location(content: object, location: Iterable[int | str]) -> str:
    """A location in a contract file, with datasets and columns by name instead of by index."""
    names: list[str] = []
    for part in location:
        if isinstance(content, Mapping):
            content = content.get(part)
        elif isinstance(content, Sequence) and isinstance(part, int) and part < len(content):
            content = content[part]
        name = content.get("name") if isinstance(part, int) and isinstance(content, Mapping) else None
        names.append(str(part if name is None else name))
    return ".".join(names)


def load_sources(folder: Path = CONTRACTS_DIR) -> tuple[Source, ...]:
    """Read every contract in a folder, in order of file name.

    Raises: ContractError when the folder has no contract or one is invalid.
    """
    sources = tuple(load_source(path) for path in sorted(folder.glob("*.yaml")))
    if not sources:
        raise ContractError(f"no contract (*.yaml) in {folder}")
    return sources


def dataset_by_id(sources: Sequence[Source], dataset_id: str) -> Dataset:
    """The dataset with this id (``movielens/ratings``).

    Raises: KeyError, naming the known ids, when there is none.
    """
    known = {dataset.id: dataset for dataset in all_datasets(sources)}
    if dataset_id not in known:
        raise KeyError(f"unknown dataset '{dataset_id}'; known: {', '.join(known)}")
    return known[dataset_id]
