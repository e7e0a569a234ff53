"""The documentation site: ``python -m netflix_assets.dev.docs`` writes it to $NETFLIX_HOME/docs.

``index.html`` has every model with its columns, the tables and their keys, and what is made from what; ``dbt.html`` is
dbt's own site with every query. Both are one file each, need no network and open from file://. Beside them lie the
diagrams, as SVG and as Mermaid, and dbt's manifest and catalog, which data catalogs read. Belongs here: the pages. Does
not belong here: the diagrams (``diagrams.py``).
"""

import html
import json
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dagster_dbt import DbtProject

from netflix_assets import diagrams
from netflix_assets.dbt_project import dbt_resource, exported, one_build_at_a_time
from netflix_assets.dbt_results import layer_of
from netflix_assets.settings import Settings, current_settings

_LAYERS = {
    "marts": "What questions are asked of.",
    "core": "Dimensions, facts and bridges, with enforced contracts.",
    "intermediate": "Steps that several tables share.",
    "staging": "One view per dataset, as it came.",
    "snapshots": "Histories of what its source overwrites.",
    "seeds": "Kept by hand.",
}


def build(settings: Settings) -> Path:
    """Write the site from the dbt project and what has been built in this home; returns the folder.

    A home without a warehouse stays without one: the site then has all but the sizes of the tables.

    Raises:
        DagsterDbtCliRuntimeError: dbt could not make its part, with what it said.
    """
    folder = settings.home / "docs"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="netflix-docs-") as scratch:
        is_built = settings.names is not None or settings.warehouse_file.exists()
        place = settings if is_built else settings.model_copy(update={"home": Path(scratch)})
        target = Path(scratch) / "target"
        project = DbtProject(project_dir=settings.dbt_project)
        with one_build_at_a_time(settings), exported(place):
            arguments = ["docs", "generate", "--static", "--quiet"]
            dbt_resource(settings, project).cli(arguments, target_path=target).wait()
        manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
        shutil.copy(target / "static_index.html", folder / "dbt.html")
        for name in ("manifest.json", "catalog.json"):
            shutil.copy(target / name, folder / name)
    drawn = {
        "tables.svg": diagrams.er_svg(manifest),
        "tables.mmd": diagrams.er_mermaid(manifest),
        "lineage.svg": diagrams.lineage_svg(manifest),
        "lineage.mmd": diagrams.lineage_mermaid(manifest),
    }
    for name, text in drawn.items():
        (folder / name).write_text(text, encoding="utf-8")
    (folder / "index.html").write_text(page(manifest), encoding="utf-8")
    return folder


def page(manifest: Mapping[str, Any]) -> str:
    """``index.html``: models by layer, the two diagrams, the metrics."""
    return "\n".join(
        [
            '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Models of netflix_assets</title>',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<style>{_STYLE}</style></head><body><header><h1>Models of netflix_assets</h1>",
            '<nav><a href="#tables">Tables and keys</a> <a href="#lineage">Lineage</a> ',
            *(f'<a href="#{layer}">{layer.capitalize()}</a> ' for layer in _LAYERS),
            '<a href="#metrics">Metrics</a> <a href="dbt.html">Every query (dbt docs)</a></nav></header><main>',
            "<h2 id='tables'>Tables and keys</h2><p>The tables of core; a line is a tested foreign key.</p>",
            f'<div class="wide" tabindex="0">{diagrams.er_svg(manifest)}</div>',
            "<h2 id='lineage'>Lineage</h2><p>From files to dashboards. Point at a table, or reach it with the tab key, "
            "to see what it is made of and what is made of it.</p>",
            f'<div class="wide" id="graph" tabindex="0">{diagrams.lineage_svg(manifest)}</div>',
            *(line for layer, said in _LAYERS.items() for line in _layer(manifest, layer, said)),
            *_metrics(manifest),
            f"</main><script>{_SCRIPT}</script></body></html>\n",
        ]
    )


def _layer(manifest: Mapping[str, Any], layer: str, said: str) -> Iterator[str]:
    yield f'<h2 id="{layer}">{layer.capitalize()}</h2><p>{said}</p>'
    nodes = [node for node in manifest["nodes"].values() if node["resource_type"] in ("model", "seed", "snapshot")]
    for node in sorted(nodes, key=lambda node: str(node["name"])):
        if layer_of(node) == layer:
            yield from _model(node)


