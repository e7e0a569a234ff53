"""Diagrams of the dbt project, drawn from its manifest: tables and their keys, and what is made from what.

Pure functions from a manifest to text: Mermaid, for pages that render it, and SVG that needs nothing. Does not belong
here: how the manifest comes about and where the pages go (``docs.py``).
"""

import html
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from netflix_assets.defs.dbt.results import Manifest, layer_of

LAYERS = ("source", "staging", "intermediate", "core", "snapshots", "seeds", "marts", "exposure")

_ROW, _HEAD, _TABLE, _COLUMN_GAP, _TABLE_GAP = 18, 26, 270, 170, 26
_BOX, _BOX_HEIGHT, _BOX_STEP, _BOX_GAP = 208, 20, 26, 66
_SWEEPS = 12


@dataclass(frozen=True)
class Relationship:
    """A column of ``child`` that a relationships test ties to the column ``key`` of ``parent``."""

    child: str
    column: str
    parent: str
    key: str


@dataclass
class Table:
    """A table of the diagram: its columns with their types, in order; ``key``: the columns that tell rows apart."""

    name: str
    columns: dict[str, str]
    key: frozenset[str]
    x: int = 0
    y: int = 0

    @property
    def height(self) -> int:
        """Pixels that the table takes."""
        return _HEAD + _ROW * len(self.columns) + 6

    def row(self, column: str) -> float:
        """The middle of a column's row."""
        return self.y + _HEAD + _ROW * (list(self.columns).index(column) + 0.5)


@dataclass
class Lineage:
    """Nodes by unique id with their layer, and whom each reads."""

    names: dict[str, str] = field(default_factory=dict)
    layers: dict[str, str] = field(default_factory=dict)
    parents: dict[str, list[str]] = field(default_factory=dict)


# ------------------------------------------------------------------------------------------ tables and keys


def tables(manifest: Manifest, layer: str = "core") -> list[Table]:
    """The tables of a layer, by name."""
    keys = _keys(manifest)
    return sorted(
        (
            Table(
                name=node["name"],
                columns={name: column["data_type"] or "" for name, column in node["columns"].items()},
                key=keys.get(node["unique_id"], frozenset()),
            )
            for node in manifest["nodes"].values()
            if node["resource_type"] == "model" and layer_of(node) == layer
        ),
        key=lambda table: table.name,
    )


def _keys(manifest: Manifest) -> dict[str, frozenset[str]]:
    """The key of each node: its first column that is unique, or else its first unique combination."""
    single: dict[str, list[str]] = defaultdict(list)
    combined: dict[str, list[frozenset[str]]] = defaultdict(list)
    for test in _tests(manifest):
        kind, node = test["test_metadata"]["name"], test["attached_node"]
        if kind == "unique":
            single[node].append(test["column_name"])
        elif kind == "unique_combination":
            combined[node].append(frozenset(test["test_metadata"]["kwargs"]["columns"]))
    found: dict[str, frozenset[str]] = {}
    for node in single.keys() | combined.keys():
        order = list(manifest["nodes"][node]["columns"])
        found[node] = frozenset({min(single[node], key=order.index)}) if single[node] else combined[node][0]
    return found


def relationships(manifest: Manifest, layer: str = "core") -> list[Relationship]:
    """The relationships tests between tables of a layer, by child and column."""
    found = []
    for test in _tests(manifest):
        if test["test_metadata"]["name"] != "relationships":
            continue
        child = manifest["nodes"][test["attached_node"]]
        (parent,) = (manifest["nodes"][name] for name in test["depends_on"]["nodes"] if name != child["unique_id"])
        if layer_of(child) == layer_of(parent) == layer:
            key = test["test_metadata"]["kwargs"]["field"]
            found.append(Relationship(child["name"], test["column_name"], parent["name"], key))
    return sorted(found, key=lambda each: (each.child, each.column, each.parent))


def _tests(manifest: Manifest) -> Iterator[Mapping[str, Any]]:
    for node in manifest["nodes"].values():
        if node["resource_type"] == "test" and node.get("test_metadata") and node.get("attached_node"):
            yield node


