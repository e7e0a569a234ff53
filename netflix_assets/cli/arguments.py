"""What the arguments of several commands mean."""

import click

from netflix_assets.contracts.loading import dataset_by_id
from netflix_assets.contracts.model import Dataset
from netflix_assets.settings import Settings


def find_dataset(settings: Settings, dataset_id: str) -> Dataset:
    """The dataset of an argument DATASET. Raises: click.UsageError with the known datasets if there is none."""
    try:
        return dataset_by_id(settings.sources(), dataset_id)
    except KeyError as error:
        raise click.UsageError(error.args[0]) from error
