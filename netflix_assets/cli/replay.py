"""``replay`` and ``rebuild``: read files again."""

import click

from netflix_assets.cli.arguments import find_dataset
from netflix_assets.cli.output import Failure, say
from netflix_assets.contracts.model import all_datasets
from netflix_assets.contracts.visibility import counted
from netflix_assets.settings import current_settings


@click.command()
@click.argument("dataset_id", metavar="[DATASET]", required=False)
@click.option("--object", "object_key", metavar="KEY", help="Only the object with this key, as `status` prints it.")
def replay(dataset_id: str | None, object_key: str | None) -> None:
    """Validate refused and ignored files again.

    The next run reads them again, for example after a contract has changed. Covers one dataset (movielens/ratings) or
    all. Files that are no longer in the bucket stay refused.
    """
    from netflix_assets.operations.replay import forget_refusals

    settings = current_settings()
    datasets = [find_dataset(settings, dataset_id)] if dataset_id else all_datasets(settings.sources())
    forgotten = forget_refusals(settings, datasets, object_key)
    for each in forgotten:
        say(f"{each.listed.key} was {each.outcome}: {each.reason}")
    if forgotten:
        say(f"{counted(len(forgotten), 'file')} to validate again: netflix-assets run")
    elif object_key is None:
        say("No file in the bucket is refused or ignored; nothing to replay")
    else:
        raise Failure(f"{object_key} is not a refused or ignored file in the bucket; see netflix-assets status")


@click.command()
@click.argument("dataset_id", metavar="DATASET")
def rebuild(dataset_id: str) -> None:
    """Forget everything loaded from a dataset. The next run loads it again from the bucket.

    Use it after a contract has changed the type of a loaded column. Rows of files that are no longer in the bucket are
    lost.
    """
    from netflix_assets.operations.replay import forget_loads

    settings = current_settings()
    dataset = find_dataset(settings, dataset_id)
    if forget_loads(settings, dataset):
        say(f"Forgot all loads of {dataset.id}. To load it again and build what depends on it: netflix-assets run")
    else:
        say("Nothing has been loaded yet; nothing to forget")
