"""Write dbt's documentation site: ``python -m netflix_assets.dev.docs`` puts it into $NETFLIX_HOME/docs.

``index.html`` is dbt's site in one file: it needs no network and opens from file://. ``tables.mmd`` is a Mermaid
diagram of the tables of core and their foreign keys. Data catalogs read ``manifest.json`` and ``catalog.json``.
"""

import re
import shutil
import tempfile
from pathlib import Path

from dagster_dbt import DbtProject

from netflix_assets.defs.dbt.project import dbt_resource, exported, one_build_at_a_time
from netflix_assets.settings import Settings, current_settings

_FILES = {"static_index.html": "index.html", "manifest.json": "manifest.json", "catalog.json": "catalog.json"}


def build(settings: Settings) -> Path:
    """Write the site for the dbt project and this home's warehouse; return the folder.

    Without a warehouse the site lacks the sizes of the tables. No warehouse is created.

    Raises:
        DagsterDbtCliRuntimeError: dbt failed; the error has dbt's message.
    """
    folder = settings.home / "docs"
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="netflix-docs-") as scratch:
        # dbt creates the DuckDB file that it connects to, so without a warehouse it gets an empty home.
        connected = settings if _has_warehouse(settings) else settings.model_copy(update={"home": Path(scratch)})
        target = Path(scratch) / "target"
        project = DbtProject(project_dir=settings.dbt_project)
        with one_build_at_a_time(settings), exported(connected):
            arguments = ["docs", "generate", "--static", "--quiet"]
            dbt_resource(settings, project).cli(arguments, target_path=target).wait()
        for source, name in _FILES.items():
            shutil.copy(target / source, folder / name)
    (folder / "tables.mmd").write_text(table_diagram(folder, f"{settings.schema_prefix}core"), encoding="utf-8")
    return folder


def table_diagram(artifacts: Path, schema: str) -> str:
    """Return the Mermaid diagram of a schema: its tables, their columns, and a line for each relationships test.

    ``artifacts`` is the folder of ``manifest.json`` and ``catalog.json``.
    """
    from dbterd.api import DbtErd  # takes 2.5 s to import, also in each process that collects tests

    erd = DbtErd(target="mermaid", artifacts_dir=artifacts, select=[f"schema:{schema}"], entity_name_format="model")
    return re.sub(r"\((\d+), ?(\d+)\)", r"(\1_\2)", erd.get_erd())  # older Mermaid rejects a comma in a type


def _has_warehouse(settings: Settings) -> bool:
    return settings.names is not None or settings.warehouse_file.exists()


def main() -> None:
    """Write the site and print its address."""
    settings = current_settings()
    page = build(settings) / "index.html"
    print(f"Documentation written to file://{page}")
    if not _has_warehouse(settings):
        print("It lacks the sizes of the tables: nothing is built here yet. Run: netflix-assets demo")


if __name__ == "__main__":
    main()
