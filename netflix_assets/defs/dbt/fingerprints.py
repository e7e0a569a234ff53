"""What a table is made of: fingerprints of each node's code, and of the code and loads behind it.

A node that would get the fingerprint of its last successful build need not be built again, nor a test be run again.
Pure functions over the manifest. Whatever is not covered here must not change a table: code, macros and variables are,
configuration, the types of columns, versions, and the loads behind each source.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from netflix_assets.defs.dbt.results import RUN_DEPENDENT, Manifest

_LEDGER = "loads"  # the ops table that says which loads count
_VARIABLE = re.compile(r"\bvar\(\s*['\"](\w+)['\"]")
# What describes a node and changes no row. dbt notes when it read a file, and where.
_CONFIG_IGNORED = frozenset({"docs", "group", "meta", "tags"})


@dataclass(frozen=True)
class Fingerprint:
    """``code``: of all code that a table comes from. ``content``: of that and of the loads that it comes from.

    Equal contents mean equal rows. Equal code means that an incremental model can go on from the rows that it has.
    """

    code: str
    content: str


@dataclass(frozen=True)
class Surroundings:
    """What builds tables besides the nodes' own code.

    ``sources``: dbt's id of a source -> fingerprint of its columns and of its rows. ``variables``: those of
    dbt_project.yml. ``context``: whatever else there is, such as versions.
    """

    sources: Mapping[str, Fingerprint]
    variables: Mapping[str, Any]
    context: str


def fingerprints(
    manifest: Manifest, around: Surroundings, wanted: Collection[str], others: Mapping[str, Fingerprint], unknown: str
) -> dict[str, Fingerprint]:
    """dbt's id -> the fingerprint that a node or test gets, if the ``wanted`` ones are built that need be.

    The rest stay as they are: ``others``, where known. ``unknown`` stands for what is not; a text that is used for one
    run makes that run's results good for no other.
    """
    return _Fingerprints(manifest, around, frozenset(wanted), others, unknown).all()


def is_same_code(first: Manifest, second: Manifest) -> bool:
    """Whether two manifests have the same code. dbt adds to ``depends_on`` while it builds, so that is not compared."""
    return _project_code(first) == _project_code(second)


def _project_code(manifest: Manifest) -> dict[str, tuple[str, ...]]:
    nodes = {name: _own_code(node) for name, node in manifest["nodes"].items() if node["resource_type"] != "operation"}
    return {**nodes, **{name: (macro["macro_sql"],) for name, macro in manifest["macros"].items()}}


def _own_code(node: Mapping[str, Any]) -> tuple[str, ...]:
    """Everything in a node that makes its rows, without the macros it calls."""
    config = {key: value for key, value in node["config"].items() if key not in _CONFIG_IGNORED}
    columns = {name: column.get("data_type") for name, column in node.get("columns", {}).items()}
    return (
        node["checksum"]["checksum"],
        node.get("raw_code") or "",
        str(node.get("relation_name")),
        _json(config),
        _json(columns),
        _json((node.get("test_metadata") or {}).get("kwargs", {})),
    )


class _Fingerprints:
    def __init__(
        self,
        manifest: Manifest,
        around: Surroundings,
        wanted: frozenset[str],
        others: Mapping[str, Fingerprint],
        unknown: str,
    ) -> None:
        self._manifest = manifest
        self._around = around
        self._wanted = wanted
        self._others = others
        self._unknown = Fingerprint(unknown, unknown)
        self._context = digest(around.context, *self._macros_found_by_name())
        self._macro_closure = cache(self._macro_closure_of)
        self._of = cache(self._fingerprint_of)

    def all(self) -> dict[str, Fingerprint]:
        return {unique_id: self._of(unique_id) for unique_id in self._wanted}

    def _fingerprint_of(self, unique_id: str) -> Fingerprint:
        if unique_id in self._around.sources:
            return self._around.sources[unique_id]
        node = self._manifest["nodes"][unique_id]
        if unique_id not in self._wanted and node["config"]["materialized"] != "ephemeral":
            return self._others.get(unique_id, self._unknown)
        code = digest(self._context, self._code(node))
        parents = {
            each: self._of(each)
            for each in sorted(node["depends_on"].get("nodes", ()))
            if not self._is_own_ledger(each, node)
        }
        return Fingerprint(
            code=digest(code, *(f"{each} {parent.code}" for each, parent in parents.items())),
            content=digest(code, *(f"{each} {parent.content}" for each, parent in parents.items())),
        )

    def _is_own_ledger(self, parent: str, node: Mapping[str, Any]) -> bool:
        """Whether a node reads of the ledger only which loads of its own datasets count.

        The fingerprints of these datasets say that too. Otherwise a file of any dataset would change every table.
        """
        if parent.rpartition(".")[2] not in (_LEDGER, f"stg_ops__{_LEDGER}"):
            return False
        tested = self._manifest["nodes"].get(node.get("attached_node") or "")
        if node["resource_type"] == "test" and tested is None:  # it may look at anything
            return False
        return RUN_DEPENDENT not in (tested or node).get("tags", ())

    def _code(self, node: Mapping[str, Any]) -> str:
        macros = sorted(self._macro_closure(tuple(sorted(node["depends_on"].get("macros", ())))))
        texts = [self._manifest["macros"][name]["macro_sql"] for name in macros]
        own = _own_code(node)
        read = sorted({name for text in (*own, *texts) for name in _VARIABLE.findall(text.replace('\\"', '"'))})
        return digest(*own, _json({name: self._around.variables.get(name) for name in read}), *texts)

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
