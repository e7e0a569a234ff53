"""Pack the bundle for Superset's import (or Preset's): `python deploy/superset/pack.py OUT.zip [URI]`.

The bundle has Superset's export format without the datasets' columns, which come from dbt/models/marts, and without the
address of the database. Both are filled in here.

URI is the SQLAlchemy URI of the published database; the default is the file in this home ($NETFLIX_HOME, or .netflix).
For Snowflake: snowflake://USER@ACCOUNT/NETFLIX_PRODUCTION_SERVING?warehouse=…&role=… Leave the password out of it;
Superset asks for it during the import.
"""

import sys
import zipfile
from collections.abc import Sequence
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


def main(arguments: Sequence[str]) -> int:
    """Pack what the arguments say. Returns the exit code."""
    if not 1 <= len(arguments) <= 2:
        print("Usage: python deploy/superset/pack.py OUT.zip [URI]", file=sys.stderr)
        return 2
    target, *given = arguments
    if given and "://" not in given[0]:
        print(f"error: {given[0]!r} is not a SQLAlchemy URI such as snowflake://USER@ACCOUNT/DATABASE", file=sys.stderr)
        return 2
    published = current_settings().home / "published" / "current" / "netflix.duckdb"
    if not given and not published.exists():
        print(f"error: {published} does not exist. To build and publish it: netflix-assets run", file=sys.stderr)
        return 1
    # Opened read-only, so that Superset never locks it.
    pack(Path(target), given[0] if given else f"duckdb:///{published}?access_mode=read_only")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
