"""Plan and write all that a new dataset needs: contract entry, dbt source, and a staging and a core model."""

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from netflix_assets.contracts.loading import CONTRACTS_DIR, ContractError, load_source
from netflix_assets.contracts.model import Dataset, Source, all_datasets
from netflix_assets.dev.contract_text import add_entry, new_file
from netflix_assets.dev.core_models import core_folder, core_model, dimension_keys, render_core_sql, render_core_yaml
from netflix_assets.dev.dbt_sources import render, sources_file
from netflix_assets.dev.staging_models import model_folder, model_name, render_sql, render_yaml
from netflix_assets.ingest.profile.compare import compare
from netflix_assets.ingest.profile.dialect import Finding
from netflix_assets.ingest.profile.names import common_stem, snake_case
from netflix_assets.ingest.profile.proposal import Proposal, UnknownColumnError, propose
from netflix_assets.ingest.trial import TrialResult, check_files
from netflix_assets.operations.errors import InputError
from netflix_assets.settings import Settings

DEFAULT_SOURCE = "files"
DEFAULT_OWNER = "team:unassigned"


@dataclass(frozen=True)
class FileChange:
    """A file to write. ``before`` is None where it does not exist yet."""

    path: Path
    before: str | None
    after: str

    def diff(self, base: Path) -> str:
        """The change as a unified diff, with paths relative to ``base`` where they are below it."""
        name = self.path.relative_to(base).as_posix() if self.path.is_relative_to(base) else str(self.path)
        old = "/dev/null" if self.before is None else name
        before = (self.before or "").splitlines(keepends=True)
        return "".join(unified_diff(before, self.after.splitlines(keepends=True), old, name))


@dataclass(frozen=True)
class Plan:
    """A new dataset: the proposal, the dataset that it becomes, what its files give, and the files to write."""

    proposal: Proposal
    dataset: Dataset
    results: Sequence[TrialResult]
    changes: Sequence[FileChange]

    @property
    def is_landed_by_name(self) -> bool:
        """Whether `land` knows the files by their names."""
        return all(self.dataset.owns_key(f"{self.dataset.source}/{each.path.name}") for each in self.results)


@dataclass(frozen=True)
class Comparison:
    """A later delivery of a known dataset: what its files give, and what differs from the contract."""

    proposal: Proposal
    dataset: Dataset
    results: Sequence[TrialResult]
    differences: Sequence[Finding]


def plan_dataset(
    settings: Settings,
    paths: Sequence[Path],
    source: str | None = None,
    name: str | None = None,
    owner: str = DEFAULT_OWNER,
    key: Sequence[str] | None = None,
) -> Plan | Comparison:
    """Profile files, and plan what to write for them; nothing is written.

    ``source``, ``name``: None takes them from the files' names. ``key``: None finds it, empty is none. A dataset that a
    contract has is compared with it.

    Raises: InputError; RefusedError when a file cannot be loaded whatever the contract says; OSError.
    """
    sources = settings.sources()
    known = find_known(sources, paths, source, name)
    work = settings.home / "tmp"
    if known is not None:
        if key is not None:
            raise InputError(f"{known.id} has a contract. Leave out --key, and change the key there")
        proposal = propose(paths, known.source, known.name, work, known)
        results = check_files(known, paths, work)
        return Comparison(proposal, known, results, list(compare(known, proposal, results)))
    source, name = _names(paths, source, name)
    _check_table(sources, source, name)
    try:
        proposal = propose(paths, source, name, work, key=key)
    except UnknownColumnError as error:
        raise InputError(f"--key: {error}") from error
    contract = _contract_change(settings.contracts, proposal, owner)
    drafted = _load_draft(contract)
    dataset = next(each for each in drafted.datasets if each.name == name)
    changes = [contract, *_dbt_changes(settings.dbt_project, drafted, dataset)]
    return Plan(proposal, dataset, check_files(dataset, paths, work), changes)


def find_known(
    sources: Sequence[Source], paths: Sequence[Path], source: str | None, name: str | None
) -> Dataset | None:
    """The dataset that the files are deliveries of, by its name or by the names of all files; None if it is new."""
    if name is not None:
        wanted = f"{source or DEFAULT_SOURCE}/{name}"
        return next((each for each in all_datasets(sources) if each.id == wanted), None)
    owners = [
        {each.id: each for one in sources if source in (None, one.source) and (each := _owner(one, path))}
        for path in paths
    ]
    shared = set.intersection(*(set(each) for each in owners))
    if len(shared) > 1:
        raise InputError(
            f"the files belong to several datasets ({', '.join(sorted(shared))}). Choose one with --source"
        )
    if shared:
        return owners[0][shared.pop()]
    wanted = f"{source or DEFAULT_SOURCE}/{snake_case(common_stem(paths))}"
    return next((each for each in all_datasets(sources) if each.id == wanted), None)


