"""Rules for every node of the dbt project, checked against dbt's manifest. Each yields its faults with the node's name.

A rule knows the conventions but no model by name, except the ledger, which every layer but marts may read.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from netflix_assets.contracts.model import Dataset, all_datasets
from netflix_assets.defs.dbt.results import layer_of
from netflix_assets.settings import read_settings

Node = Mapping[str, Any]
Fault = tuple[str, str]  # name of the node, what is wrong with it

LEDGER = "stg_ops__loads"
PREFIXES = {
    "staging": ("stg_",),
    "intermediate": ("int_",),
    "core": ("dim_", "fct_", "bridge_"),
    "marts": ("mart_", "obt_"),
}
# The layers that a layer may read. Seeds are maintained by hand and belong to no layer.
PARENTS = {
    "staging": {"source"},
    "intermediate": {"staging", "intermediate", "core"},
    "core": {"staging", "intermediate", "core"},
    "marts": {"core", "intermediate", "seeds", "marts"},  # a summary reads the mart it summarizes, so that both agree
    "snapshots": {"intermediate", "core"},
    "seeds": set(),
}
KEY_TESTS = {"unique", "unique_combination", "is_a_history"}
_VARIABLE = re.compile(r"""\bvar\(\s*['"](\w+)['"]""")


@dataclass(frozen=True)
class Project:
    """dbt's manifest and the folder of the project."""

    manifest: Mapping[str, Any]
    folder: Path

    @classmethod
    def read(cls, manifest: Path, folder: Path) -> "Project":
        return cls(json.loads(manifest.read_text(encoding="utf-8")), folder)

    def built(self) -> Iterator[Node]:
        """The nodes with rows: models, seeds and snapshots."""
        for node in self.manifest["nodes"].values():
            if node["resource_type"] in ("model", "seed", "snapshot"):
                yield node

    def models(self, *layers: str) -> Iterator[Node]:
        return (node for node in self.built() if layer_of(node) in layers)

    def tests(self, node: Node) -> list[Node]:
        return [
            each
            for each in self.manifest["nodes"].values()
            if each["resource_type"] == "test" and each.get("attached_node") == node["unique_id"]
        ]

    def parents(self, node: Node) -> Iterator[Node]:
        for name in node["depends_on"].get("nodes", ()):
            yield self.manifest["nodes"].get(name) or self.manifest["sources"][name]

    def sources_of(self, node: Node) -> set[str]:
        """The sources that a node reads, directly or not, without the records of runs."""
        found: set[str] = set()
        for parent in self.parents(node):
            found |= {parent["source_name"]} if parent["resource_type"] == "source" else self.sources_of(parent)
        return found - {"ops"}

    def keys(self) -> dict[str, str]:
        """Columns that are the single key of a core table, with the table: the targets of foreign keys."""
        keys: dict[str, str] = {}
        for node in self.models("core"):
            if not node["name"].startswith("dim_"):
                continue
            for test in self.tests(node):
                if kind(test) == "unique" and test["column_name"].endswith(("_id", "_key", "_day")):
                    # Several tables may have one row per film; the first name in order is the dimension itself.
                    column = test["column_name"]
                    keys[column] = min(node["name"], keys.get(column, node["name"]))
        return keys


Rule = Callable[[Project], Iterator[Fault]]


def kind(test: Node) -> str:
    return (test.get("test_metadata") or {}).get("name", "singular")


def is_table(node: Node) -> bool:
    """False for ephemeral models: they are tested where they are read."""
    return bool(node["config"]["materialized"] != "ephemeral")


def everything_is_described(project: Project) -> Iterator[Fault]:
    described = [node for node in project.manifest["nodes"].values() if node["resource_type"] in _DESCRIBED]
    for group in ("sources", "exposures", "metrics", "semantic_models", "unit_tests"):
        described += project.manifest[group].values()
    for node in described:
        if not (node.get("description") or "").strip():
            yield node["name"], "has no description"
        for column in _columns(node):
            if not column["description"].strip():
                yield node["name"], f"column {column['name']} has no description"


_DESCRIBED = ("model", "seed", "snapshot", "analysis")


def _columns(node: Node) -> list[Node]:
    columns = node.get("columns") or {}
    return list(columns.values())


def descriptions_end_with_the_grain(project: Project) -> Iterator[Fault]:
    for node in project.built():
        if not re.search(r"Grain: (at most )?one row\b([^.]|\.(?=\S))*\.$", " ".join(node["description"].split())):
            yield node["name"], "its description does not end with 'Grain: one row per ...'"


def every_model_names_its_columns(project: Project) -> Iterator[Fault]:
    for node in project.built():
        if not node["columns"]:
            yield node["name"], "lists no columns"


def every_model_has_a_tested_key(project: Project) -> Iterator[Fault]:
    """In staging, only where one file with a key is the whole table: several may repeat a row, and core decides."""
    keyless = {f"stg_{each.source}__{each.name}" for each in _datasets() if each.mode != "overwrite" or not each.key}
    for node in project.built():
        kinds = {kind(test) for test in project.tests(node)}
        if is_table(node) and node["name"] not in keyless and not kinds & KEY_TESTS:
            yield node["name"], "has no test of its key (unique, unique_combination or is_a_history)"


def _datasets() -> list[Dataset]:
    return all_datasets(read_settings().sources())


def every_model_is_tested(project: Project) -> Iterator[Fault]:
    tested = {parent for test in project.manifest["unit_tests"].values() for parent in test["depends_on"]["nodes"]}
    for node in project.built():
        if is_table(node) and not project.tests(node) and node["unique_id"] not in tested:
            yield node["name"], "has neither a data test nor a unit test"


def single_keys_are_not_null(project: Project) -> Iterator[Fault]:
    for node in project.built():
        tests = project.tests(node)
        required = {test["column_name"] for test in tests if kind(test) == "not_null"}
        for test in tests:
            if kind(test) == "no_nulls_in_columns":
                required |= set(test["test_metadata"]["kwargs"]["columns"])
        for test in tests:
            if kind(test) == "unique" and test["column_name"] not in required:
                yield node["name"], f"its key {test['column_name']} may be null"


def layers_read_only_what_they_may(project: Project) -> Iterator[Fault]:
    for node in project.built():
        for parent in project.parents(node):
            if parent["name"] == LEDGER and layer_of(node) in ("core", "intermediate"):
                continue
            if layer_of(parent) not in PARENTS[layer_of(node)]:
                yield node["name"], f"is in {layer_of(node)} but reads {parent['name']} in {layer_of(parent)}"


def what_describes_runs_stores_no_rows(project: Project) -> Iterator[Fault]:
    """A build is recorded after its models, so a table would describe the build before."""
    for node in project.built():
        if "run_dependent" in node["tags"] and node["config"]["materialized"] not in ("view", "ephemeral"):
            yield node["name"], "is tagged run_dependent but stores rows"
        for parent in project.parents(node):
            describes_runs = "run_dependent" in parent["tags"] and parent["name"] != LEDGER
            if describes_runs and "run_dependent" not in node["tags"]:
                yield node["name"], f"reads {parent['name']}, which is run_dependent, but is not tagged so"


def names_show_the_layer(project: Project) -> Iterator[Fault]:
    for name, prefixes in PREFIXES.items():
        for node in project.models(name):
            if not node["name"].startswith(prefixes):
                yield node["name"], f"is in {name} but starts with none of {', '.join(prefixes)}"


def foreign_keys_have_relationships(project: Project) -> Iterator[Fault]:
    """In core and marts, for every column named like the key of a dimension (``movie_id``, ``similar_user_id``).

    Models about runs are left out: their days are those of the wall clock, and the calendar ends with the ratings.
    """
    keys = project.keys()
    sources = {node["name"]: project.sources_of(node) for node in project.models("core", "marts")}
    for node in project.models("core", "marts"):
        if "run_dependent" in node["tags"]:
            continue
        related = {
            test["test_metadata"]["kwargs"]["column_name"]
            for test in project.tests(node)
            if kind(test) == "relationships"
        }
        for column in node["columns"]:
            for key, table in keys.items():
                if not sources[node["name"]] & sources[table]:
                    continue  # the user_id of another source are other users
                if (column == key or column.endswith(f"_{key}")) and table != node["name"] and column not in related:
                    yield node["name"], f"column {column} has no relationships test to {table}"


def core_and_marts_have_contracts(project: Project) -> Iterator[Fault]:
    for node in project.models("core", "marts"):
        if not node["config"]["contract"]["enforced"]:
            yield node["name"], "has no enforced contract"
        for column in _columns(node):
            if not column["data_type"]:
                yield node["name"], f"column {column['name']} has no data_type"


def everything_has_an_owner(project: Project) -> Iterator[Fault]:
    for node in project.built():
        if not str(node["config"]["meta"].get("owner", "")).startswith("team:"):
            yield node["name"], "has no owner in meta (team:...)"


def counted_tables_name_a_dataset(project: Project) -> Iterator[Fault]:
    """Publishing counts a table only if the contracts have the dataset that its ``one_row_per`` names."""
    datasets = {dataset.id for dataset in _datasets()}
    for node in project.models("core", "marts"):
        declared = node["config"]["meta"].get("one_row_per", {})
        if declared and declared.get("dataset") not in datasets:
            yield node["name"], f"one_row_per: no contract has a dataset {declared.get('dataset')}"


def every_mart_is_shown_somewhere(project: Project) -> Iterator[Fault]:
    """In an exposure, or in a mart that summarizes it."""
    shown = set()
    for exposure in project.manifest["exposures"].values():
        for parent in project.parents(exposure):
            shown.add(parent["unique_id"])
            if layer_of(parent) != "marts":
                yield exposure["name"], f"reads {parent['name']}, which is not a mart"
    shown |= {parent["unique_id"] for node in project.models("marts") for parent in project.parents(node)}
    for node in project.models("marts"):
        if node["unique_id"] not in shown:
            yield node["name"], "is in no exposure"


def every_file_is_a_node(project: Project) -> Iterator[Fault]:
    """Each with a YAML file next to it. If dbt skips a file, its table would silently be missing."""
    nodes = {node["original_file_path"]: node for node in project.manifest["nodes"].values()}
    for file in sorted((project.folder / "models").rglob("*.sql")):
        node = nodes.get(file.relative_to(project.folder).as_posix())
        if node is None:
            yield file.stem, "is a file in models/ but not a node"
        elif (node["patch_path"] or "").partition("://")[2] != node["original_file_path"].removesuffix(".sql") + ".yml":
            yield file.stem, f"is not described in {file.stem}.yml next to it"


def variables_are_declared_used_and_explained(project: Project) -> Iterator[Fault]:
    text = (project.folder / "dbt_project.yml").read_text(encoding="utf-8")
    declared = set(yaml.safe_load(text)["vars"])
    used = {
        name
        for file in project.folder.rglob("*")
        if file.suffix in (".sql", ".yml") and not {"target", "logs"} & set(file.relative_to(project.folder).parts)
        for name in _VARIABLE.findall(file.read_text(encoding="utf-8"))
    }
    for name in sorted(declared - used):
        yield "dbt_project.yml", f"var {name} is not used"
    for name in sorted(used - declared):
        yield "dbt_project.yml", f"var {name} is used but not declared"
    lines = text.splitlines()
    for name in sorted(declared):
        (number,) = (number for number, line in enumerate(lines) if line.startswith(f"  {name}:"))
        if "#" not in lines[number] and not lines[number - 1].lstrip().startswith("#"):
            yield "dbt_project.yml", f"var {name} has no comment"


RULES: tuple[Rule, ...] = (
    everything_is_described,
    descriptions_end_with_the_grain,
    every_model_names_its_columns,
    every_model_is_tested,
    every_model_has_a_tested_key,
    single_keys_are_not_null,
    layers_read_only_what_they_may,
    what_describes_runs_stores_no_rows,
    names_show_the_layer,
    foreign_keys_have_relationships,
    core_and_marts_have_contracts,
    everything_has_an_owner,
    counted_tables_name_a_dataset,
    every_mart_is_shown_somewhere,
    every_file_is_a_node,
    variables_are_declared_used_and_explained,
)
