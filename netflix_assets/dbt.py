"""The dbt project as Dagster assets: every node is an asset, every test an asset check, in the one lineage graph.

Asset keys are ``<layer>/<model>``, the same in every environment; sources are the raw assets. Does not belong here: SQL
(``dbt/``) and what is loaded before (``raw.py``).
"""

import hashlib
import os
import sysconfig
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import dagster as dg
import dagster_dbt.utils as dagster_dbt_utils
from dagster_dbt import (
    DagsterDbtTranslator,
    DagsterDbtTranslatorSettings,
    DbtCliResource,
    DbtProject,
    dbt_assets,
)
from dagster_dbt.errors import DagsterDbtCliRuntimeError
from packaging.version import Version

from netflix_assets.contract import all_datasets
from netflix_assets.resources import WarehouseResource
from netflix_assets.settings import Settings
from netflix_assets.warehouse.relations import Relation

# The raw tables as dbt reads them are the raw assets; the ledger is what all of them write.
LEDGER_KEY = dg.AssetKey(["ops", "loads"])

_FOLDER_OF = {"seed": "seeds", "snapshot": "snapshots"}


class DbtConfig(dg.Config):
    """Run configuration of the dbt step."""

    full_refresh: bool = False


class Translator(DagsterDbtTranslator):
    """dbt nodes as Dagster knows them: key and group by layer, owner from ``meta``."""

    def __init__(self) -> None:
        super().__init__(DagsterDbtTranslatorSettings(enable_code_references=False))

    def get_asset_spec(self, manifest: Mapping[str, Any], unique_id: str, project: DbtProject | None) -> dg.AssetSpec:
        """The library's spec with this project's key, group and owner; its dependencies stay."""
        spec = super().get_asset_spec(manifest, unique_id, project)
        node = self.get_resource_props(manifest, unique_id)
        if node["resource_type"] == "source":
            schema = "raw" if node["source_name"] != "ops" else None
            parts = [part for part in (schema, node["source_name"], node["name"]) if part]
            return spec.replace_attributes(key=dg.AssetKey(parts))
        layer = _FOLDER_OF.get(node["resource_type"], node["fqn"][1])
        owner = node.get("meta", {}).get("owner")
        return spec.replace_attributes(
            key=dg.AssetKey([layer, node["name"]]), group_name=layer, owners=[owner] if owner else []
        )


def dbt_project(settings: Settings) -> DbtProject:
    """The dbt project with a manifest that is up to date with its files.

    The manifest is parsed again only when a file of the project has changed (no network, no warehouse).
    """
    project = DbtProject(project_dir=settings.dbt_project, target_path=_target_path(settings))
    state = _state(settings)
    if not _is_parsed(project, settings, state):
        _parse(project, settings, state)
    return project


def _is_parsed(project: DbtProject, settings: Settings, state: str) -> bool:
    stamp = _stamp(settings)
    return stamp.exists() and stamp.read_text() == state and project.manifest_path.exists()


def _parse(project: DbtProject, settings: Settings, state: str) -> None:
    from filelock import FileLock

    settings.home.mkdir(parents=True, exist_ok=True)
    with FileLock(settings.home / "dbt.lock"), _exported(settings):
        if not _is_parsed(project, settings, state):  # another process may have done it meanwhile
            dbt_resource(settings, project).cli(["parse", "--quiet"], target_path=_target_path(settings)).wait()
            _stamp(settings).write_text(state)


class Dbt(DbtCliResource):
    """dagster-dbt's resource without the two things that it does before each call and that nothing here needs.

    It asks ``dbt --version``, which imports every adapter (4 s with Snowflake's), and sets up an adapter in this
    process (2 s) for row counts and column lineage (see ``_with_figures``).
    """

    @property
    def _cli_version(self) -> Version:
        return Version(version("dbt-core"))

    def _initialize_dbt_core_adapter(self, args: Sequence[str]) -> Any:
        return None


def dbt_resource(settings: Settings, project: DbtProject) -> Dbt:
    """dbt as this environment runs it: the program that stands beside this Python."""
    return Dbt(
        project_dir=str(project.project_dir),
        profiles_dir=str(settings.dbt_project),
        target=_target(settings),
        dbt_executable=str(Path(sysconfig.get_path("scripts")) / "dbt"),
    )


def dbt_models(settings: Settings, project: DbtProject) -> dg.AssetsDefinition:
    """All nodes of the project, built by one dbt invocation a run."""

    def build(
        context: dg.AssetExecutionContext, dbt: DbtCliResource, warehouse: WarehouseResource, config: DbtConfig
    ) -> Iterator[Any]:
        arguments = ["build", *(["--full-refresh"] if config.full_refresh else [])]
        target_path = settings.home / "dbt" / "runs" / context.run.run_id
        events, failure = [], None
        with one_build_at_a_time(settings):
            _prepare_sources(settings, warehouse, context.run.run_id)
            with _exported(settings, context.run.run_id):
                invocation = dbt.cli(arguments, context=context, target_path=target_path)
            try:
                for event in invocation.stream():
                    events.append(event)
                    if isinstance(event, _BUILT):
                        context.log.info(f"built {_asset_key(event, context).to_user_string()}")
            except DagsterDbtCliRuntimeError as error:
                failure = error
        yield from _with_figures(events, context, warehouse, settings.schema_prefix)
        if failure is not None:
            raise failure

    with _every_node_selected():
        return dbt_assets(
            manifest=project.manifest_path, project=project, dagster_dbt_translator=Translator(), name="dbt_models"
        )(build)