def _owner(source: Source, path: Path) -> Dataset | None:
    return source.dataset_of(f"{source.source}/{path.name}")


def _names(paths: Sequence[Path], source: str | None, name: str | None) -> tuple[str, str]:
    source = source or DEFAULT_SOURCE
    name = name or snake_case(common_stem(paths))
    for option, text in (("--source", source), ("--name", name)):
        if text != snake_case(text):
            raise InputError(f"{option} {text!r} is not snake_case; try {snake_case(text)!r}")
    if not name:
        raise InputError(f"{paths[0].name} has no Latin letters to make a name of. Choose one with --name")
    return source, name


def _check_table(sources: Sequence[Source], source: str, name: str) -> None:
    for each in all_datasets(sources):
        if each.table == f"{source}_{name}":
            raise InputError(f"{each.id} has the table raw.{each.table} already. Choose another --source or --name")


def _contract_change(folder: Path, proposal: Proposal, owner: str) -> FileChange:
    for path in sorted(folder.glob("*.yaml")):
        if load_source(path).source == proposal.source:
            before = path.read_text(encoding="utf-8")
            try:
                return FileChange(path, before, add_entry(before, proposal.name, proposal.entry))
            except ValueError as error:
                raise InputError(f"{path}: {error}") from error
    schema = os.path.relpath(CONTRACTS_DIR / "schema.json", folder)
    text = new_file(proposal.source, owner, schema, proposal.name, proposal.entry)
    path = folder / f"{proposal.source}.yaml"
    if path.exists():
        raise InputError(f"{path} exists, but is the contract of another source. Rename it, or choose another --source")
    return FileChange(path, None, text)


def _load_draft(contract: FileChange) -> Source:
    """The source as it will be read from the changed contract file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / contract.path.name
        path.write_text(contract.after, encoding="utf-8")
        try:
            return load_source(path)
        except ContractError as error:
            text = str(error).replace(str(path), str(contract.path))
            raise InputError(
                f"the proposal is not a valid contract, which is a bug; please report it: {text}"
            ) from error


def _dbt_changes(dbt_project: Path, source: Source, dataset: Dataset) -> Iterator[FileChange]:
    folder, core = model_folder(dbt_project, dataset.source), core_folder(dbt_project)
    table = core_model(dataset, dbt_project)
    for path, text in (
        (sources_file(dbt_project, source), render(source)),
        (folder / f"{model_name(dataset)}.sql", render_sql(dataset)),
        (folder / f"{model_name(dataset)}.yml", render_yaml(dataset)),
        (core / f"{table}.sql", render_core_sql(dataset)),
        (core / f"{table}.yml", render_core_yaml(dataset, table, dimension_keys(dbt_project, dataset.source))),
    ):
        before = path.read_text(encoding="utf-8") if path.exists() else None
        if before is not None and path.stem in (model_name(dataset), table):
            raise InputError(
                f"{path} exists, but no contract has {dataset.id}. Remove the file, or choose another --name"
            )
        yield FileChange(path, before, text)


def write_changes(changes: Sequence[FileChange]) -> None:
    """Write all files, or none: each is complete before the first is put in its place.

    Raises: OSError, after what was put in place is as it was before.
    """
    drafts: list[tuple[Path, FileChange]] = []
    done: list[FileChange] = []
    try:
        for change in changes:
            change.path.parent.mkdir(parents=True, exist_ok=True)
            draft = change.path.with_name(f".{change.path.name}.new")
            draft.write_text(change.after, encoding="utf-8")
            drafts.append((draft, change))
        for draft, change in drafts:
            draft.replace(change.path)
            done.append(change)
    except BaseException:  # also an interrupt
        for change in done:
            if change.before is None:
                change.path.unlink(missing_ok=True)
            else:
                change.path.write_text(change.before, encoding="utf-8")
        for draft, change in drafts:
            draft.unlink(missing_ok=True)
            with suppress(OSError):  # a folder that was made for it
                change.path.parent.rmdir()
        raise
