"""Describe the published tables in Metabase and create a Business dashboard there: `make metabase` (docs/bi.md).

It can run again at any time: it writes only what differs.
"""

import os
import sys

from api import Metabase, MetabaseError
from dashboard import push_dashboard, read_plan
from descriptions import Descriptions, described_tables

USAGE = """Usage: make metabase, with these environment variables

  METABASE_URL       address of Metabase, such as https://metabase.example.com
  METABASE_API_KEY   a key of the group Administrators (Admin > Settings > Authentication > API keys)
  METABASE_DATABASE  name in Metabase of the database with the published tables (default: netflix_assets)
"""


def main() -> int:
    """Run, and return the exit code: 0 done, 1 failed, 2 settings are missing."""
    url, key = (os.environ.get(name, "").strip() for name in ("METABASE_URL", "METABASE_API_KEY"))
    if not (url and key):
        print(USAGE, file=sys.stderr)
        return 2
    try:
        metabase = Metabase(url, key)
        database_id = _database_id(metabase, os.environ.get("METABASE_DATABASE") or "netflix_assets")
        Descriptions(metabase, database_id).push(described_tables())
        push_dashboard(metabase, database_id, read_plan())
    except MetabaseError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _database_id(metabase: Metabase, name: str) -> int:
    ids = {database["name"]: int(database["id"]) for database in metabase.get("database")["data"]}
    if name not in ids:
        raise MetabaseError(
            f"Metabase has no database '{name}', only {sorted(ids)}; set METABASE_DATABASE to one of them"
        )
    return ids[name]


if __name__ == "__main__":
    sys.exit(main())