def _model(node: Mapping[str, Any]) -> Iterator[str]:
    text, _, grain = " ".join(node["description"].split()).rpartition("Grain: ")
    about = [node["config"]["materialized"], str(node["config"]["meta"].get("owner", ""))]
    yield f'<details id="{node["name"]}"><summary><b>{node["name"]}</b> <span>{html.escape(grain)}</span></summary>'
    yield f"<p>{html.escape(text)}</p><p class='about'>{html.escape(' · '.join(filter(None, about)))}</p><table>"
    yield "<tr><th>Column</th><th>Type</th><th>What it is</th></tr>"
    for column in node["columns"].values():
        cells = (column["name"], column["data_type"] or "", " ".join(column["description"].split()))
        yield f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
    yield "</table></details>"


def _metrics(manifest: Mapping[str, Any]) -> Iterator[str]:
    yield '<h2 id="metrics">Metrics</h2><p>What can be counted, once, for every tool.</p><table>'
    yield "<tr><th>Metric</th><th>Kind</th><th>What it is</th></tr>"
    for metric in sorted(manifest["metrics"].values(), key=lambda metric: str(metric["name"])):
        cells = (metric["name"], metric["type"], " ".join(metric["description"].split()))
        yield f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
    yield "</table>"


_STYLE = """
:root { color-scheme: light dark; --ink: #1b2430; --soft: #5b6775; --line: #d5dbe1; --paper: #fff; --link: #0b5cad }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6ebf1; --soft: #a3afbc; --line: #38424d; --paper: #171c22; --link: #7db7f5 }
}
body { margin: 0; font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--paper) }
header, main { max-width: 1400px; margin: 0 auto; padding: 12px 20px }
nav a { margin-right: 14px }
a { color: var(--link) }
.wide { overflow-x: auto; border: 1px solid var(--line); border-radius: 6px }
details { border-top: 1px solid var(--line); padding: 6px 0 }
summary { cursor: pointer }
summary span, .about { color: var(--soft) }
table { border-collapse: collapse; width: 100%; display: block; overflow-x: auto }
th, td { text-align: left; vertical-align: top; padding: 3px 14px 3px 0; border-top: 1px solid var(--line) }
td:first-child { font-family: ui-monospace, monospace; font-size: 13px }
"""

# Lights up a node's ancestors and descendants, and opens the entry that the address names.
_SCRIPT = """
const graph = document.querySelector('#graph svg');
const nodes = new Map([...graph.querySelectorAll('.node')].map(each => [each.dataset.name, each]));
const edges = [...graph.querySelectorAll('.edge')];
function walk(name, from, to, seen) {
  for (const edge of edges) if (edge.dataset[from] === name) {
    edge.classList.add('on');
    if (!seen.has(edge.dataset[to])) { seen.add(edge.dataset[to]); walk(edge.dataset[to], from, to, seen); }
  }
}
function dim() {
  graph.classList.remove('lit');
  for (const each of [...nodes.values(), ...edges]) each.classList.remove('on');
}
function light(name) {
  dim();
  const up = new Set([name]), down = new Set([name]);
  walk(name, 'to', 'from', up);
  walk(name, 'from', 'to', down);
  for (const each of [...up, ...down]) nodes.get(each).classList.add('on');
  graph.classList.add('lit');
}
for (const [name, node] of nodes) {
  node.setAttribute('tabindex', '0');
  node.addEventListener('mouseenter', () => light(name));
  node.addEventListener('focus', () => light(name));
  node.addEventListener('mouseleave', dim);
  node.addEventListener('blur', dim);
}
function open() {
  const entry = document.getElementById(location.hash.slice(1));
  if (entry && entry.tagName === 'DETAILS') entry.open = true;
}
addEventListener('hashchange', open);
open();
"""


def main() -> None:
    """Build the site and say where it is."""
    settings = current_settings()
    folder = build(settings)
    print(f"the documentation: file://{folder / 'index.html'}")
    if settings.names is None and not settings.warehouse_file.exists():
        print("without the tables' sizes, for nothing has been built here yet: netflix-assets demo")


if __name__ == "__main__":
    main()
