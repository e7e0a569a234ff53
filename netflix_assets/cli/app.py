"""The command ``netflix-assets``. Heavy imports (Dagster, dbt) happen in the commands that need them.

Exit codes: 0 done (rejects within tolerance are fine), 1 failed, 2 wrong use, 3 done but objects were refused, 130
stopped. Does not belong here: anything but reading arguments, calling the pieces and printing.
"""

import filecmp
import hashlib
import io
import json
import logging
import shutil
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from netflix_assets.alerts.rules import AlertsError
from netflix_assets.contracts.loading import ContractError, dataset_by_id
from netflix_assets.contracts.model import Dataset, Source, all_datasets
from netflix_assets.ingest import replay as replays_of
from netflix_assets.settings import Settings, SettingsError, current_settings
from netflix_assets.storage.objects import ObjectVersion
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.errors import WarehouseError
from netflix_assets.warehouse.loads import Load, RefusedObject

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_REFUSED = 3

_PIPE_WIDTH = 200  # characters a line where the output is no terminal: nothing is folded at 80

# No markup: what is printed are file names and values that may look like it.
out = Console(highlight=False, markup=False, width=None if sys.stdout.isatty() else _PIPE_WIDTH)
err = Console(stderr=True, highlight=False, markup=False, width=None if sys.stderr.isatty() else _PIPE_WIDTH)


class Failure(click.ClickException):
    """Something that went wrong, told in one line."""

    exit_code = EXIT_FAILED

    def show(self, file: Any = None) -> None:
        """Print the message."""
        err.print(f"netflix-assets: {self.message}", style="red")


def main() -> None:
    """Run the command line; no traceback reaches the user for anything that has a name."""
    from netflix_assets.storage.local_s3 import LocalS3Error
    from netflix_assets.storage.retries import BucketError

    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names and values may have letters that it has not
    try:
        sys.exit(cli(standalone_mode=False))  # the code that a command gave to context.exit, or None
    except click.exceptions.Abort:
        err.print("stopped")
        sys.exit(130)
    except click.UsageError as error:
        error.show()
        sys.exit(EXIT_USAGE)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (SettingsError, ContractError, AlertsError) as error:
        Failure(str(error)).show()
        sys.exit(EXIT_USAGE)
    except (WarehouseError, BucketError, LocalS3Error) as error:
        Failure(str(error)).show()
        sys.exit(EXIT_FAILED)
    except OSError as error:
        home = current_settings().home
        is_below = error.filename is not None and Path(str(error.filename)).is_relative_to(home)
        Failure(f"{error} (NETFLIX_HOME={home})" if is_below else str(error)).show()
        sys.exit(EXIT_FAILED)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="netflix-assets")
def cli() -> None:
    """CSV files from an S3 bucket, turned into trusted, tested, documented tables.

    All state is under $NETFLIX_HOME (default: .netflix in the repository).
    """


@cli.command()
@click.option("--scale", default=1.0, show_default=True, help="Size of the sample; 1 is 60,000 ratings, 6,000 titles.")
@click.pass_context
def demo(context: click.Context, scale: float) -> None:
    """Generate sample files, land them, run everything and show a few answers."""
    settings = current_settings()
    if settings.env != "local":
        raise click.UsageError(f"demo is for NETFLIX_ENV=local, not {settings.env}")
    with tempfile.TemporaryDirectory() as folder:
        with err.status("generating sample files"):
            paths = _generated(Path(folder), scale, seed=1)
        _refuse_other_files(settings, paths)
        _land(settings, paths, dataset=None)
    outcome = 0
    if _is_level(settings):
        out.print("everything is built from these files already; nothing to do")
    else:
        outcome = _run(settings, select=None, full_refresh=False)
    if outcome != EXIT_FAILED:
        _print_answers(settings)
        out.print(f"\nThe files are in   {settings.s3_folder / settings.bucket}")
        out.print(f"The tables are in  {settings.warehouse_file}")
        out.print(f"For your tools     {settings.published_folder / 'current' / 'netflix.duckdb'}")
        out.print(
            f"The dashboards     {_first_page(settings).as_uri()}    (or: netflix-assets dashboards)", soft_wrap=True
        )
        out.print("Watch the graph    make ui    (http://127.0.0.1:3000)")
    context.exit(outcome)


