"""What differs between the environments on Snowflake, as one table.

``deploy/snowflake`` makes what is named here. Does not belong here: addresses and credentials, which stand in the
process's environment (``settings.py``), and ``local``, which has neither.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

EnvironmentName = Literal["local", "dev", "staging", "production"]


@dataclass(frozen=True)
class Environment:
    """The names of one environment: databases, compute, roles, and where its files lie."""

    database: str
    serving_database: str
    load_warehouse: str
    transform_warehouse: str
    read_warehouse: str
    loader_role: str
    transformer_role: str
    reader_role: str
    bucket_prefix: str


def _environment(name: str) -> Environment:
    of = f"NETFLIX_{name.upper()}"
    return Environment(
        database=of,
        serving_database=f"{of}_SERVING",
        load_warehouse=f"{of}_LOAD",
        transform_warehouse=f"{of}_TRANSFORM",
        read_warehouse=f"{of}_READ",
        loader_role=f"{of}_LOADER",
        transformer_role=f"{of}_TRANSFORMER",
        reader_role=f"{of}_READER",
        bucket_prefix=f"{name}/",
    )


ENVIRONMENTS: Mapping[str, Environment] = {
    "dev": _environment("dev"),
    "staging": _environment("staging"),
    "production": _environment("production"),
}
