"""Compare a Parquet file's schema with the contract, and plan how to read its columns."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from json.encoder import encode_basestring
from typing import Any

from pyarrow import types

from netflix_assets.contracts.column import Column
from netflix_assets.contracts.conversion import conversion_of
from netflix_assets.contracts.dialect import EPOCHS
from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.headers import missing_reason, quoted_columns
from netflix_assets.ingest.members import paths

_MAX_REASONS = 10
_INT96 = "INT96"
UTC = "UTC"


@dataclass(frozen=True)
class Leaf:
    """A value that is read: a column of the file, or a member of a struct.

    ``is_nested``: it becomes JSON. ``is_literal``: a number, true or false. ``widen``: 32-bit floats become doubles.
    ``plain``: numbers are written without an exponent. ``zone``: what follows timestamps with a time zone.
    ``is_marked``: the contract converts the column's texts, so that others must be told apart from them.
    """

    path: tuple[str, ...]
    is_nested: bool
    is_literal: bool
    widen: bool = False
    plain: bool = False
    zone: str = ""
    is_marked: bool = False


@dataclass(frozen=True)
class ColumnPlan:
    """Where a contract column comes from: one leaf, or a default, or a template of a JSON object of leaves."""

    leaf: int | None = None
    default: str | None = None
    template: str = ""
    leaves: tuple[int, ...] = ()


@dataclass
class Plan:
    """How rows are read. ``row``: what is read of a row, as JSON. ``reads``: as Arrow names columns.

    ``int96``: columns of the old timestamp type. ``unknown``: columns that the contract does not have.
    ``zoneless``: columns for which the contract says ``time_zone: UTC``, and the file has no zone.
    """

    names: tuple[str, ...]
    unknown: tuple[str, ...]
    leaves: list[Leaf] = field(default_factory=list)
    columns: list[ColumnPlan] = field(default_factory=list)
    int96: list[str] = field(default_factory=list)
    zoneless: tuple[str, ...] = ()
    row: ColumnPlan = ColumnPlan()
    reads: list[str] = field(default_factory=list)


def is_number(kind: Any) -> bool:
    """Whether an Arrow type is one of numbers."""
    return bool(types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind))


def is_list(kind: Any) -> bool:
    """Whether an Arrow type is one of lists."""
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def plan_reading(file: Any, dataset: Dataset) -> Plan:
    """Find each contract column in the schema of a ``pyarrow.parquet.ParquetFile``.

    Raises: RefusedError when a column is missing, appears twice or has a type that does not fit.
    """
    schema = file.schema_arrow
    duplicates = sorted(name for name, count in Counter(schema.names).items() if count > 1)
    if duplicates:
        raise RefusedError(f"duplicate {quoted_columns(duplicates)} in the file")
    found = [_find(schema, column) for column in dataset.columns]
    known = {path[0] for column in dataset.columns if not column.rest for path in paths(column) if path}
    unread = tuple(name for name in schema.names if name not in known)
    takes_all = any(column.rest or column.path == "" for column in dataset.columns)
    missing = [
        column.path or column.file_name
        for column, path in zip(dataset.columns, found, strict=True)
        if path is None and column.default is None
    ]
    if missing:
        raise RefusedError(missing_reason("the file", missing, unread, [each.file_name for each in dataset.columns]))
    plan = Plan(tuple(column.name for column in dataset.columns), () if takes_all else unread)
    _refuse_types(schema, dataset, found)
    for column, path in zip(dataset.columns, found, strict=True):
        plan.columns.append(_plan_column(plan, schema, dataset, column, path, unread))
    plan.row = _object([(leaf.path, at) for at, leaf in enumerate(plan.leaves)])
    plan.reads = list(dict.fromkeys(".".join(leaf.path) for leaf in plan.leaves))
    plan.int96 = _int96_columns(file, plan)
    plan.zoneless = tuple(_zoneless(schema, dataset, found))
    return plan


def _find(schema: Any, column: Column) -> tuple[str, ...] | None:
    """The path of the column in the schema. Raises: RefusedError when the file has two of its names."""
    if column.rest:
        return ()
    found = [path for path in paths(column) if _type_at(schema, path) is not None]
    if len(found) > 1:
        names = quoted_columns(["/".join(path) for path in found])
        raise RefusedError(f"{names} in the file are the same column of the contract, {column.name}")
    return found[0] if found else None


def _type_at(schema: Any, path: Sequence[str]) -> Any:
    """The Arrow type of a column or of a member of structs; None when there is none. The whole row for no path."""
    if not path:
        return schema
    if path[0] not in schema.names:
        return None
    kind = schema.field(path[0]).type
    for name in path[1:]:
        if not types.is_struct(kind):
            raise RefusedError(
                f"'/{'/'.join(path)}' in the contract leads into a {kind}, but only a struct has members; declare "
                "`type: json` for the whole value"
            )
        if kind.get_field_index(name) < 0:
            return None
        kind = kind.field(name).type
    return kind


def _plan_column(
    plan: Plan, schema: Any, dataset: Dataset, column: Column, path: tuple[str, ...] | None, unread: Sequence[str]
) -> ColumnPlan:
    if path is None:
        return ColumnPlan(default=column.default or "")
    if path == ():
        names = unread if column.rest else schema.names
        return _object([((name,), _leaf(plan, Leaf((name,), *_kinds(schema.field(name).type)))) for name in names])
    kind = _type_at(schema, path)
    zone = "Z" if column.type == "timestamp" and dataset.value_options(column).time_zone else ""
    is_plain = (types.is_floating(kind) or types.is_decimal(kind)) and column.is_numeric and column.type != "double"
    is_nested, is_literal = _kinds(kind)
    # Only where it matters: marking a value takes as long as reading it.
    is_marked = (is_nested or is_literal) and conversion_of(dataset, column) is not None
    leaf = Leaf(path, is_nested, is_literal, column.type == "double", is_plain, zone, is_marked)
    return ColumnPlan(_leaf(plan, leaf))


def _leaf(plan: Plan, leaf: Leaf) -> int:
    if leaf not in plan.leaves:
        plan.leaves.append(leaf)
    return plan.leaves.index(leaf)


def _kinds(kind: Any) -> tuple[bool, bool]:
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(types.is_nested(kind)), bool(is_number(kind) or types.is_boolean(kind))


def _object(wanted: Sequence[tuple[tuple[str, ...], int]]) -> ColumnPlan:
    """A JSON object of these leaves, given as path and index; nested as their paths are."""
    tree: dict[str, Any] = {}
    for path, at in wanted:
        _place(tree, path, at)
    leaves: list[int] = []
    return ColumnPlan(template=_template(tree, leaves), leaves=tuple(leaves))


def _place(tree: Any, path: tuple[str, ...], at: int) -> None:
    for name in path[:-1]:
        tree = tree.setdefault(name, {})
        if not isinstance(tree, dict):  # the whole value is there
            return
    tree[path[-1]] = at


def _template(tree: dict[str, Any], leaves: list[int]) -> str:
    """A text with ``%s`` for each leaf; appends their indexes to ``leaves`` in that order."""
    members = []
    for name, each in tree.items():
        if not isinstance(each, dict):
            leaves.append(each)
        value = _template(each, leaves) if isinstance(each, dict) else "%s"
        members.append(f"{encode_basestring(name).replace('%', '%%')}:{value}")
    return f"{{{','.join(members)}}}"


def _zoneless(schema: Any, dataset: Dataset, found: Sequence[tuple[str, ...] | None]) -> Iterator[str]:
    """Of Parquet, ``time_zone: UTC`` can only say that times have a zone: those without one would be UTC anyway."""
    for column, path in zip(dataset.columns, found, strict=True):
        kind = _type_at(schema, path) if path else None
        is_naive = kind is not None and types.is_timestamp(kind) and kind.tz is None
        if is_naive and column.type == "timestamp" and dataset.value_options(column).time_zone == UTC:
            yield "/".join(path or ())


def _int96_columns(file: Any, plan: Plan) -> list[str]:
    wanted = dict.fromkeys(leaf.path[0] for leaf in plan.leaves)
    found = [
        column.path for column in map(file.schema.column, range(len(file.schema))) if column.physical_type == _INT96
    ]
    nested = next(
        (path for path in found for name in wanted if path.startswith(f"{name}.") and path not in wanted), None
    )
    if nested:
        raise RefusedError(f"'{nested}' is an int96 timestamp in a nested value; export it as timestamp[us]")
    return [path for path in found if path in wanted]


def _refuse_types(schema: Any, dataset: Dataset, found: Sequence[tuple[str, ...] | None]) -> None:
    reasons = list(_type_faults(schema, dataset, found))
    if reasons:
        more = f" (and {len(reasons) - _MAX_REASONS:,} more)" if len(reasons) > _MAX_REASONS else ""
        raise RefusedError("; ".join(reasons[:_MAX_REASONS]) + more)


def _type_faults(schema: Any, dataset: Dataset, found: Sequence[tuple[str, ...] | None]) -> Iterator[str]:
    for column, path in zip(dataset.columns, found, strict=True):
        if path is None:
            continue
        if not path:
            for name in schema.names:
                yield from _json_faults(name, schema.field(name).type)
            continue
        kind = _type_at(schema, path)
        name = "/".join(path)
        if column.type == "json" and types.is_nested(kind):
            yield from _json_faults(name, kind)
        elif not _fits(column, dataset, kind):
            yield f"column '{name}' is {kind}, but the contract says {column.type}; {_fix(column, kind)}"
        elif types.is_temporal(kind) and dataset.time_format(column):
            yield (
                f"column '{name}' is {kind}, but the contract says it is a text like {dataset.time_format(column)}; "
                "remove the format from the contract"
            )


def _json_faults(name: str, kind: Any) -> Iterator[str]:
    for each in _scalars(kind):
        if not _is_known(each):
            yield f"column '{name}' holds {each}, for which JSON has no form; export it as text"


def _scalars(kind: Any) -> Iterator[Any]:
    if types.is_struct(kind):
        for index in range(kind.num_fields):
            yield from _scalars(kind.field(index).type)
    elif types.is_map(kind):
        yield from (*_scalars(kind.key_type), *_scalars(kind.item_type))
    elif is_list(kind):
        yield from _scalars(kind.value_type)
    else:
        yield kind


def _is_known(kind: Any) -> bool:
    kind = kind.value_type if types.is_dictionary(kind) else kind
    return bool(
        is_number(kind) or is_text(kind) or types.is_boolean(kind) or types.is_date(kind) or types.is_timestamp(kind)
        or types.is_null(kind)
    )  # fmt: skip


def is_text(kind: Any) -> bool:
    """Whether an Arrow type is one of texts."""
    return bool(types.is_string(kind) or types.is_large_string(kind) or types.is_string_view(kind))


def _fits(column: Column, dataset: Dataset, kind: Any) -> bool:
    """Whether every value of an Arrow type has a form that a column of this type can have."""
    kind = kind.value_type if types.is_dictionary(kind) else kind
    if is_text(kind) or types.is_null(kind):
        return True
    if types.is_integer(kind) and dataset.time_format(column) in EPOCHS:
        return True
    if column.type in ("integer", "bigint"):
        is_whole = types.is_integer(kind) or (types.is_decimal(kind) and kind.scale == 0)
        return bool(is_whole or (is_number(kind) and dataset.value_options(column).decimal_zeros))
    if column.is_numeric:
        return is_number(kind)
    test = {"boolean": types.is_boolean, "date": types.is_date, "timestamp": types.is_timestamp}.get(column.type)
    return bool(test is not None and test(kind))


_SUGGESTED = (
    (types.is_integer, "bigint"), (types.is_floating, "double"), (types.is_boolean, "boolean"),
    (types.is_date, "date"), (types.is_timestamp, "timestamp"), (types.is_nested, "json"),
)  # fmt: skip


def _fix(column: Column, kind: Any) -> str:
    export = f"export it as {'text' if column.type == 'json' else column.type}"
    if types.is_decimal(kind):
        return f"declare `type: decimal({kind.precision},{kind.scale})`, or {export}"
    suggested = next((name for test, name in _SUGGESTED if test(kind)), None)
    return f"declare `type: {suggested}`, or {export}" if suggested else export