@cli.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as", "dataset_id", metavar="DATASET", help="The dataset, where a file's name does not tell it.")
def land(paths: tuple[Path, ...], dataset_id: str | None) -> None:
    """Put files into the bucket, under the key that the contract gives them.

    A file belongs to the dataset that it is called after: ratings.csv and ratings-<anything>.csv (also .csv.gz) to
    movielens/ratings, titles.csv to netflix/titles. A file of another name needs --as.
    """
    settings = current_settings()
    _land(settings, paths, _dataset(settings.sources(), dataset_id) if dataset_id else None)


@cli.command()
@click.option(
    "--select", metavar="SELECTION", help="Dagster asset selection, e.g. 'group:raw' or 'raw/movielens/tags'."
)
@click.option("--full-refresh", is_flag=True, help="Rebuild incremental models from all current rows.")
@click.pass_context
def run(context: click.Context, select: str | None, full_refresh: bool) -> None:
    """Run the graph once: load what is new in the bucket, build and test everything that follows."""
    context.exit(_run(current_settings(), select, full_refresh))


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def status(as_json: bool) -> None:
    """Show the ledger (for every dataset its objects, versions, rows, rejects, refused files) and what is published."""
    from netflix_assets.operations.status import dataset_status, publication_lines

    settings = current_settings()
    with _ledger(settings) as warehouse:
        states = [dataset_status(dataset, warehouse) for dataset in all_datasets(settings.sources())]
        published = _published(settings, warehouse)
    strays = _strays(settings)
    if as_json:
        report = {
            "home": str(settings.home),
            "env": settings.env,
            "datasets": states,
            "of_no_dataset": strays,
            "published": published,
        }
        click.echo(json.dumps(report, indent=2))
        return
    table = _table("dataset", "state", "objects", "versions", "rows", "rejected", "refused", "last loaded (UTC)")
    for state in states:
        refused = sum(each["outcome"] == "refused" for each in state["refused"])
        waiting = state["state"] + (" (optional)" if state["optional"] and state["state"] == "awaited" else "")
        loaded_at = (state["last_loaded_at"] or "")[:16].replace("T", " ")
        counts = [state[name] for name in ("objects", "versions", "rows", "rejected")]
        table.add_row(state["dataset"], waiting, *(f"{count:,}" for count in (*counts, refused)), loaded_at)
    out.print(table)
    for state in states:
        for each in state["refused"]:
            out.print(f"{each['object']} {each['outcome']}: {each['reason']}", soft_wrap=True)
    for key in strays:
        out.print(_of_no_dataset(key), soft_wrap=True)
    for line in publication_lines(published):
        out.print(line, soft_wrap=True)


@cli.group()
def rejects() -> None:
    """Look at the records that broke the contract, or export them to mend them."""


@rejects.command("list")
@click.option("--dataset", "dataset_id", metavar="DATASET", help="Only of this dataset, e.g. movielens/ratings.")
@click.option("--limit", default=50, type=click.IntRange(min=0), show_default=True, help="How many to show.")
@click.option("--json", "as_json", is_flag=True, help="Print all of them as JSON.")
def list_rejects(dataset_id: str | None, limit: int, as_json: bool) -> None:
    """List the rejected records of current files."""
    found = _rejects(dataset_id)
    if as_json:
        click.echo(json.dumps(found, indent=2))
        return
    table = _table("dataset", "load", "record", "file", "line", "reason")
    for each in found[:limit]:
        table.add_row(
            each["dataset"], str(each["load_id"]), str(each["record_number"]), each["object_key"],
            str(each["line_number"]), each["reason"],
        )  # fmt: skip
    out.print(table if found else "no rejected records")
    if len(found) > limit:
        out.print(f"{len(found) - limit:,} more; see --limit")


