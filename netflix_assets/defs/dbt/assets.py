"""The dbt project as Dagster assets: every node is an asset, every test an asset check, in the one lineage graph.

Asset keys are ``<layer>/<model>`` in every environment; dbt's sources are the raw assets and the ``ops`` tables. Two
invocations build the project: the first builds all models, the second the few that describe the first (tagged
``observation``), once its results are recorded.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import dagster as dg
from dagster_dbt import DbtCliResource, DbtProject, dbt_assets

from netflix_assets.contracts.model import Dataset
from netflix_assets.defs.dagster_internals import selected_nodes
from netflix_assets.defs.dbt.build import DbtBuild, DbtConfig
from netflix_assets.defs.dbt.results import OBSERVATION, Manifest, part_of
from netflix_assets.defs.dbt.translator import Translator
from netflix_assets.defs.resources import WarehouseResource
from netflix_assets.defs.retry import retry_transient
from netflix_assets.settings import Settings
from netflix_assets.warehouse.builds import Part

# dbt's arguments --select and --exclude.
_SELECTIONS: Mapping[Part, tuple[str, str | None]] = {
    "models": ("fqn:*", f"tag:{OBSERVATION}"),
    "observations": (f"tag:{OBSERVATION}", None),
}


def dbt_builds(
    settings: Settings, project: DbtProject, manifest: Manifest, datasets: Sequence[Dataset]
) -> dict[Part, dg.AssetsDefinition]:
    """All nodes of the project, in the two parts that a run builds one after the other."""
    translator = Translator(datasets)
    return {part: _dbt_build(part, manifest, settings, project, translator) for part in _SELECTIONS}


def _dbt_build(
    part: Part, manifest: Manifest, settings: Settings, project: DbtProject, translator: Translator
) -> dg.AssetsDefinition:
    """The nodes of one part, built by one dbt invocation."""

    def build(
        context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: WarehouseResource, config: DbtConfig
    ) -> Iterator[Any]:
        with retry_transient(context, settings):
            yield from DbtBuild(part, context, dbt, warehouse, config, settings, manifest, translator).run()

    select, exclude = _SELECTIONS[part]
    # dagster-dbt would import dbt's selection engine at every start of Dagster (0.3 s, a tenth of the whole).
    nodes = {unique_id for unique_id in manifest["nodes"] if part_of(unique_id, manifest) == part}
    with selected_nodes(nodes):
        return dbt_assets(
            manifest=manifest,
            select=select,
            exclude=exclude,
            project=project,
            dagster_dbt_translator=translator,
            name=f"dbt_{part}",
        )(build)
