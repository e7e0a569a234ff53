"""What each table of dbt was last built from, so that a build can leave alone what would not change.

A state says: this node, as its code and inputs were then, was built successfully, or this test passed or warned. Before
a node is built again its state ends, so a killed build leaves none that is wrong.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.ledger import ROWS_PER_INSERT, in_chunks
from netflix_assets.warehouse.loads import fingerprint_of_loads

STATE_TABLES: Mapping[str, Mapping[str, str]] = {
    "node_states": {
        "schema_prefix": "varchar", "node_id": "varchar", "code": "varchar", "content": "varchar", "status": "varchar",
        "failures": "bigint", "row_count": "bigint", "run_id": "varchar", "invocation_id": "varchar",
        "built_at": "timestamp",
    },
}  # fmt: skip

ENDED = ""  # the content of a node that is being built, or whose build failed or was killed


@dataclass(frozen=True)
class NodeState:
    """The last success of a node or test. ``status``: dbt's. ``failures``: rows that a test found, of severity warn.

    ``code`` and ``content``: fingerprints of the code, and of the code and loads, that its rows come from.
    ``built_at`` is UTC; ``run_id`` and ``invocation_id`` are those of the build.
    """

    node_id: str
    code: str
    content: str
    status: str
    failures: int | None
    row_count: int | None
    run_id: str
    invocation_id: str
    built_at: datetime


class NodeStates:
    """The states in a warehouse, over an open connection, of the nodes in schemas with a prefix."""

    def __init__(self, warehouse: Warehouse, schema_prefix: str = "") -> None:
        self._warehouse = warehouse
        self._schema_prefix = schema_prefix

    def all(self) -> dict[str, NodeState]:
        """Node or test -> its state. None from before dbt was last run by hand, which records nothing."""
        columns = [name for name in STATE_TABLES["node_states"] if name != "schema_prefix"]
        rows = self._warehouse.execute(
            f"""
            select {", ".join(columns)} from ops.node_states
            where
                schema_prefix = ?
                and built_at > coalesce(
                    (select max(started_at) from ops.builds where schema_prefix = ? and run_id = ''),
                    cast('0001-01-01' as timestamp)
                )
            """,
            (self._schema_prefix, self._schema_prefix),
        )
        found = (dict(zip(columns, row, strict=True)) for row in rows)
        return {
            str(each["node_id"]): NodeState(**{**each, "built_at": each["built_at"].replace(tzinfo=UTC)})
            for each in found
        }

    def end(self, node_ids: Collection[str]) -> None:
        """End the states of nodes that are about to be built. Which code their rows come from stays known."""
        self._for_each(node_ids, f"update ops.node_states set content = '{ENDED}'")

    def forget(self, node_ids: Collection[str]) -> None:
        """Delete the states of nodes whose rows may become those of other code."""
        self._for_each(node_ids, "delete from ops.node_states")

    def record(self, states: Iterable[NodeState]) -> None:
        """Keep the states of nodes in place of those that they have."""
        rows = [
            {
                "schema_prefix": self._schema_prefix,
                **asdict(state),
                "built_at": state.built_at.astimezone(UTC).replace(tzinfo=None),
            }
            for state in states
        ]
        with self._warehouse.transaction():
            self.forget([str(row["node_id"]) for row in rows])
            self._warehouse.insert_rows("node_states", rows)

    def _for_each(self, node_ids: Collection[str], statement: str) -> None:
        for chunk in in_chunks(sorted(node_ids), ROWS_PER_INSERT):
            self._warehouse.execute(
                f"{statement} where schema_prefix = ? and node_id in ({', '.join('?' for _ in chunk)})",
                (self._schema_prefix, *chunk),
            )


def forget_states(warehouse: Warehouse) -> None:
    """Delete every state, of whatever schemas: rows of built tables were changed by something that is not a build."""
    if ("ops", "node_states") in warehouse.columns(("ops",)):
        warehouse.execute("delete from ops.node_states")


def fingerprints_of_ops(warehouse: Warehouse) -> dict[str, str]:
    """Ops table -> fingerprint of its rows, for the tables of ingestion that dbt reads.

    The records of builds have none: views show them, and a build must not be the reason for the next one.
    """
    ((loads, current, removed, purged, erased, rejects, replayed, refused, last_refused, profiles),) = (
        warehouse.execute(
            """
        select
            (select count(*) from ops.loads),
            (select sum(case when is_current then load_id end) from ops.loads),
            (select max(removed_at) from ops.loads),
            (select count(purged_at) from ops.loads),
            (select sum(rows_erased) from ops.loads),
            (select count(*) from ops.rejected_rows),
            (select count(replayed_by) from ops.rejected_rows),
            (select count(*) from ops.refused_objects),
            (select max(refused_at) from ops.refused_objects),
            (select count(*) from ops.profiles)
        """
        )
    )
    of_loads = f"{loads} {current} {removed} {purged} {erased}"
    return {
        "loads": of_loads,
        "rejected_rows": f"{of_loads} {rejects} {replayed}",
        "refused_objects": f"{of_loads} {refused} {last_refused}",
        "profiles": f"{of_loads} {profiles}",
    }


def fingerprints_of_loads(warehouse: Warehouse) -> dict[str, str]:
    """Dataset -> fingerprint of the rows of its current loads, which no load ever changes; erasing a person does."""
    loads: dict[str, list[tuple[int, str, str]]] = {}
    for dataset, load_id, key, etag, erased in warehouse.execute(
        "select dataset, load_id, object_key, etag, coalesce(rows_erased, 0) from ops.loads where is_current"
    ):
        loads.setdefault(dataset, []).append((int(load_id), key, f"{etag} {erased}"))
    return {dataset: fingerprint_of_loads(found) for dataset, found in loads.items()}
