"""``add-dataset``: from unknown files to a contract entry and dbt models."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from netflix_assets.cli.contract import print_details, summary
from netflix_assets.cli.output import EXIT_NOTHING_LOADED, EXIT_REFUSED, fail, print_table, say, spinner
from netflix_assets.contracts.visibility import counted
from netflix_assets.settings import REPO, Settings, current_settings

if TYPE_CHECKING:
    from netflix_assets.contracts.model import Dataset
    from netflix_assets.dev.add_dataset import Comparison, Plan
    from netflix_assets.ingest.profile.dialect import Finding
    from netflix_assets.ingest.profile.proposal import Proposal
    from netflix_assets.ingest.trial import TrialResult


@click.command("add-dataset")
@click.argument(
    "paths", metavar="FILES...", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--source", help="Who the files are from, such as movielens.  [default: files]")
@click.option("--name", help="Name of the dataset.  [default: from the files' names]")
@click.option("--owner", help="Owner of a new source, such as team:sales.  [default: team:unassigned]")
@click.option("--key", metavar="COLUMN[,COLUMN…]", help='Columns that identify a row, or "".  [default: found]')
@click.option("--dry-run", is_flag=True, help="Only show what would be written.")
@click.pass_context
def add_dataset(
    context: click.Context,
    paths: tuple[Path, ...],
    source: str | None,
    name: str | None,
    owner: str | None,
    key: str | None,
    dry_run: bool,
) -> None:
    """Add a dataset for files that no contract describes.

    Profiles the files and proposes how they are written, types, key, mode and freshness, each with the evidence. Writes
    the contract entry, the dbt source, a staging model and a core table, which the next run publishes. Files of a
    dataset that exists are compared with its contract, and nothing is written.

    All FILES must be deliveries of the same dataset.
    """
    from netflix_assets.dev.add_dataset import DEFAULT_OWNER, Plan, plan_dataset
    from netflix_assets.ingest.errors import RefusedError

    settings = current_settings()
    for path in paths:
        if not path.is_file():
            raise click.UsageError(f"{path} is not a regular file. Copy its content to a file")
    try:
        with spinner("reading the files"):
            plan = plan_dataset(settings, paths, source, name, owner or DEFAULT_OWNER, _columns(key))
    except RefusedError as error:
        fail(f"netflix-assets: {error.reason}")
        context.exit(EXIT_REFUSED)
    _print_proposal(plan.proposal)
    if isinstance(plan, Plan):
        context.exit(_finish_plan(settings, plan, dry_run=dry_run))
    context.exit(_print_comparison(plan))


def _columns(key: str | None) -> list[str] | None:
    return None if key is None else [each.strip() for each in key.split(",") if each.strip()]


def _print_proposal(proposal: "Proposal") -> None:
    say(f"{proposal.source}/{proposal.name}: looked at {proposal.looked_at}")
    say()
    _print_findings(proposal.findings)
    say()
    print_table(
        ("column", "type", "because", "or"),
        ((each.name, _type_text(each), each.evidence, "; ".join(each.alternatives)) for each in proposal.columns),
    )
    say()


def _type_text(column: object) -> str:
    options = getattr(column, "options", {})
    return f"{getattr(column, 'type', '')}{', nullable' if options.get('nullable') else ''}"


def _print_findings(findings: Sequence["Finding"]) -> None:
    print_table(
        ("what", "proposal", "because", "or"),
        ((each.subject, each.proposal, each.evidence, each.alternatives) for each in findings),
    )


def _finish_plan(settings: Settings, plan: "Plan", *, dry_run: bool) -> int:
    from netflix_assets.dev.add_dataset import write_changes

    for change in plan.changes:
        for line in change.diff(REPO).splitlines():
            say(line)
    say()
    code = _print_results(plan.dataset, plan.results)
    if dry_run:
        say("Nothing is written (--dry-run)")
        return code
    write_changes(plan.changes)
    say(f"Wrote {', '.join(_shown(change.path) for change in plan.changes)}")
    say(f"Edit the descriptions in {_shown(plan.changes[0].path)}, then: make sources")
    named = "" if plan.is_landed_by_name else f" --as {plan.dataset.id}"
    files = " ".join(shlex.quote(str(result.path)) for result in plan.results[:3])
    more = " …" if len(plan.results) > 3 else ""
    say(f"To load: netflix-assets land{named} {files}{more} && netflix-assets run")
    return code


def _shown(path: Path) -> str:
    return path.relative_to(REPO).as_posix() if path.is_relative_to(REPO) else str(path)


def _print_results(dataset: "Dataset", results: Sequence["TrialResult"]) -> int:
    """Print what the files give under the contract, and return the exit code that says so."""
    for result in results:
        say(f"{result.path.name}: {summary(result)}")
        print_details(dataset, result)
    if any(result.outcome == "refused" for result in results):
        return EXIT_REFUSED
    return EXIT_NOTHING_LOADED if any(result.outcome == "loads" and not result.rows for result in results) else 0


def _print_comparison(comparison: "Comparison") -> int:
    code = _print_results(comparison.dataset, comparison.results)
    if comparison.differences:
        say()
        say(f"The contract of {comparison.dataset.id} would have to change; nothing is written:")
        _print_findings(comparison.differences)
    else:
        say(f"The contract of {comparison.dataset.id} {_verdict(comparison.results)}")
    return code


def _verdict(results: Sequence["TrialResult"]) -> str:
    """Whether a contract fits files in which nothing was found that it would have to change for."""
    lost = [each.path.name for each in results if each.outcome == "refused" or (each.rejected and not each.rows)]
    if lost:
        return f"does not fit: no record of {', '.join(lost)} would load, for the reason above"
    rejected = sum(each.rejected for each in results)
    return f"fits, except for {counted(rejected, 'rejected record')}" if rejected else "fits; nothing to change"
