"""``status``: every dataset and what is published."""

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from typing import TYPE_CHECKING, Any

import click

from netflix_assets.cli.output import print_table, say, warn
from netflix_assets.contracts.visibility import counted
from netflix_assets.settings import Settings, current_settings

if TYPE_CHECKING:
    from netflix_assets.operations.bucket import BucketContents
    from netflix_assets.operations.status import Status

_MAX_STRAYS = 50


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Show all datasets and what is published.

    Shows the objects, versions, rows, rejected records and refused files of each dataset.
    """
    from netflix_assets.operations.status import read_status

    found = read_status(current_settings())
    warn_if_unlisted(found.bucket)
    if as_json:
        click.echo(json.dumps(found.as_json(), indent=2))
    else:
        _print(found)


def _print(found: "Status") -> None:
    unused = _unused_databases(found.datasets)
    print_table(
        ("dataset", "state", "objects", "versions", "rows", "rejected", "refused", "last loaded (UTC)"),
        (_row(dataset) for dataset in found.datasets if dataset["database"] not in unused),
    )
    for dataset in found.datasets:
        for each in dataset["refused"]:
            say(f"{each['object']} {each['outcome']}: {each['reason']}")
        for each in dataset["without_rows"]:
            say(f"{each['object']}: {each['reason']}")
        for warning in dataset["warnings"]:
            say(f"{dataset['dataset']}: {warning}")
    to_load = sum(each["to_load"] or 0 for each in found.datasets)
    if to_load:
        say(f"{counted(to_load, 'file')} to load: netflix-assets run")
    for line in _database_lines(found.datasets, unused):
        say(line)
    for line in bucket_lines(found.bucket):
        say(line)
    for line in publication_lines(found.published):
        say(line)


def _unused_databases(datasets: Sequence[Mapping[str, Any]]) -> Set[str]:
    """The databases from which nothing has been extracted. People who do not use them need not read about them."""
    in_use = {each["database"] for each in datasets if each["state"] != "awaited" or each["extracted_at"]}
    return {each["database"] for each in datasets if each["database"]} - in_use


def _database_lines(datasets: Sequence[Mapping[str, Any]], unused: Set[str]) -> Iterator[str]:
    """When each database was last extracted, in words: the oldest time of its tables."""
    extracted: dict[str, list[str]] = {}
    for each in datasets:
        if each["database"] and each["database"] not in unused and each["extracted_at"]:
            extracted.setdefault(each["database"], []).append(each["extracted_at"])
    for name, times in extracted.items():
        yield f"database {name}: extracted at {_minute(min(times))} UTC"
    if unused:
        yield f"not in use: the databases {', '.join(sorted(unused))} (docs/databases.md)"


def _row(dataset: Mapping[str, Any]) -> list[str]:
    state = dataset["state"] + (" (optional)" if dataset["optional"] and dataset["state"] == "awaited" else "")
    counts = [dataset[name] for name in ("objects", "versions", "rows", "rejected")]
    refused = sum(each["outcome"] == "refused" for each in dataset["refused"])
    last_loaded = _minute(dataset["last_loaded_at"] or "")
    return [dataset["dataset"], state, *(f"{count:,}" for count in (*counts, refused)), last_loaded]


def print_published(settings: Settings) -> None:
    """Print what consumers see, and why it is not the newest build."""
    from netflix_assets.operations.status import read_publication

    for line in publication_lines(read_publication(settings)):
        say(line)


def publication_lines(published: Mapping[str, Any]) -> Iterator[str]:
    """What consumers see, in words."""
    if published["version"]:
        built_at = _minute(published["built_at"])
        yield f"published: {published['place']}, built by run {published['run_id'][:8]} at {built_at} UTC"
    if published["pinned_at"]:
        since = f"pinned since {_minute(published['pinned_at'])} UTC"
        yield f"{since}: version {published['version']} is served, even after newer builds"
    if published["problem"]:
        since = f" since {_minute(published['published_at'])} UTC" if published["version"] else ""
        yield f"not published{since}: {published['problem']}"


def bucket_lines(bucket: "BucketContents") -> Iterator[str]:
    """What is in the bucket and is never loaded, in words."""
    for stray in bucket.strays[:_MAX_STRAYS]:
        name = stray.key if stray.key == stray.key.strip() else repr(stray.key)  # shows a space at the end
        yield f"{name} {stray.problem}"
    if len(bucket.strays) > _MAX_STRAYS:
        yield f"and {len(bucket.strays) - _MAX_STRAYS:,} more that are not loaded; see netflix-assets status --json"


def warn_if_unlisted(bucket: "BucketContents") -> None:
    """Warn where the bucket could not be listed."""
    if bucket.problem:
        warn(f"cannot list the bucket: {bucket.problem}")


def _minute(timestamp: str) -> str:
    return timestamp[:16].replace("T", " ")
