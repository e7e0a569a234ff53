"""Put files into the landing bucket under the keys of their datasets."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from netflix_assets.contracts.model import Dataset, Source, all_datasets
from netflix_assets.operations.errors import InputError
from netflix_assets.settings import Settings
from netflix_assets.storage.bucket import landing_bucket


def land_files(
    settings: Settings,
    paths: Iterable[Path],
    dataset: Dataset | None = None,
    uploading: Callable[[Path], AbstractContextManager[object]] = nullcontext,
) -> Iterator[tuple[Path, str]]:
    """Upload files, one after the other. Yields each path with the object's address once it is uploaded.

    ``dataset``: None takes the dataset from each file's name.
    ``uploading``: a context around the upload of each file, for example a spinner.

    Raises: InputError, before anything is uploaded; BucketError.
    """
    keys = object_keys(settings.sources(), paths, dataset)
    with landing_bucket(settings).open() as store:
        for key, path in keys.items():
            with uploading(path):
                store.put(key, path)
            yield path, f"s3://{settings.bucket}/{settings.bucket_prefix}{key}"


def object_keys(sources: Sequence[Source], paths: Iterable[Path], dataset: Dataset | None = None) -> Mapping[str, Path]:
    """The object key of each file. ``dataset``: None takes the dataset from the file's name.

    Raises: InputError when a file is not a regular one, when its name matches no dataset or several, or when two files
    get the same key.
    """
    keys: dict[str, Path] = {}
    for path in paths:
        if not path.is_file():
            raise InputError(f"{path} is not a regular file. Copy its content to a file and land that")
        key = _object_key(sources, path.name, dataset)
        if key in keys:
            raise InputError(f"{keys[key]} and {path} would both become {key}. Rename one of them")
        keys[key] = path
    return keys


def _object_key(sources: Sequence[Source], name: str, dataset: Dataset | None) -> str:
    if not name.isprintable():
        raise InputError(f"the file name {name!r} has a character that cannot be printed. Rename the file")
    return _key_by_name(sources, name) if dataset is None else _key_in(dataset, name)


def _key_in(dataset: Dataset, name: str) -> str:
    for key in (f"{dataset.source}/{name}", f"{dataset.key_prefix}/{name}"):
        if dataset.owns_key(key):
            return key
    raise InputError(f"'{name}' does not end in .{dataset.extension} {dataset.other_extensions}. Rename the file")


def _key_by_name(sources: Sequence[Source], name: str) -> str:
    keys = [f"{source.source}/{name}" for source in sources if source.dataset_of(f"{source.source}/{name}")]
    if not keys:
        raise InputError(f"'{name}' does not match any dataset. {_advice(sources, name)}")
    if len(keys) > 1:
        raise InputError(f"'{name}' matches several datasets ({', '.join(keys)}). Choose one with --as DATASET")
    return keys[0]


def _advice(sources: Sequence[Source], name: str) -> str:
    """How to rename a file that matches no dataset."""
    lower = name.lower()
    if any(source.dataset_of(f"{source.source}/{lower}") for source in sources):
        return f"Names are lower case: rename it to '{lower}'"
    datasets = all_datasets(sources)
    meant = [dataset for dataset in datasets if lower.startswith(dataset.file_stem)]
    if meant:
        names = " or ".join(f"{dataset.file_stem}-<anything>.{dataset.extension}" for dataset in meant)
        return f"Rename it ({names}) or pass --as DATASET"
    known = ", ".join(f"{dataset.id} ({dataset.file_stem}-<anything>.{dataset.extension})" for dataset in datasets)
    return f"Rename it, pass --as DATASET, or add a dataset for it with netflix-assets add-dataset. Datasets: {known}"
