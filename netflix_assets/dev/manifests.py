"""Parse the dbt project for every environment, so that an image starts with its manifests.

``python -m netflix_assets.dev.manifests`` is a step of the Dockerfile. A code location whose manifest matches its files
and settings does not start dbt; one whose settings differ (``NETFLIX_SNOWFLAKE_DATABASE``, ``NETFLIX_SCHEMA_PREFIX``)
parses once when it starts.
"""

from typing import get_args

from netflix_assets.defs.dbt.project import dbt_project
from netflix_assets.settings import EnvironmentName, read_settings


def main() -> None:
    """Write the manifests into $NETFLIX_HOME. Raises: DbtProjectError; SettingsError."""
    for env in get_args(EnvironmentName):
        print(dbt_project(read_settings(env=env)).manifest_path)


if __name__ == "__main__":
    main()
