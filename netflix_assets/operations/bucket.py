"""What is in the landing bucket: the objects of each dataset, and what will never load, with where it belongs."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from netflix_assets.contracts.extract import STATE_FOLDER
from netflix_assets.contracts.model import Source, all_datasets
from netflix_assets.contracts.placement import likely_key
from netflix_assets.settings import Settings
from netflix_assets.storage.bucket import landing_bucket
from netflix_assets.storage.local_s3 import unserved_files
from netflix_assets.storage.objects import ObjectVersion, S3ObjectStore
from netflix_assets.storage.retries import BucketError

# How much is read of what does not belong to a source: in a shared bucket that can be millions of objects.
MAX_TOP_LEVEL = 100
MAX_OTHER_FOLDERS = 10
MAX_KEYS_OF_FOLDER = 20


@dataclass(frozen=True)
class Stray:
    """A key or folder that is not loaded. ``problem``: why, and what to do."""

    key: str
    problem: str


@dataclass(frozen=True)
class BucketContents:
    """The objects in the bucket by dataset id, and the strays.

    ``problem``: why the bucket could not be listed, if so; then ``objects`` is None.
    ``extracted_at``: when each dataset of a database was last extracted, whether or not it had changed.
    """

    objects: Mapping[str, Sequence[ObjectVersion]] | None = None
    strays: tuple[Stray, ...] = ()
    problem: str | None = None
    extracted_at: Mapping[str, datetime] = field(default_factory=dict)


def read_bucket(settings: Settings) -> BucketContents:
    """List the bucket. One that cannot be listed is not an error here."""
    sources = settings.sources()
    folder = settings.s3_folder / settings.bucket
    objects: dict[str, list[ObjectVersion]] = {dataset.id: [] for source in sources for dataset in source.datasets}
    if settings.serves_s3 and not folder.exists():  # nothing has landed yet
        return BucketContents(objects)
    strays = [Stray(key, problem) for key, problem in unserved_files(folder)] if settings.serves_s3 else []
    try:
        with landing_bucket(settings).open() as store:
            for source in sources:
                for listed in store.list(f"{source.source}/"):
                    if dataset := source.dataset_of(listed.key):
                        objects[dataset.id].append(listed)
                    elif not _is_folder_marker(listed.key, listed.size):
                        strays.append(Stray(listed.key, _misnamed(sources, listed.key)))
            strays += _outside(sources, store)
            states = {each.key: each.last_modified for each in store.list(STATE_FOLDER)}
    except BucketError as error:
        return BucketContents(strays=tuple(strays), problem=str(error))
    extracted_at = {
        dataset.id: states[dataset.state_key] for dataset in all_datasets(sources) if dataset.state_key in states
    }
    return BucketContents(objects, tuple(strays), extracted_at=extracted_at)


def _is_folder_marker(key: str, size: int) -> bool:
    """Whether an object only stands for a folder, as S3's console and Hadoop make them."""
    return size == 0 and (key.endswith(("/", "_$folder$")) or not key)


def _misnamed(sources: Sequence[Source], key: str) -> str:
    likely = likely_key(sources, key)
    advice = f"rename it to {likely}" if likely else "README.md lists the names that match"
    return f"does not match any dataset and is not loaded; {advice}"


def _outside(sources: Sequence[Source], store: S3ObjectStore) -> Iterator[Stray]:
    """What is outside the sources' folders, with at most ``MAX_OTHER_FOLDERS`` + 1 requests."""
    names = {source.source for source in sources}
    listed, folders = store.peek("", MAX_TOP_LEVEL, delimiter="/")
    others = [each for each in folders if each.removesuffix("/") not in names and each != STATE_FOLDER]
    for folder in others[:MAX_OTHER_FOLDERS]:
        within, _ = store.peek(folder, MAX_KEYS_OF_FOLDER)
        yield from _in_other_folder(sources, folder, _files(within))
    if len(others) > MAX_OTHER_FOLDERS:
        yield Stray(others[MAX_OTHER_FOLDERS], "and the folders after it belong to no source and are not loaded")
    for key in _files(listed):
        yield Stray(key, _misplaced(sources, key))


def _files(listed: Sequence[ObjectVersion]) -> list[str]:
    return [each.key for each in listed if not _is_folder_marker(each.key, each.size)]


def _in_other_folder(sources: Sequence[Source], folder: str, keys: Sequence[str]) -> Iterator[Stray]:
    """The files in a folder of no source that seem to belong to a dataset; one line for all others."""
    ours = [key for key in keys if likely_key(sources, key)]
    for key in ours:
        yield Stray(key, _misplaced(sources, key))
    if len(ours) < len(keys):
        names = ", ".join(source.source for source in sources)
        yield Stray(folder, f"is not the folder of a source ({names}) and is not loaded")


def _misplaced(sources: Sequence[Source], key: str) -> str:
    likely = likely_key(sources, key)
    advice = f"move it to {likely}" if likely else "README.md lists the keys that match"
    return f"is outside the sources' folders and is not loaded; {advice}"
