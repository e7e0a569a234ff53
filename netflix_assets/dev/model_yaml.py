"""Write the YAML that describes a dbt model, in the form of the project's other files."""

import textwrap
from typing import Any

import yaml


def dump_model(model: dict[str, Any]) -> str:
    """The YAML file of one model. Its description is folded, and lists of plain values are in one line."""
    text = yaml.dump(
        {"version": 2, "models": [{**model, "description": "DESCRIPTION"}]},
        Dumper=_Indented,
        sort_keys=False,
        allow_unicode=True,
        width=110,
    )
    folded = textwrap.fill(model["description"], 112, initial_indent=" " * 6, subsequent_indent=" " * 6)
    text = text.replace("description: DESCRIPTION", f"description: >\n{folded}", 1)
    return text.replace("models:", "\nmodels:", 1)


def first_sentence(text: str) -> str:
    """The first sentence of a description, with its full stop."""
    return " ".join(text.split()).partition(". ")[0].rstrip(".") + "."


class _Indented(yaml.SafeDumper):
    """Indents lists below their key and writes lists of plain values in one line, as the project's other files do."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        """Indent one level more."""
        super().increase_indent(flow, False)


def _represent_list(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.Node:
    plain = not any(isinstance(item, list | dict) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=plain)


_Indented.add_representer(list, _represent_list)