def er_mermaid(manifest: Manifest, layer: str = "core") -> str:
    """The tables and their keys as a Mermaid diagram."""
    lines = ["erDiagram"]
    foreign = {(each.child, each.column) for each in relationships(manifest, layer)}
    for table in tables(manifest, layer):
        lines.append(f"    {table.name} {{")
        for name, kind in table.columns.items():
            marks = ", ".join(_marks(table, name, foreign))
            # Mermaid's types know no commas.
            lines.append(f"        {kind.replace(',', '_') or 'unknown'} {name} {marks}".rstrip())
        lines.append("    }")
    lines += [f"    {each.parent} ||--o{{ {each.child} : {each.column}" for each in relationships(manifest, layer)]
    return "\n".join(lines) + "\n"


def er_svg(manifest: Manifest, layer: str = "core") -> str:
    """The tables and their keys as an SVG: facts and bridges in the middle, dimensions on both sides of them."""
    drawn, related = tables(manifest, layer), relationships(manifest, layer)
    width, height = _place(drawn, related)
    by_name = {table.name: table for table in drawn}
    foreign = {(each.child, each.column) for each in related}
    parts = [_edge(by_name[each.child], by_name[each.parent], each) for each in related]
    for table in drawn:
        parts += _table(table, foreign)
    return _svg(width, height, f"Tables of {layer} and the keys that tie them", parts)


def _place(drawn: Sequence[Table], related: Sequence[Relationship]) -> tuple[int, int]:
    """Give each table its place; returns width and height of the whole."""
    neighbours: dict[str, list[str]] = defaultdict(list)
    for each in related:
        neighbours[each.child].append(each.parent)
        neighbours[each.parent].append(each.child)
    columns: list[list[Table]] = [[], [], []]
    # The most tied dimensions first, each to the side that is shorter, so that both are about as high as the middle. A
    # dimension that refers to another one stands on its side, or the line would pass behind the middle.
    sides: dict[str, int] = {}
    for table in sorted(drawn, key=lambda table: (-len(neighbours[table.name]), table.name)):
        if table.name.startswith("dim_"):
            shorter = 0 if sum(each.height for each in columns[0]) <= sum(each.height for each in columns[2]) else 2
            sides[table.name] = next((sides[name] for name in neighbours[table.name] if name in sides), shorter)
        columns[sides.get(table.name, 1)].append(table)
    for column in columns:
        _stack(column)
    middles = {table.name: table.y + table.height / 2 for table in drawn}
    for _ in range(_SWEEPS):
        for column in (columns[1], columns[0], columns[2]):
            column.sort(key=lambda table: (_mean(middles, neighbours[table.name], middles[table.name]), table.name))
            _stack(column)
            middles.update({table.name: table.y + table.height / 2 for table in column})
    highest = max((column[-1].y + column[-1].height for column in columns if column), default=0)
    for number, column in enumerate(columns):
        slack = (highest - column[-1].y - column[-1].height) // 2 if column else 0
        for table in column:
            table.x, table.y = _COLUMN_GAP // 2 + number * (_TABLE + _COLUMN_GAP), table.y + slack
    return 3 * (_TABLE + _COLUMN_GAP), highest + _TABLE_GAP


def _stack(column: Iterable[Table]) -> None:
    y = _TABLE_GAP
    for table in column:
        table.y = y
        y += table.height + _TABLE_GAP


def _mean(places: Mapping[str, float], names: Sequence[str], otherwise: float) -> float:
    return sum(places[name] for name in names) / len(names) if names else otherwise


def _table(table: Table, foreign: set[tuple[str, str]]) -> Iterator[str]:
    yield f'<g class="table"><title>{html.escape(table.name)}</title>'
    yield f'<rect class="body" x="{table.x}" y="{table.y}" width="{_TABLE}" height="{table.height}" rx="5"/>'
    yield f'<text class="head" x="{table.x + 10}" y="{table.y + 18}">{html.escape(table.name)}</text>'
    yield f'<line class="rule" x1="{table.x}" x2="{table.x + _TABLE}" y1="{table.y + _HEAD}" y2="{table.y + _HEAD}"/>'
    for name, kind in table.columns.items():
        y = table.row(name) + 4
        mark = " ".join(_marks(table, name, foreign))
        yield f'<text class="mark" x="{table.x + 8}" y="{y}">{mark}</text>'
        yield f'<text x="{table.x + 42}" y="{y}">{html.escape(name)}</text>'
        yield f'<text class="kind" x="{table.x + _TABLE - 8}" y="{y}">{html.escape(kind)}</text>'
    yield "</g>"


