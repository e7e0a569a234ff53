"""``contract``: show a contract, check files against it, and export or import it."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netflix_assets.cli.arguments import find_dataset
from netflix_assets.cli.output import EXIT_NOTHING_LOADED, EXIT_REFUSED, print_table, say, spinner, warn
from netflix_assets.contracts.visibility import counted
from netflix_assets.settings import current_settings

if TYPE_CHECKING:
    from netflix_assets.contracts.model import Dataset
    from netflix_assets.ingest.trial import TrialResult

_MAX_REASONS = 20


@click.group()
def contract() -> None:
    """Show a contract, check files against it, export or import it."""


@contract.command("show")
@click.argument("dataset_id", metavar="DATASET")
def show_contract(dataset_id: str) -> None:
    """Show what the contract of DATASET says.

    Prints its files, how they are written, and each column with its type and rules.
    """
    from netflix_assets.contracts.describe import describe_column, describe_dataset

    dataset = find_dataset(current_settings(), dataset_id)
    say(dataset.id)
    for name, text in describe_dataset(dataset):
        say(f"  {name:<12} {text}")
    say()
    print_table(
        ("column", "in the file", "type and rules", "missing or wrong value"),
        (describe_column(dataset, column) for column in dataset.columns),
    )


@contract.command("export")
@click.argument("dataset_ids", nargs=-1, metavar="[DATASET]...")
@click.option(
    "--out",
    "folder",
    metavar="FOLDER",
    default=Path("contracts"),
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Where the files go.",
)
def export_contract(dataset_ids: tuple[str, ...], folder: Path) -> None:
    """Write contracts as documents of the Open Data Contract Standard.

    One YAML file for each DATASET, or for all: FOLDER/<source>/<dataset>.odcs.yaml.
    """
    from netflix_assets.operations.contract_export import export_contracts

    settings = current_settings()
    exported = dict(export_contracts(settings, [find_dataset(settings, each) for each in dataset_ids]))
    for dataset_id, text in exported.items():
        file = folder / f"{dataset_id}.odcs.yaml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    say(f"{counted(len(exported), 'contract')} in {folder}")


@contract.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def import_contract(file: Path) -> None:
    """Print the contract file for FILE, a document of the Open Data Contract Standard.

    Standard error names what is left out because a contract cannot say it, and what is assumed because FILE does not
    say it.
    """
    from netflix_assets.dev.contract_import import import_contract

    imported = import_contract(file)
    for each in imported.notes:
        warn(f"warning: {each}")
    click.echo(imported.text, nl=False)


@contract.command("check")
@click.argument(
    "paths", metavar="FILES...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--as", "dataset_id", metavar="DATASET", help="The dataset of files whose names do not match one.")
@click.pass_context
def check_contract(context: click.Context, paths: tuple[Path, ...], dataset_id: str | None) -> None:
    """Check files against their contract, without loading them.

    Runs the code of a load in a temporary warehouse. Exits with 3 if a file would be refused, with 4 if a file would
    load none of its records.
    """
    from netflix_assets.operations.contract_check import check_contract

    settings = current_settings()
    dataset = find_dataset(settings, dataset_id) if dataset_id else None
    code = 0
    with spinner("checking"):
        for owner, result in check_contract(settings, paths, dataset):
            say(f"{result.path.name} as {owner.id}: {summary(result)}")
            print_details(owner, result)
            code = _worse(code, result)
    context.exit(code)


def _worse(code: int, result: "TrialResult") -> int:
    if EXIT_REFUSED in (code, EXIT_REFUSED if result.outcome == "refused" else 0):
        return EXIT_REFUSED
    return EXIT_NOTHING_LOADED if result.outcome == "loads" and result.rows == 0 else code


def summary(result: "TrialResult") -> str:
    """What would load from a file, in one line."""
    if result.outcome != "loads":
        return f"{result.outcome}: {result.reason}"
    rejected = f", {result.rejected:,} rejected" if result.rejected else ""
    return f"{counted(result.records or 0, 'record')}, {counted(result.rows, 'row')} would load{rejected}"


def print_details(dataset: "Dataset", result: "TrialResult") -> None:
    """Print why records would be rejected, and the warnings."""
    for reason in result.reasons[:_MAX_REASONS]:
        more = ", …" if reason.count > len(reason.lines) else ""
        lines = ", ".join(f"{line:,}" for line in reason.lines)
        places = f"{dataset.position}{'s' if reason.count > 1 else ''} {lines}{more}"
        say(f"  {reason.count:>7,} rejected, {places}: {reason.text}")
    if len(result.reasons) > _MAX_REASONS:
        say(f"  and {counted(len(result.reasons) - _MAX_REASONS, 'more reason')}")
    for warning in result.warnings:
        warn(f"  warning: {warning}")