@rejects.command("show")
@click.argument("dataset_id", metavar="DATASET")
@click.argument("load_id", type=int)
@click.argument("record", type=int)
def show_reject(dataset_id: str, load_id: int, record: int) -> None:
    """Show one rejected record whole; DATASET, LOAD_ID and RECORD as `rejects list` prints them."""
    for each in _rejects(dataset_id):
        if (each["load_id"], each["record_number"]) == (load_id, record):
            out.print(f"{each['object_key']} line {each['line_number']}: {each['reason']}")
            out.print(each["raw_text"], soft_wrap=True)
            return
    raise Failure(f"no rejected record {record} in load {load_id} of {dataset_id}; see `netflix-assets rejects list`")


@rejects.command("export")
@click.argument("dataset_id", metavar="DATASET")
@click.argument("file", type=click.Path(dir_okay=False, path_type=Path))
def export_rejects(dataset_id: str, file: Path) -> None:
    """Write the rejected records of a dataset as a CSV file: mend it, then `netflix-assets land` it."""
    from netflix_assets.operations.status import write_rejects

    dataset = _dataset(current_settings().sources(), dataset_id)
    try:
        count = write_rejects(dataset, _rejects(dataset_id), file)
    except FileExistsError as error:
        raise click.UsageError(f"{file} is there already; name another file") from error
    if dataset.mode == "overwrite":  # a file of the mended records alone would become the whole table
        advice = "mend them in the file they came from and land that, since the newest file is the whole table"
    else:
        advice = (
            f"name the mended file {dataset.file_stem}-<anything>.csv and land it (these records stay listed for as "
            "long as the file they came from is in the bucket as it is)"
        )
    out.print(f"{count:,} records written to {file}; {advice}")


@rejects.command("replay")
@click.argument("dataset_id", metavar="DATASET")
def replay_rejects(dataset_id: str) -> None:
    """Try the rejected records of a dataset again, after a change of its contract: those that pass now are loaded."""
    settings = current_settings()
    dataset = _dataset(settings.sources(), dataset_id)
    replays, still_open = _replay_rejects(settings, dataset)
    for load in replays:
        out.print(
            f"{load.listed.key}: {load.rows_loaded:,} records pass now and were loaded "
            f"(load {load.load_id} replays load {load.parent_load_id})",
        )
    out.print(f"{still_open:,} rejected records of {dataset.id} are left; see `netflix-assets rejects list`")
    if replays:
        out.print("to build what follows from them: netflix-assets run")


@cli.command()
@click.argument("dataset_id", metavar="[DATASET]", required=False)
@click.option("--object", "object_key", metavar="KEY", help="Only the object of this key, as `status` prints it.")
def replay(dataset_id: str | None, object_key: str | None) -> None:
    """Judge refused and ignored files again at the next run, after a change of the contract, say.

    Of one dataset (movielens/ratings) or of all; files that are not in the bucket any more stay as they are.
    """
    settings = current_settings()
    sources = settings.sources()
    datasets = [_dataset(sources, dataset_id)] if dataset_id else all_datasets(sources)
    forgotten = _forget_refusals(settings, datasets, object_key)
    for each in forgotten:
        out.print(f"{each.listed.key} was {each.outcome}: {each.reason}")
    if forgotten:
        out.print(f"{len(forgotten)} forgotten; to judge them again: netflix-assets run")
    elif object_key is None:
        out.print("no file in the bucket is refused or ignored; nothing to replay")
    else:
        raise Failure(f"no file {object_key} in the bucket is refused or ignored; see `netflix-assets status`")


@cli.command()
@click.argument("dataset_id", metavar="DATASET")
def rebuild(dataset_id: str) -> None:
    """Forget what was loaded of a dataset, so that the next run loads all of it anew from the bucket.

    For a contract whose types have changed under a loaded table. Rows of files that have left the bucket are lost.
    """
    from netflix_assets.defs.resources import warehouse

    settings = current_settings()
    dataset = _dataset(settings.sources(), dataset_id)
    with warehouse(settings).open() as connection:
        connection.forget_dataset(dataset)
    out.print(f"{dataset.id} is forgotten; to load it anew and build what follows: netflix-assets run")


