"""A comparison as Markdown: for a pull request, and as metadata of a publication."""

from collections.abc import Iterator, Mapping, Sequence

from netflix_assets.contracts.visibility import counted, printable
from netflix_assets.warehouse.diff import TableDiff

_COLUMNS_NAMED = 5  # per table in a summary


def different(tables: Sequence[TableDiff]) -> list[TableDiff]:
    """The tables that change for consumers."""
    return [each for each in tables if each.state not in ("same", "not built")]


def headline(tables: Sequence[TableDiff]) -> str:
    """How many tables differ, in words."""
    compared = sum(each.state != "not built" for each in tables)
    differing = len(different(tables))
    if not differing:
        return f"nothing differs in {counted(compared, 'table')}"
    return f"{differing} of {counted(compared, 'table')} {'differs' if differing == 1 else 'differ'}"


def summary_markdown(tables: Sequence[TableDiff]) -> str:
    """One line per table that differs, without any value from a table."""
    if not different(tables):
        return headline(tables)
    lines = ["| table | rows | added | removed | changed | columns |", "|---|--:|--:|--:|--:|---|"]
    for each in different(tables):
        rows = each.rows_after if each.rows_after is not None else 0
        counts = " | ".join(f"{count:,}" for count in (rows, each.added, each.removed, each.changed))
        lines.append(f"| {code(each.name)} | {counts} | {_cell(what_changed(each))} |")
    return "\n".join(lines)


def what_changed(table: TableDiff) -> str:
    """The columns of a table that differ, and how; for tables that come or go, that."""
    if table.state in ("new", "dropped"):
        return f"{table.state} table"
    counts = sorted(table.columns.items(), key=lambda each: (-each[1], each[0]))
    named = [f"{name}: {count:,}" for name, count in counts[:_COLUMNS_NAMED]]
    more = [f"and {len(counts) - _COLUMNS_NAMED} more"] if len(counts) > _COLUMNS_NAMED else []
    return ", ".join([
        *named,
        *more,
        *(f"{name} is new" for name in table.columns_added),
        *(f"{name} is dropped" for name in table.columns_removed),
        *(f"{name} is {new} (was {old})" for name, (old, new) in table.columns_retyped.items()),
    ])  # fmt: skip


def example_lines(table: TableDiff) -> Iterator[str]:
    """The examples of a table, one per line."""
    for each in table.examples_changed:
        yield f"{_row(each.key)}: {each.column} {_value(each.before)} -> {_value(each.after)}"
    for verb, examples in (("added", table.examples_added), ("removed", table.examples_removed)):
        for row in examples:
            yield f"{verb}: {_row(row)}"


def examples_markdown(tables: Sequence[TableDiff]) -> str:
    """The examples of all tables, folded. Values are code, so that nothing in them is a link, an image or a mention."""
    blocks = []
    for each in different(tables):
        lines = [f"- {code(line)}" for line in example_lines(each)]
        if lines:
            blocks.append("\n".join([f"**{each.name}**", "", *lines]))
    if not blocks:
        return ""
    return "<details><summary>Examples</summary>\n\n" + "\n\n".join(blocks) + "\n\n</details>"


def _row(values: Mapping[str, str | None]) -> str:
    return ", ".join(f"{name}={_value(value)}" for name, value in values.items())


def _value(value: str | None) -> str:
    return "null" if value is None else repr(value)


def code(text: str) -> str:
    """The text as a code span that also fits a cell of a table."""
    return f"`{_cell(printable(text).replace('`', chr(39)))}`"


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
