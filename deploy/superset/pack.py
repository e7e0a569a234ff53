"""Pack the bundle for Superset's import (or Preset's): `python deploy/superset/pack.py OUT.zip [URI]`.

The bundle has Superset's export format without the datasets' columns, which come from dbt/models/marts, and without the
address of the database. Both are filled in here.

URI is the SQLAlchemy URI of the published database; the default is the file in this home ($NETFLIX_HOME, or .netflix).
For Snowflake: snowflake://USER@ACCOUNT/NETFLIX_PRODUCTION_SERVING?warehouse=…&role=… Leave the password out of it;
Superset asks for it during the import.
"""

import sys
import zipfile
from pathlib import Path
from typing import Any

import yaml

from netflix_assets.settings import current_settings

BUNDLE = Path(__file__).parent / "bundle"
MARTS = Path(__file__).parents[2] / "dbt" / "models" / "marts"


def pack(target: Path, uri: str) -> None:
    """Write the bundle to ``target``, with the database at ``uri``."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(BUNDLE.rglob("*.yaml")):
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            if path.parent.name == "databases":
                content |= {"sqlalchemy_uri": uri}
            if path.parent.parent.name == "datasets":
                content |= {"metrics": [], "columns": columns_of(content["table_name"])}
            archive.writestr(f"netflix_assets/{path.relative_to(BUNDLE).as_posix()}", yaml.safe_dump(content))


def columns_of(mart: str) -> list[dict[str, Any]]:
    """Return the columns of a mart from its dbt YAML, in Superset's format."""
    (path,) = MARTS.rglob(f"{mart}.yml")
    (model,) = yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
    return [
        {
            "column_name": column["name"],
            "type": column["data_type"].upper(),
            "is_dttm": column["data_type"] in ("date", "timestamp"),
            "description": " ".join(column["description"].split()),
        }
        for column in model["columns"]
    ]


def local_uri() -> str:
    """Return the URI of this home's published database, opened read-only so that Superset never locks it."""
    published = current_settings().home / "published" / "current" / "netflix.duckdb"
    return f"duckdb:///{published}?access_mode=read_only"


if __name__ == "__main__":
    pack(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else local_uri())