@cli.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
def reset(yes: bool) -> None:
    """Remove all state: the local bucket, the warehouse, Dagster's history. What `fetch` has downloaded stays."""
    from netflix_assets.storage.local_s3 import is_leased

    home = current_settings().home
    if (home / "dbt" / "dbt_project.yml").exists():
        raise click.UsageError(f"NETFLIX_HOME={home} is a source folder, not a home of these commands; nothing removed")
    found = [path for name in _STATE for path in sorted(home.glob(name))]
    if not found:
        out.print(f"nothing to remove in {home}")
        return
    if not yes:
        click.confirm(f"Remove {', '.join(path.name for path in found)} from {home}?", abort=True)
    if is_leased(home):
        raise Failure(f"the UI or a run of {home} is under way; stop it first. Nothing is removed")
    for path in found:
        shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
    out.print(f"removed {len(found)} entries from {home}")


@cli.group()
def alerts() -> None:
    """Who is told when something goes wrong (docs/alerts.md)."""


@alerts.command("test")
def test_alert() -> None:
    """Send one test alert to Slack and SNS, as far as they are set."""
    from netflix_assets.alerts.test_alert import AlertNotSentError, send_test_alert
    from netflix_assets.defs.alerts.slack_resource import open_chat

    try:
        settings = current_settings()
        for line in send_test_alert(settings, open_chat(settings, logging.getLogger(__name__))):
            out.print(line)
    except AlertNotSentError as error:
        raise Failure(str(error)) from error


# What the commands keep under $NETFLIX_HOME; nothing else in that folder is touched.
_STATE = (
    "s3",
    "s3-cache",
    "local-s3*",
    "ui.lock",
    "warehouse.duckdb*",
    "dagster",
    "dbt",
    "dbt*.lock",
    "tmp",
    "published",
    "dashboards",
    "docs",
    "bench",
)


@cli.command()
@click.argument("folder", type=click.Path(file_okay=False, path_type=Path))
@click.option("--scale", default=1.0, show_default=True, help="1 is 60,000 ratings and a catalogue of 6,000 titles.")
@click.option("--seed", default=1, show_default=True, help="The same seed and scale give the same bytes.")
def generate(folder: Path, scale: float, seed: int) -> None:
    """Write sample files of every source into FOLDER: ratings like MovieLens', a catalogue like Netflix'.

    A file that is there already and is not the same is never replaced.
    """
    with tempfile.TemporaryDirectory() as drafts, err.status("generating"):
        made = _generated(Path(drafts), scale, seed)
        for path in made:
            there = folder / path.name
            if there.exists() and not filecmp.cmp(path, there, shallow=False):
                raise click.UsageError(f"{there} is there already and is another file; name another folder")
        folder.mkdir(parents=True, exist_ok=True)
        paths = [Path(shutil.move(path, folder / path.name)) for path in made]
    for path in paths:
        out.print(f"{path}  {path.stat().st_size:,} bytes", soft_wrap=True)