def _marks(table: Table, column: str, foreign: set[tuple[str, str]]) -> list[str]:
    return ["PK"] * (column in table.key) + ["FK"] * ((table.name, column) in foreign)


def _edge(child: Table, parent: Table, each: Relationship) -> str:
    start, end = child.row(each.column), parent.row(each.key)
    if child.x == parent.x:  # around the outer side, where no table is in the way
        outer = child.x if child.x < _TABLE + _COLUMN_GAP else child.x + _TABLE
        bend = outer - _COLUMN_GAP // 2 if outer == child.x else outer + _COLUMN_GAP // 2
        path = f"M{outer} {start} C{bend} {start} {bend} {end} {outer} {end}"
    else:
        left = parent.x < child.x
        x1, x2 = (child.x, parent.x + _TABLE) if left else (child.x + _TABLE, parent.x)
        middle = (x1 + x2) / 2
        path = f"M{x1} {start} C{middle} {start} {middle} {end} {x2} {end}"
    said = html.escape(f"{each.child}.{each.column} is in {each.parent}.{each.key}")
    return f'<path class="edge" d="{path}" marker-end="url(#one)"><title>{said}</title></path>'


# ------------------------------------------------------------------------------------------ what is made from what


def lineage(manifest: Manifest) -> Lineage:
    """Sources, seeds, models, snapshots and exposures, and whom each reads."""
    found = Lineage()
    nodes = [node for node in manifest["nodes"].values() if node["resource_type"] in ("model", "seed", "snapshot")]
    for node in [*manifest["sources"].values(), *nodes, *manifest["exposures"].values()]:
        is_source = node["resource_type"] == "source"
        found.names[node["unique_id"]] = f"{node['source_name']}.{node['name']}" if is_source else node["name"]
        found.layers[node["unique_id"]] = layer_of(node)
    for node in [*nodes, *manifest["exposures"].values()]:
        known = {name for name in node["depends_on"].get("nodes", ()) if name in found.names}
        found.parents[node["unique_id"]] = sorted(known)
    return found


def lineage_mermaid(manifest: Manifest) -> str:
    """What is made from what, as a Mermaid diagram with one box for each layer."""
    found = lineage(manifest)
    lines = ["flowchart LR"]
    for layer in LAYERS:
        members = sorted(found.names[node] for node, its in found.layers.items() if its == layer)
        if members:
            lines += [f"    subgraph {layer}s" if layer in ("source", "exposure") else f"    subgraph {layer}"]
            lines += [f'        {_id(name)}["{name}"]' for name in members] + ["    end"]
    for node in sorted(found.parents, key=found.names.__getitem__):
        lines += [f"    {_id(found.names[parent])} --> {_id(found.names[node])}" for parent in found.parents[node]]
    return "\n".join(lines) + "\n"


def _id(name: str) -> str:
    return name.replace(".", "_")


def lineage_svg(manifest: Manifest) -> str:
    """What is made from what, as an SVG from left to right; each node carries its parents for the page's script."""
    found = lineage(manifest)
    columns = _columns(found)
    place = {node: (number, row) for number, column in enumerate(columns) for row, node in enumerate(column)}
    x = {node: 10 + number * (_BOX + _BOX_GAP) for node, (number, _) in place.items()}
    tallest = max((len(column) for column in columns), default=0)
    y = {
        node: 10 + row * _BOX_STEP + (tallest - len(columns[number])) * _BOX_STEP / 2
        for node, (number, row) in place.items()
    }
    parts = []
    for node, parents in sorted(found.parents.items()):
        for parent in parents:
            x1, y1, x2, y2 = x[parent] + _BOX, y[parent] + _BOX_HEIGHT / 2, x[node], y[node] + _BOX_HEIGHT / 2
            middle = (x1 + x2) / 2
            ends = f'data-from="{html.escape(found.names[parent])}" data-to="{html.escape(found.names[node])}"'
            parts.append(f'<path class="edge" {ends} d="M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}"/>')
    for node in sorted(place):
        name = html.escape(found.names[node])
        parts.append(
            f'<g class="node {found.layers[node]}" data-name="{name}"><title>{name}</title>'
            f'<rect x="{x[node]}" y="{y[node]}" width="{_BOX}" height="{_BOX_HEIGHT}" rx="3"/>'
            f'<text x="{x[node] + 7}" y="{y[node] + 14}">{name}</text></g>'
        )
    width = 20 + len(columns) * (_BOX + _BOX_GAP) - _BOX_GAP
    return _svg(width, 20 + tallest * _BOX_STEP, "What is made from what", parts)


