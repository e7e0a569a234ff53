"""Contract entries as the text of a contract file. Pure functions on text; what people wrote in the file stays."""

from collections.abc import Mapping
from typing import Any

import yaml

_WIDTH = 2**20  # one line for each option and column
_SCHEMA_LINE = "# yaml-language-server: $schema={schema}\n"


def render_entry(name: str, entry: Mapping[str, Any], indent: str) -> str:
    """The text of a dataset's entry: an option in each line, and a column in each line."""
    lines = [f"{indent}{name}:"]
    inner = indent + "  "
    for option, value in entry.items():
        if option == "columns":
            lines.append(f"{inner}columns:")
            lines += [f"{inner}  - {_flow(column)}" for column in value]
        else:
            lines.append(f"{inner}{option}: {_flow(value)}")
    return "\n".join(lines) + "\n"


def _flow(value: object) -> str:
    """A value in one line: {a: 1, b: [x]}."""
    text = yaml.safe_dump(value, default_flow_style=True, sort_keys=False, allow_unicode=True, width=_WIDTH)
    return text.removesuffix("...\n").rstrip("\n")


def new_file(source: str, owner: str, schema: str, name: str, entry: Mapping[str, Any]) -> str:
    """The text of a contract file with one dataset."""
    return (
        f"{_SCHEMA_LINE.format(schema=schema)}"
        f"# The contract of the source {source}: what each of its files must look like. See docs/contracts.md.\n"
        f"source: {source}\n"
        f"description: Files of the source {source}.\n"
        f"owners: [{_flow(owner)}]\n"
        "\n"
        "datasets:\n"
        f"{render_entry(name, entry, '  ')}"
    )


def contract_file(source: Mapping[str, Any], datasets: Mapping[str, Mapping[str, Any]]) -> str:
    """The text of a contract file with these datasets. ``source``: the options at its top."""
    top = "".join(f"{option}: {_flow(value)}\n" for option, value in source.items())
    return f"{top}\ndatasets:\n" + "\n".join(render_entry(name, entry, "  ") for name, entry in datasets.items())


def add_entry(text: str, name: str, entry: Mapping[str, Any]) -> str:
    """The text of a contract file with one more dataset after the others.

    Raises: ValueError when its datasets are not in block style.
    """
    datasets = _find_datasets(text)
    if datasets is None or datasets.flow_style or not datasets.value:
        raise ValueError("its datasets are not one below the other, so an entry cannot be added; write it by hand")
    first_key, _ = datasets.value[0]
    indent = " " * first_key.start_mark.column
    end = _end_of(text, datasets)
    before, after = text[:end].rstrip("\n") + "\n", text[end:].lstrip("\n")
    return f"{before}\n{render_entry(name, entry, indent)}" + (f"\n{after}" if after else "")


def _find_datasets(text: str) -> yaml.MappingNode | None:
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    if not isinstance(root, yaml.MappingNode):
        return None
    found = (value for key, value in root.value if key.value == "datasets")
    return next((value for value in found if isinstance(value, yaml.MappingNode)), None)


def _end_of(text: str, node: yaml.MappingNode) -> int:
    """The index where the text after a block mapping starts: its end mark skips comments, which belong below."""
    end: int = node.end_mark.index
    lines = text[:end].splitlines(keepends=True)
    column = node.start_mark.column
    while lines and (not lines[-1].strip() or _is_outer_comment(lines[-1], column)):
        end -= len(lines.pop())
    return end


def _is_outer_comment(line: str, column: int) -> bool:
    stripped = line.lstrip()
    return stripped.startswith("#") and len(line) - len(stripped) < column
