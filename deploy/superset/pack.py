"""Pack the bundle for Superset's import (or Preset's): `python deploy/superset/pack.py OUT.zip [URI]`.

The bundle is Superset's own export format, but for two facts that stand elsewhere and are filled in here: the columns
of the datasets (dbt/models/marts) and the database.

URI is SQLAlchemy's, of the database that is published: by default the file in this home ($NETFLIX_HOME, or .netflix).
For Snowflake it is snowflake://USER@ACCOUNT/NETFLIX_PRODUCTION_SERVING?warehouse=…&role=…; the password is asked for
by the import, it never belongs into the bundle.
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
    """Write the bundle to ``target``, with ``uri`` as its database."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(BUNDLE.rglob("*.yaml")):
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
            if path.parent.name == "databases":
                content |= {"sqlalchemy_uri": uri}
            if path.parent.parent.name == "datasets":
                content |= {"metrics": [], "columns": columns_of(content["table_name"])}
            archive.writestr(f"netflix_assets/{path.relative_to(BUNDLE).as_posix()}", yaml.safe_dump(content))


def columns_of(mart: str) -> list[dict[str, Any]]:
    """The columns of a mart, as dbt has them, in Superset's words."""
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
    """The published database of this home, which is never locked: Superset only reads."""
    published = current_settings().home / "published" / "current" / "netflix.duckdb"
    return f"duckdb:///{published}?access_mode=read_only"


if __name__ == "__main__":
    pack(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else local_uri())