@contextmanager
def _every_node_selected() -> Iterator[None]:
    """Let dagster-dbt take every node from the manifest, as it does where dbt-core is not installed.

    Otherwise each start of Dagster imports dbt's selection engine (0.3 s, a tenth of the whole) to find that everything
    is selected. Selections at run time go their ordinary way.
    """
    module = vars(dagster_dbt_utils)
    installed = module["DBT_PYTHON_VERSION"]
    module["DBT_PYTHON_VERSION"] = None
    try:
        yield
    finally:
        module["DBT_PYTHON_VERSION"] = installed


@contextmanager
def one_build_at_a_time(settings: Settings) -> Iterator[None]:
    """Let one dbt build of this home go on at a time: DuckDB has one writer, and dbt does not wait for it."""
    from filelock import FileLock

    with FileLock(settings.home / "dbt-build.lock"):
        yield


def _prepare_sources(settings: Settings, warehouse: WarehouseResource, run_id: str) -> None:
    """Make every raw table that dbt reads, also of datasets never loaded; waits for whoever holds the file."""
    with warehouse.open(run_id=run_id, asset="dbt") as connection:
        for dataset in all_datasets(settings.sources()):
            connection.prepare(dataset)


_BUILT = (dg.Output, dg.AssetMaterialization)


def _asset_key(event: dg.Output[Any] | dg.AssetMaterialization, context: dg.AssetExecutionContext) -> dg.AssetKey:
    return (
        event.asset_key
        if isinstance(event, dg.AssetMaterialization)
        else context.asset_key_for_output(event.output_name)
    )


def _with_figures(
    events: Iterable[Any], context: dg.AssetExecutionContext, warehouse: WarehouseResource, schema_prefix: str
) -> Iterator[Any]:
    """The events, those of built nodes with row count and columns as they stand in the warehouse.

    dagster-dbt's fetch_row_counts keeps DuckDB's file open until the process ends; here it is read once, when dbt has
    let go of it, and given back.
    """
    built = {
        id(event): _relation(_asset_key(event, context), schema_prefix) for event in events if isinstance(event, _BUILT)
    }
    with warehouse.open("reader", run_id=context.run.run_id, asset="dbt") as connection:
        figures = connection.describe(list(built.values()))
    for event in events:
        found = figures.get(built.get(id(event), ("", "")))
        yield event.with_metadata({**event.metadata, **_figures(found)}) if found else event


def _relation(key: dg.AssetKey, schema_prefix: str) -> tuple[str, str]:
    """(schema, name) of a node: its asset key, because each layer is a schema, with a branch's prefix."""
    return schema_prefix + key.path[0], key.path[-1]


def _figures(relation: Relation) -> Mapping[str, Any]:
    return {
        "dagster/row_count": relation.row_count,
        "dagster/column_schema": dg.TableSchema(
            [dg.TableColumn(name, kind) for name, kind in relation.columns.items()]
        ),
    }


def _target_path(settings: Settings) -> Path:
    return settings.home / "dbt" / f"target-{_target(settings)}"


def _target(settings: Settings) -> str:
    """dbt's target: the name of an output in profiles.yml."""
    return "local" if settings.names is None else "snowflake"


def _stamp(settings: Settings) -> Path:
    return _target_path(settings) / "sources.sha256"


@contextmanager
def _exported(settings: Settings, run_id: str = "") -> Iterator[None]:
    """What profiles.yml and dbt read from the environment, said for the length of a dbt call.

    dagster-dbt hands its own environment on to dbt and copies dbt's parse cache from $DBT_TARGET_PATH.
    """
    wanted = {
        "NETFLIX_HOME": str(settings.home),
        "NETFLIX_RUN_ID": run_id,
        "DBT_TARGET_PATH": str(_target_path(settings)),
        **_snowflake_names(settings),
    }
    if settings.snowflake.private_key_path:  # dbt runs in its own folder, where a relative path leads elsewhere
        wanted["NETFLIX_SNOWFLAKE_PRIVATE_KEY_PATH"] = str(settings.snowflake.private_key_path)
    before = {name: os.environ.get(name) for name in wanted}
    os.environ.update(wanted)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


def _snowflake_names(settings: Settings) -> Mapping[str, str]:
    """Where dbt builds on Snowflake and as whom; credentials it reads from the environment itself."""
    if settings.names is None:
        return {}
    return {
        "NETFLIX_SNOWFLAKE_DATABASE": settings.snowflake.database or settings.names.database,
        "NETFLIX_SNOWFLAKE_WAREHOUSE": settings.names.transform_warehouse,
        "NETFLIX_SNOWFLAKE_ROLE": settings.names.transformer_role,
        "NETFLIX_SCHEMA_PREFIX": settings.schema_prefix,
    }


def _state(settings: Settings) -> str:
    """A digest of all that the manifest follows from: every file that dbt parses, dbt's version, where it builds."""
    project = settings.dbt_project
    digest = hashlib.sha256(f"{version('dbt-core')} {_snowflake_names(settings)}".encode())
    for folder, folders, names in os.walk(project):
        folders[:] = sorted(set(folders) - {"target", "logs", "dbt_packages"})
        for name in sorted(names):
            path = Path(folder) / name
            digest.update(f"\0{path.relative_to(project)}\0".encode())
            digest.update(path.read_bytes())
    return digest.hexdigest()
