"""Read the contract files (``*.yaml``)."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import yaml
from pydantic import ValidationError

from netflix_assets.contracts.model import Dataset, Source, all_datasets

CONTRACTS_DIR = Path(__file__).parent


class ContractError(ValueError):
    """A contract file that cannot be used; the message names the file, the entry and what is wrong."""


def _longer(stem: str, stems: Iterable[str]) -> list[str]:
    return sorted(other for other in stems if other.startswith((f"{stem}-", f"{stem}/")))


def load_source(path: Path) -> Source:
    """Read one contract file.

    Raises: ContractError, naming the file and the entry, when the file is not a valid contract.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        if lacking := _lacking(content):
            raise ContractError(f"contract {path}: not a contract file (it lacks {', '.join(lacking)})")
        common = {"source": content["source"], "owners": content.get("owners", [])}
        files = {name: entry.get("file", name) for name, entry in content["datasets"].items()}
        content["datasets"] = [
            {"name": name, "longer_files": _longer(files[name], files.values()), **common, **entry}
            for name, entry in content["datasets"].items()
        ]
        return Source.model_validate(content)
    except ValidationError as error:
        problems = "; ".join(f"{_entry(content, problem['loc'])}: {problem['msg']}" for problem in error.errors())
        raise ContractError(f"contract {path}: {problems}") from error
    except yaml.YAMLError as error:
        raise ContractError(f"contract {path}: not a contract file ({error})") from error
    except (UnicodeDecodeError, KeyError, TypeError, AttributeError) as error:
        raise ContractError(f"contract {path}: not a contract file ({error!r})") from error


def _lacking(content: object) -> list[str]:
    """What every contract file begins with and this one does not have."""
    given = content if isinstance(content, Mapping) else {}
    return [name for name in ("source", "datasets") if given.get(name) is None]


def _entry(content: object, location: Iterable[int | str]) -> str:
    """Where in a contract file something is wrong: datasets and columns by their names, not by their numbers."""
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
    """Read every contract in a folder, ordered by source name.

    Raises: ContractError when the folder holds no contract or one of them is not valid.
    """
    sources = tuple(load_source(path) for path in sorted(folder.glob("*.yaml")))
    if not sources:
        raise ContractError(f"no contract (*.yaml) in {folder}")
    return sources


def dataset_by_id(sources: Sequence[Source], dataset_id: str) -> Dataset:
    """The dataset with this id (``movielens/ratings``).

    Raises: KeyError with the known ids when there is none.
    """
    known = {dataset.id: dataset for dataset in all_datasets(sources)}
    if dataset_id not in known:
        raise KeyError(f"no dataset '{dataset_id}'; the contracts know {', '.join(known)}")
    return known[dataset_id]
