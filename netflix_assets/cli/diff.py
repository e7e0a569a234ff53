"""``diff``: what a build changes against what is published."""

import json
from typing import TYPE_CHECKING

import click

from netflix_assets.cli.output import print_table, say, spinner
from netflix_assets.settings import current_settings, read_settings

if TYPE_CHECKING:
    from netflix_assets.operations.diff import CheckChange, Diff


@click.command()
@click.option("--version", "version", metavar="VERSION", help="Compare this kept version, not what is built.")
@click.option("--schema-prefix", metavar="PREFIX", help="Compare a branch's schemas; default: $NETFLIX_SCHEMA_PREFIX.")
@click.option("--json", "output", flag_value="json", help="Print JSON.")
@click.option("--markdown", "output", flag_value="markdown", help="Print Markdown, for a pull request.")
def diff(version: str | None, schema_prefix: str | None, output: str | None) -> None:
    """Compare the last build with the published tables.

    Per table: rows added, removed and changed by key, and columns whose values differ. Also tests whose result changed.
    The exit code is 0 whether or not anything differs.
    """
    if version is not None and schema_prefix is not None:
        raise click.UsageError("pass either --version or --schema-prefix, not both")
    with spinner("loading definitions") as status:
        from netflix_assets.operations.diff import read_diff
        from netflix_assets.operations.run import load_definitions
        from netflix_assets.warehouse.publishing import Built

        settings = current_settings()
        prefix = read_settings(schema_prefix=schema_prefix or settings.schema_prefix).schema_prefix  # validated
        defs = load_definitions(settings)
        status.update("comparing tables")
        found = read_diff(settings, defs, Built(prefix) if version is None else version)
    if output == "json":
        click.echo(json.dumps(found.as_json(), indent=2))
    elif output == "markdown":
        click.echo(_markdown(found))
    else:
        _print(found)


def _print(found: "Diff") -> None:
    from netflix_assets.warehouse.diff_report import different, example_lines, headline, what_changed

    differing = different(found.tables)
    if differing:
        print_table(
            ("table", "rows", "added", "removed", "changed", "columns"),
            (
                [each.name, *(f"{n:,}" for n in (each.rows_after or 0, each.added, each.removed, each.changed)),
                 what_changed(each)]
                for each in differing
            ),
        )  # fmt: skip
    for each in differing:
        for line in example_lines(each):
            say(f"{each.name}: {line}")
    for check in found.checks:
        say(_check(check))
    if found.problem:
        say(f"cannot be published: {found.problem}")
    for line in _apart(found):
        say(line)
    say(f"{found.after} against published version {found.before.version}: {headline(found.tables)}")


def _check(check: "CheckChange") -> str:
    rows = f" ({check.failures:,} rows)" if check.failures else ""
    return f"{check.table}: test {check.test}: {check.before or 'new'} -> {check.after}{rows}"


def _apart(found: "Diff") -> list[str]:
    """The tables that are not compared, in words."""
    unbuilt = [each.name for each in found.tables if each.state == "not built"]
    lines = [f"not built, so what is published stays: {', '.join(unbuilt)}"] if unbuilt else []
    return [*lines, f"not compared, because they describe runs: {', '.join(found.left_out)}"]


def _markdown(found: "Diff") -> str:
    from netflix_assets.warehouse.diff_report import code, examples_markdown, headline, summary_markdown

    summary = headline(found.tables)
    parts = [f"### Data: {summary}", f"{found.after} against published version {code(found.before.version)}"]
    if summary != (table := summary_markdown(found.tables)):
        parts.append(table)
    if found.checks:
        lines = [f"- {code(_check(each))}" for each in found.checks]
        parts.append("\n".join(["Tests whose result changed:", "", *lines]))
    if found.problem:
        parts.append(f"Cannot be published: {code(found.problem)}")
    parts += [part for part in (examples_markdown(found.tables), *_apart(found)) if part]
    return "\n\n".join(parts)
