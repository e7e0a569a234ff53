"""The dbt project as Dagster assets: every node is an asset, every test an asset check, in the one lineage graph.

Asset keys are ``<layer>/<model>`` in every environment; dbt's sources are the raw assets and the ``ops`` tables. One
step, and one dbt invocation, builds them all.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

from netflix_assets.contracts.model import Dataset
from netflix_assets.defs.dbt.build import DbtBuild, DbtConfig
from netflix_assets.defs.dbt.dagster_dbt_internals import selected_nodes
from netflix_assets.defs.dbt.results import Manifest
from netflix_assets.defs.dbt.translator import Translator
from netflix_assets.defs.resources import WarehouseResource
from netflix_assets.defs.retry import retry_transient
from netflix_assets.settings import Settings


def dbt_build(
    settings: Settings, project: DbtProject, manifest: Manifest, datasets: Sequence[Dataset]
) -> dg.AssetsDefinition:
    """All nodes and tests of the project."""
    translator = Translator(datasets)

    def build(
        context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: WarehouseResource, config: DbtConfig
    ) -> Iterator[Any]:
        with retry_transient(context, settings):
            yield from DbtBuild(context, dbt, warehouse, config, settings, manifest, translator).run()

    # dagster-dbt would import dbt's selection engine at every start of Dagster (0.3 s, a tenth of the whole).
    with selected_nodes(manifest["nodes"].keys()):
        return dbt_assets(
            manifest=manifest,
            project=project,
            dagster_dbt_translator=translator,
            name="dbt_models",
        )(build)