def _columns(found: Lineage) -> list[list[str]]:
    """The nodes in columns: each to the right of all that it reads, marts and exposures each in one column."""
    depth: dict[str, int] = {}

    def settle(node: str) -> int:
        if node not in depth:
            depth[node] = max((settle(parent) + 1 for parent in found.parents.get(node, ())), default=0)
        return depth[node]

    for node in sorted(found.names):
        settle(node)
    last = max((depth[node] for node, layer in found.layers.items() if layer != "exposure"), default=0)
    for node, layer in found.layers.items():
        if layer in ("marts", "exposure"):
            depth[node] = last if layer == "marts" else last + 1
    columns = [sorted(node for node in depth if depth[node] == number) for number in sorted(set(depth.values()))]
    children: dict[str, list[str]] = defaultdict(list)
    for node, parents in found.parents.items():
        for parent in parents:
            children[parent].append(node)
    rows = {node: row - len(column) / 2 for column in columns for row, node in enumerate(column)}
    for sweep in range(_SWEEPS):
        near = found.parents if sweep % 2 == 0 else children
        for column in columns if sweep % 2 == 0 else reversed(columns):
            column.sort(key=lambda node: (_mean(rows, near.get(node, ()), rows[node]), node))
            rows.update({node: row - len(column) / 2 for row, node in enumerate(column)})
    return columns


def _svg(width: float, height: float, title: str, parts: Iterable[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}" '
            f'height="{height:g}" role="img">',
            f"<title>{html.escape(title)}</title>",
            f"<style>{STYLE}</style>",
            '<defs><marker id="one" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" '
            'orient="auto-start-reverse"><path class="tip" d="M0 0 L8 4 L0 8 z"/></marker></defs>',
            *parts,
            "</svg>\n",
        ]
    )


STYLE = """
svg { --ink: #1b2430; --soft: #5b6775; --line: #9aa7b5; --paper: #fff; --lit: #b3261e; background: var(--paper) }
@media (prefers-color-scheme: dark) {
  svg { --ink: #e6ebf1; --soft: #a3afbc; --line: #66727f; --paper: #171c22; --lit: #ff8a80 }
}
svg text { font: 12px system-ui, sans-serif; fill: var(--ink) }
svg .head { font-weight: 600 }
svg .mark { font-size: 9px; fill: var(--soft) }
svg .kind { font-size: 10px; fill: var(--soft); text-anchor: end }
svg .body { fill: var(--paper); stroke: var(--line) }
svg .rule { stroke: var(--line) }
svg .tip { fill: var(--line) }
svg .edge { fill: none; stroke: var(--line); stroke-width: 1.2 }
svg .node rect { fill: var(--paper); stroke: var(--layer, var(--line)); stroke-width: 1.5 }
svg .source { --layer: #7d8894 }
svg .staging { --layer: #2a7de1 }
svg .intermediate { --layer: #8e63ce }
svg .core { --layer: #c77700 }
svg .snapshots, svg .seeds { --layer: #5f8d2c }
svg .marts { --layer: #0b8a6f }
svg .exposure { --layer: #c2417c }
svg.lit .edge, svg.lit .node { opacity: .12 }
svg.lit .edge.on, svg.lit .node.on { opacity: 1 }
svg.lit .edge.on { stroke: var(--lit); stroke-width: 1.8 }
"""
