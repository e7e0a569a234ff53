"""Check files against the contract without loading them."""

from collections.abc import Iterable, Iterator
from pathlib import Path

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.trial import TrialResult, check_files
from netflix_assets.operations.landing import object_keys
from netflix_assets.settings import Settings


def check_contract(
    settings: Settings, paths: Iterable[Path], dataset: Dataset | None = None
) -> Iterator[tuple[Dataset, TrialResult]]:
    """What would load from each file: the code of a load, into a temporary warehouse. Yields results as they come.

    Files are checked one by one: what the bucket holds does not matter. ``dataset``: None takes the dataset from each
    file's name.

    Raises: InputError when a file's name does not fit; OSError when a file cannot be read.
    """
    sources = settings.sources()
    for key, path in object_keys(sources, paths, dataset).items():
        owner = dataset or next(each for source in sources if (each := source.dataset_of(key)))
        for result in check_files(owner, [path], settings.home / "tmp"):
            yield owner, result