@cli.command()
@click.argument("what", type=click.Choice(["movielens"]))
@click.option("--release", type=click.Choice(["ml-latest-small", "ml-25m", "ml-32m"]), default="ml-latest-small")
@click.option("--to", "folder", type=click.Path(file_okay=False, path_type=Path), help="Where to put the files.")
@click.option("--base-url", default=None, help="A mirror of GroupLens' download folder.")
def fetch(what: str, release: Any, folder: Path | None, base_url: str | None) -> None:
    """Download a MovieLens release, check it and unpack its CSV files (read GroupLens' licence before you use them)."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TransferSpeedColumn

    from netflix_assets.dev.fetch import DownloadError, fetch_movielens

    target = folder or current_settings().home / "downloads" / release
    with Progress("{task.description}", BarColumn(), DownloadColumn(), TransferSpeedColumn(), console=err) as bars:
        task = bars.add_task(f"{what} {release}", total=None)
        try:
            paths = fetch_movielens(
                release,
                target,
                progress=lambda done, total: bars.update(task, completed=done, total=total),
                **({"base_url": base_url} if base_url else {}),
            )
        except DownloadError as error:
            raise Failure(str(error)) from error
    for path in paths:
        out.print(f"{path}  {path.stat().st_size:,} bytes", soft_wrap=True)
    out.print(f"now land them: netflix-assets land {target}/*.csv", soft_wrap=True)


@cli.command()
@click.option(
    "--port",
    default=3000,
    type=click.IntRange(1, 65535),
    show_default=True,
    envvar="UI_PORT",
    help="Port of the web page.",
)
def ui(port: int) -> None:
    """Serve the Dagster UI with the daemon and the local S3, until Ctrl-C."""
    from netflix_assets.dev.ui import serve

    settings = current_settings()
    serve(settings, port, announce=lambda text: out.print(text, soft_wrap=True))


@cli.command()
@click.option(
    "--port",
    default=3100,
    type=click.IntRange(1, 65535),
    show_default=True,
    envvar="DASHBOARDS_PORT",
    help="Port of the web pages.",
)
@click.option("--browser/--no-browser", default=True, show_default=True, help="Open them in the browser.")
def dashboards(port: int, browser: bool) -> None:
    """Serve the dashboards on this machine, until Ctrl-C; they also open as files, without this."""
    from netflix_assets.dashboards.server import serve as serve_dashboards

    settings = current_settings()
    folder = settings.dashboards_folder
    if not _first_page(settings).exists():
        raise Failure(f"there are no pages in {folder} yet; `netflix-assets run` builds them, `demo` with sample files")
    serve_dashboards(folder, port, lambda text: out.print(text, soft_wrap=True), open_browser=browser)


# ---------------------------------------------------------------------------------------------------------------------


def _generated(folder: Path, scale: float, seed: int) -> list[Path]:
    from netflix_assets.dev.samples import generate as generate_samples

    try:
        return generate_samples(folder, scale, seed)
    except ValueError as error:
        raise click.UsageError(str(error)) from error


def _land(settings: Settings, paths: Iterable[Path], dataset: Dataset | None) -> None:
    sources = settings.sources()
    keys: dict[str, Path] = {}
    for path in paths:
        if not path.is_file():
            raise click.UsageError(f"{path} is no regular file (a pipe, a device); write it to a file and land that")
        key = _object_key(sources, path, dataset)
        if key in keys:
            raise click.UsageError(f"{keys[key]} and {path} would both become {key}; give one of them another name")
        keys[key] = path
    from netflix_assets.defs.resources import landing_bucket

    with landing_bucket(settings).open() as store:
        for key, path in keys.items():
            with err.status(Text(f"landing {path.name}")):
                store.put(key, path)
            out.print(f"{path.name} -> s3://{settings.bucket}/{settings.bucket_prefix}{key}", soft_wrap=True)


def _refuse_other_files(settings: Settings, samples: Iterable[Path]) -> None:
    """Keep invented ratings away from real ones, and real files from being replaced by samples of the same name."""
    from netflix_assets.defs.resources import landing_bucket

    sources = settings.sources()
    own = {_object_key(sources, path, None): path for path in samples}
    with landing_bucket(settings).open() as store:
        there = [each for source in sources for each in store.list(f"{source.source}/")]
    same = {each.key for each in there if each.key in own and _has_content(each, own[each.key])}
    others = [each.key for each in there if each.key not in same]
    if others and same != set(own):
        raise click.UsageError(
            f"the bucket has {others[0]}, which is not of these samples; demo is for a home of its own: "
            "set NETFLIX_HOME to another folder, or remove what is here with `netflix-assets reset`"
        )


def _has_content(listed: ObjectVersion, path: Path) -> bool:
    """Whether an object is this file; one that came in parts has an ETag that only its sender can check."""
    if listed.size != path.stat().st_size:
        return False
    return "-" in listed.etag or listed.etag == hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def _object_key(sources: Sequence[Source], path: Path, dataset: Dataset | None) -> str:
    if not path.name.isprintable():
        raise click.UsageError(f"the name {path.name!r} has a character that cannot be printed in it; rename the file")
    if dataset is not None:
        key = f"{dataset.source}/{path.name}"
        key = key if dataset.owns_key(key) else f"{dataset.key_prefix}/{path.name}"
        if not dataset.owns_key(key):
            raise click.UsageError(f"'{path.name}' must end in .csv or .csv.gz (small letters); rename the file")
        return key
    found = [f"{source.source}/{path.name}" for source in sources if source.dataset_of(f"{source.source}/{path.name}")]
    if not found:
        raise click.UsageError(f"'{path.name}' is no file of a known dataset; {_advice(sources, path.name)}")
    if len(found) > 1:
        raise click.UsageError(f"'{path.name}' could be {' or '.join(found)}; say which with --as DATASET")
    return found[0]


def _advice(sources: Sequence[Source], name: str) -> str:
    """What to do about a file name that no dataset takes: the small letters that one would, or what is taken."""
    small = name.lower()
    if any(source.dataset_of(f"{source.source}/{small}") for source in sources):
        return f"names are in small letters: rename it to '{small}'"
    datasets = all_datasets(sources)
    meant = [each for each in datasets if small.startswith(each.file_stem)] or datasets
    taken = "; ".join(f"{each.id} takes {each.file_names}" for each in meant)
    return f"{taken}. Rename it, or say which with --as DATASET"


def _dataset(sources: Sequence[Source], dataset_id: str) -> Dataset:
    try:
        return dataset_by_id(sources, dataset_id)
    except KeyError as error:
        raise click.UsageError(error.args[0]) from error


def _run(settings: Settings, select: str | None, full_refresh: bool) -> int:
    started = time.monotonic()
    with err.status("loading the definitions") as status:
        from netflix_assets.defs.dbt.project import DbtProjectError

        try:
            from netflix_assets.definitions import load_defs

            defs = load_defs(settings)
        except DbtProjectError as error:
            raise Failure(str(error)) from error
        from netflix_assets.defs.published import PUBLISHED_KEY
        from netflix_assets.operations.instance import SelectionError, run_graph

        status.update("starting")
        try:
            outcome = run_graph(
                settings,
                defs,
                select=select,
                full_refresh=full_refresh,
                progress=lambda text: status.update(Text(_one_line(text))),
            )
        except SelectionError as error:
            raise click.UsageError(str(error)) from error
    for check in outcome.failed_checks:
        err.print(f"check failed: {check}: {outcome.told[check]}", style="red", soft_wrap=True)
    for check in outcome.warned_checks:
        err.print(f"check warns: {check}: {outcome.told[check]}", style="yellow", soft_wrap=True)
    for asset, warning in outcome.warnings:
        err.print(f"{asset}: {warning}", style="yellow", soft_wrap=True)
    for message in outcome.errors:
        err.print(message, style="red", soft_wrap=True)
    out.print(
        f"run {outcome.run_id} {'succeeded' if outcome.success else 'FAILED'} in {time.monotonic() - started:.0f} s: "
        f"{len(set(outcome.materialized))} assets built, {outcome.passed_checks} checks passed, "
        f"{len(outcome.warned_checks)} warned, {len(outcome.failed_checks)} failed"
    )
    if select is None or PUBLISHED_KEY.to_user_string() in outcome.materialized:
        _print_published(settings)
    if any(key.startswith("dashboards/") for key in outcome.materialized):
        out.print(f"dashboards: {_first_page(settings).as_uri()}, or: netflix-assets dashboards", soft_wrap=True)
    if not outcome.success:
        return EXIT_FAILED
    for dataset, reason in outcome.refused:
        err.print(f"{dataset}: {reason}", style="yellow", soft_wrap=True)
    for key in _strays(settings):
        err.print(_of_no_dataset(key), style="yellow", soft_wrap=True)
    return EXIT_REFUSED if outcome.refused else 0


def _strays(settings: Settings) -> list[str]:
    """The keys of files in the bucket that belong to no dataset; none where the bucket cannot be looked at."""
    from netflix_assets.defs.resources import landing_bucket
    from netflix_assets.storage.objects import strays_of
    from netflix_assets.storage.retries import BucketError

    if settings.serves_s3 and not (settings.s3_folder / settings.bucket).exists():  # nothing has landed yet
        return []
    try:
        with landing_bucket(settings).open() as store:
            return [key for source in settings.sources() for key in strays_of(source, store)]
    except BucketError as error:
        err.print(f"the bucket cannot be looked at: {error}", style="yellow", soft_wrap=True)
        return []


def _of_no_dataset(key: str) -> str:
    return f"{key} belongs to no dataset by its name: nothing is loaded of it (README: which names do)"


def _first_page(settings: Settings) -> Path:
    return settings.dashboards_folder / "index.html"


def _print_published(settings: Settings) -> None:
    from netflix_assets.operations.status import publication_lines

    with _ledger(settings) as warehouse:
        for line in publication_lines(_published(settings, warehouse)):
            out.print(line, soft_wrap=True)


def _published(settings: Settings, warehouse: Warehouse | None) -> dict[str, Any]:
    """What consumers see, and why it is not what was built last."""
    from netflix_assets.defs.resources import warehouse as warehouse_of
    from netflix_assets.operations.status import publication_status

    with warehouse_of(settings).publisher() as publisher:
        return publication_status(publisher.published(), warehouse, publisher.place, settings.schema_prefix)


def _one_line(text: str) -> str:
    line = text.strip().splitlines()[0] if text.strip() else ""
    return line[:110]


def _is_level(settings: Settings) -> bool:
    """Whether consumers see everything that the bucket has already."""
    from netflix_assets.defs.landing.sensor import source_status
    from netflix_assets.defs.resources import landing_bucket
    from netflix_assets.operations.instance import open_instance

    with open_instance(settings) as instance, landing_bucket(settings).open() as store:
        return not any(source_status(source, store, instance).stale for source in settings.sources())


def _rejects(dataset_id: str | None) -> list[dict[str, Any]]:
    settings = current_settings()
    dataset = _dataset(settings.sources(), dataset_id) if dataset_id else None
    with _ledger(settings) as warehouse:
        return warehouse.rejected_rows(dataset) if warehouse else []


# The tables that are read below.
_LEDGER = ("loads", "rejected_rows", "refused_objects")


@contextmanager
def _ledger(settings: Settings) -> Iterator[Warehouse | None]:
    """The warehouse for reading; None where nothing has ever been loaded.

    A first run that was killed may have left the file without tables, or with some of them.
    """
    from netflix_assets.defs.resources import warehouse

    if not warehouse(settings).exists():
        yield None
        return
    with warehouse(settings).open("reader") as connection:
        made = connection.describe([("ops", name) for name in _LEDGER])
        yield connection if len(made) == len(_LEDGER) else None


def _replay_rejects(settings: Settings, dataset: Dataset) -> tuple[list[Load], int]:
    from netflix_assets.defs.resources import warehouse
    from netflix_assets.ingest.scratch import scratch_folder

    if not warehouse(settings).exists():
        return [], 0
    with warehouse(settings).open() as connection, scratch_folder(settings.home / "tmp") as folder:
        connection.prepare(dataset)
        replays = replays_of.replay_rejects(dataset, connection, f"replay-{uuid.uuid4()}", folder)
        return replays, connection.counts(dataset).open_rejects


def _forget_refusals(settings: Settings, datasets: Sequence[Dataset], object_key: str | None) -> list[RefusedObject]:
    from netflix_assets.defs.resources import landing_bucket, warehouse
    from netflix_assets.storage.objects import objects_of

    if not warehouse(settings).exists():
        return []
    forgotten: list[RefusedObject] = []
    with landing_bucket(settings).open() as store, warehouse(settings).open() as connection:
        for dataset in datasets:
            connection.prepare(dataset)
            live = [each for each in objects_of(dataset, store) if object_key in (None, each.key)]
            forgotten += replays_of.forget_refusals(dataset, connection, live)
    return forgotten


def _print_answers(settings: Settings) -> None:
    from netflix_assets.operations.status import answers

    with _ledger(settings) as warehouse:
        if warehouse is None:
            return
        for question, names, rows in answers(warehouse):
            table = _table(*names, title=question)
            for row in rows:
                table.add_row(*(f"{value:,}" if isinstance(value, int) else str(value) for value in row))
            out.print()
            out.print(table)


def _table(*names: str, title: str | None = None) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    numeric = {
        "objects", "versions", "rows", "rejected", "refused", "load", "record", "line", "ratings", "average", "titles",
    }  # fmt: skip
    for name in names:
        table.add_column(
            name, justify="right" if name in numeric else "left", overflow="fold", no_wrap=name == "dataset"
        )
    return table
