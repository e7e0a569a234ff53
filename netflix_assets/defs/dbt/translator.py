"""How dbt nodes appear in Dagster: key and group by layer, owner from ``meta``, freshness from the contracts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster_dbt import DagsterDbtTranslator, DagsterDbtTranslatorSettings, DbtProject

from netflix_assets.contracts.model import Dataset
from netflix_assets.defs.dbt.results import RUN_DEPENDENT, layer_of
from netflix_assets.defs.freshness import DATASETS, freshness_policy, sources_of, strictest
from netflix_assets.warehouse.builds import BUILD_TABLES
from netflix_assets.warehouse.relations import OPS_TABLES

# Groups are layers, with two exceptions that would make the graph of groups cyclic: models that describe the runs (this
# group), and intermediate models that dimensions are made of (`meta: {group: core}`).
_OPERATIONS = "operations"

# dbt's meta and Dagster's metadata: what a table has one row per. Publishing counts its rows against the ledger.
ONE_ROW_PER = "one_row_per"

KEY = "key"  # in Dagster's metadata: the columns that identify a row

_IDENTIFIERS = ("_id", "_key", "_day")  # how columns end that name a thing, unlike ranks and labels

_OPS_DESCRIPTIONS = {
    "loads": "The ledger: every load of every object, with its row counts.",
    "rejected_rows": "Every record kept out of a raw table, with its file, line and reason.",
    "refused_objects": "Every object version that was not loaded, with the reason.",
    "profiles": "A statistical profile of each column of each load.",
    "cost_of_assets": "The cost of each asset's statements, from Snowflake's query history. Empty on DuckDB.",
    "builds": "Every build of the dbt project: whether it was complete, and whether it passed.",
    "node_runs": "The result of each model, seed and snapshot in each build.",
    "test_results": "The result of each test in each build.",
}


class Translator(DagsterDbtTranslator):
    """dagster-dbt's translator with this project's keys, groups, owners and freshness policies."""

    def __init__(self, datasets: Sequence[Dataset]) -> None:
        self._datasets = datasets
        super().__init__(DagsterDbtTranslatorSettings(enable_code_references=False))

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """The library's spec, with its dependencies, under this project's key, group and owner."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = self.get_resource_props(manifest, unique_id)
        if node["resource_type"] == "source":
            path = ["ops"] if node["schema"] == "ops" else ["raw", node["source_name"]]
            return spec.replace_attributes(key=dg.AssetKey([*path, node["name"]]))
        layer, meta = layer_of(node), node.get("meta", {})
        datasets = sources_of(unique_id, manifest, self._datasets) if layer == "marts" else []
        return spec.replace_attributes(
            key=dg.AssetKey([layer, node["name"]]),
            group_name=_OPERATIONS if RUN_DEPENDENT in node["tags"] else meta.get("group", layer),
            owners=[meta["owner"]] if "owner" in meta else [],
            metadata={
                **spec.metadata,
                **({ONE_ROW_PER: meta[ONE_ROW_PER]} if ONE_ROW_PER in meta else {}),
                **({KEY: key} if (key := key_of_tests(manifest, unique_id)) else {}),
                **({DATASETS: [dataset.id for dataset in datasets]} if datasets else {}),
            },
            freshness_policy=freshness_policy(strictest(datasets)) if datasets else None,
        )


def key_of_tests(manifest: Mapping[str, Any], unique_id: str) -> list[str]:
    """The columns that a dbt test finds unique in a model: ``unique`` or ``unique_combination``; empty without one.

    Of several keys, the one with the most identifiers: a film stays the same film when its rank changes.
    """
    keys = []
    for test in (manifest["nodes"].get(child, {}) for child in manifest["child_map"].get(unique_id, ())):
        kind = (test.get("test_metadata") or {}).get("name")
        if test.get("attached_node") == unique_id and not test["config"]["where"]:
            if kind == "unique":
                keys.append([test["column_name"]])
            elif kind == "unique_combination":
                keys.append(test["test_metadata"]["kwargs"]["columns"])
    return min(keys, key=lambda key: (-sum(each.endswith(_IDENTIFIERS) for each in key), len(key), key), default=[])


def ops_tables(raw_keys: Iterable[dg.AssetKey], models: dg.AssetsDefinition, kind: str) -> list[dg.AssetSpec]:
    """The ``ops`` tables that dbt reads: records of loads and of builds."""
    marts = [key for key in models.keys if key.path[0] == "marts"]
    written_by = {
        **{table: list(raw_keys) for table in OPS_TABLES},
        "cost_of_assets": [],
        **dict.fromkeys(BUILD_TABLES, marts),
    }
    return [
        dg.AssetSpec(
            dg.AssetKey(["ops", table]),
            deps=written_by[table],
            group_name="raw" if table in OPS_TABLES else _OPERATIONS,
            kinds={kind},
            description=description,
        )
        for table, description in _OPS_DESCRIPTIONS.items()
    ]
