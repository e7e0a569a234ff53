"""What a table is made of: a fingerprint of each node's code and of everything it reads.

A node with the fingerprint of its last successful build needs not be built again, and a test with that of its last
result needs not be run again. Pure functions over the manifest. Whatever is not covered here must not change a table:
code, macros and variables are, configuration, the types of columns, dbt's versions, and the loads behind each source.
"""

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

from netflix_assets.defs.dbt.results import Manifest

LEDGER = "loads"  # the ops table that says which loads count
RUN_DEPENDENT = "run_dependent"  # dbt's tag of models whose rows describe runs

_VARIABLE = re.compile(r"\bvar\(\s*['\"](\w+)['\"]")
# What describes a node and changes no row. dbt notes when it read a file, and where.
_CONFIG_IGNORED = frozenset({"docs", "group", "meta", "tags"})


def fingerprints(
    manifest: Manifest, sources: Mapping[str, str], variables: Mapping[str, Any], context: str
) -> dict[str, str]:
    """dbt's id -> fingerprint, of every node and test.

    ``sources``: dbt's id of a source -> fingerprint of its rows. ``variables``: those of dbt_project.yml. ``context``:
    whatever else builds tables, such as versions.
    """
    return _Fingerprints(manifest, sources, variables, context).all()


class _Fingerprints:
    def __init__(
        self, manifest: Manifest, sources: Mapping[str, str], variables: Mapping[str, Any], context: str
    ) -> None:
        self._manifest = manifest
        self._sources = sources
        self._variables = variables
        self._context = digest(context, *self._macros_found_by_name())
        self._macro_closure = cache(self._macro_closure_of)
        self._found: dict[str, str] = {}

    def all(self) -> dict[str, str]:
        return {unique_id: self._of(unique_id) for unique_id in self._manifest["nodes"]}

    def _of(self, unique_id: str) -> str:
        if unique_id in self._sources:
            return self._sources[unique_id]
        if unique_id not in self._found:
            node = self._manifest["nodes"][unique_id]
            parents = [each for each in node["depends_on"].get("nodes", ()) if not self._is_own_ledger(each, node)]
            self._found[unique_id] = digest(
                self._context, self._code(node), *(f"{each} {self._of(each)}" for each in sorted(parents))
            )
        return self._found[unique_id]

    def _is_own_ledger(self, parent: str, node: Mapping[str, Any]) -> bool:
        """Whether a node reads of the ledger only which loads of its own datasets count.

        The fingerprints of these datasets say that too. Otherwise a file of any dataset would change every table.
        """
        if parent.rpartition(".")[2] not in (LEDGER, f"stg_ops__{LEDGER}"):
            return False
        tested = self._manifest["nodes"].get(node.get("attached_node") or "")
        if node["resource_type"] == "test" and tested is None:  # it may look at anything
            return False
        return RUN_DEPENDENT not in (tested or node).get("tags", ())

    def _code(self, node: Mapping[str, Any]) -> str:
        macros = sorted(self._macro_closure(tuple(sorted(node["depends_on"].get("macros", ())))))
        texts = [self._manifest["macros"][name]["macro_sql"] for name in macros]
        own = node.get("raw_code") or ""
        config = {key: value for key, value in node["config"].items() if key not in _CONFIG_IGNORED}
        columns = {name: column.get("data_type") for name, column in node.get("columns", {}).items()}
        read = sorted({name for text in (own, json.dumps(config), *texts) for name in _VARIABLE.findall(text)})
        return digest(
            node["checksum"]["checksum"],
            own,
            str(node.get("relation_name")),
            _json(config),
            _json(columns),
            _json((node.get("test_metadata") or {}).get("kwargs", {})),
            _json({name: self._variables.get(name) for name in read}),
            *texts,
        )

    def _macro_closure_of(self, names: tuple[str, ...]) -> frozenset[str]:
        found: set[str] = set()
        waiting = list(names)
        while waiting:
            name = waiting.pop()
            if name not in found and name in self._manifest["macros"]:
                found.add(name)
                waiting += self._manifest["macros"][name]["depends_on"]["macros"]
        return frozenset(found)

    def _macros_found_by_name(self) -> Iterable[str]:
        """The project's macros that no node names: dbt finds strategies, hooks and overrides by their names."""
        macros = self._manifest["macros"]
        project = self._manifest["metadata"]["project_name"]
        named = {each for node in self._manifest["nodes"].values() for each in node["depends_on"].get("macros", ())}
        reached = self._macro_closure_of(tuple(sorted(named)))
        by_name = {name for name, macro in macros.items() if macro["package_name"] == project} - reached
        return (macros[name]["macro_sql"] for name in sorted(self._macro_closure_of(tuple(sorted(by_name)))))


def digest(*texts: str) -> str:
    """An order-dependent hash of texts."""
    found = hashlib.sha256()
    for text in texts:
        found.update(f"{len(text)}:".encode())
        found.update(text.encode())
    return found.hexdigest()


def _json(value: object) -> str:
    return json.dumps(value, sort_keys=True, default=str)
