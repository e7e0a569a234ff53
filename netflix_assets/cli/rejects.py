"""``rejects``: the records that violate their contract."""

import json
from pathlib import Path

import click

from netflix_assets.cli.arguments import find_dataset
from netflix_assets.cli.output import Failure, print_table, say
from netflix_assets.contracts.visibility import counted
from netflix_assets.settings import current_settings


@click.group()
def rejects() -> None:
    """List, export or replay records that violate their contract."""


@rejects.command("list")
@click.option("--dataset", "dataset_id", metavar="DATASET", help="Only this dataset, such as movielens/ratings.")
@click.option("--limit", default=50, type=click.IntRange(min=0), show_default=True, help="How many to show.")
@click.option("--json", "as_json", is_flag=True, help="Print all of them as JSON.")
def list_rejects(dataset_id: str | None, limit: int, as_json: bool) -> None:
    """List the rejected records of current files."""
    from netflix_assets.operations.rejects import find_rejects

    settings = current_settings()
    found = find_rejects(settings, find_dataset(settings, dataset_id) if dataset_id else None)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    if not found:
        say("No rejected records")
        return
    names = ("dataset", "load_id", "record_number", "object_key", "line_number", "reason")
    print_table(
        ("dataset", "load", "record", "file", "line", "reason"),
        ([str(each[name]) for name in names] for each in found[:limit]),
    )
    if len(found) > limit:
        say(f"{len(found) - limit:,} more; raise --limit to see them")


@rejects.command("show")
@click.argument("dataset_id", metavar="DATASET")
@click.argument("load_id", type=int)
@click.argument("record", type=int)
def show_reject(dataset_id: str, load_id: int, record: int) -> None:
    """Show one rejected record in full.

    DATASET, LOAD_ID and RECORD are as in `rejects list`.
    """
    from netflix_assets.operations.rejects import find_rejects

    settings = current_settings()
    dataset = find_dataset(settings, dataset_id)
    for each in find_rejects(settings, dataset):
        if (each["load_id"], each["record_number"]) == (load_id, record):
            say(f"{each['object_key']} {dataset.position} {each['line_number']}: {each['reason']}")
            for line in each["raw_text"].split("\n"):  # one by one, because `say` escapes line breaks
                say(line)
            return
    raise Failure(f"load {load_id} of {dataset_id} has no rejected record {record}; see netflix-assets rejects list")


@rejects.command("export")
@click.argument("dataset_id", metavar="DATASET")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export_rejects(dataset_id: str, file: Path) -> None:
    """Write rejected records to a file: CSV, or JSON Lines for datasets of JSON and Parquet files.

    Fix them there, then land the file. Lines that are not records have a note (in CSV, in an extra last field): make
    records of them and delete the note. What you do not fix is rejected again.
    """
    from netflix_assets.operations.rejects import export_rejects

    settings = current_settings()
    dataset = find_dataset(settings, dataset_id)
    count = export_rejects(settings, dataset, file)
    if not count:
        say(f"{dataset.id} has no rejected records; nothing written")
        return
    say(f"{counted(count, 'record')} written to {file}")
    if dataset.mode == "overwrite":  # a file with only the fixed records would become the whole table
        say("The newest file is the whole table: fix the records in the file they came from and land that")
    else:
        say(
            f"Name the fixed file {dataset.file_stem}-<anything>.{dataset.export_extension} and land it. The records "
            "stay listed until the file they came from is replaced"
        )


@rejects.command("replay")
@click.argument("dataset_id", metavar="DATASET")
def replay_rejects(dataset_id: str) -> None:
    """Load rejected records that the contract accepts now.

    Use it after the contract of DATASET has changed.
    """
    from netflix_assets.operations.rejects import replay_rejects

    settings = current_settings()
    dataset = find_dataset(settings, dataset_id)
    replay = replay_rejects(settings, dataset)
    for load in replay.loads:
        records = counted(load.rows_loaded, "rejected record")
        say(f"{load.listed.key}: loaded {records} (load {load.load_id} replays load {load.parent_load_id})")
    say(f"{counted(replay.open_count, 'rejected record')} left in {dataset.id}; see netflix-assets rejects list")
    if replay.loads:
        say("To build what depends on the new rows: netflix-assets run")
