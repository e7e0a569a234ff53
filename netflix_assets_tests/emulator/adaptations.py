"""Corrections of what fakesnow 0.12.1 or DuckDB get wrong in a statement. Each function says why it is needed.

A function changes a statement parsed with sqlglot's Snowflake dialect; fakesnow then translates it for DuckDB.
``install`` replaces parts of fakesnow itself.
"""

import re
from collections.abc import Callable
from string import Template

import sqlglot
from duckdb import DuckDBPyConnection
from fakesnow import info_schema, macros, transforms
from fakesnow.transforms import show
from fakesnow.transforms import transforms as transform_module
from sqlglot import exp

Adaptation = Callable[[exp.Expression], exp.Expression]

# A session keeps its temporary tables in a schema with this name and the number of the session.
TEMPORARY_SCHEMA = "_TEMPORARY_"

# A table with this comment is a dynamic table.
DYNAMIC_TABLE = "dynamic table"

_NUMBER = r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*"
_NOT_FINITE = r"\s*[+-]?(?i:nan|inf|infinity)\s*"
_WHOLE = r"[+-]?\d+"
_DATE = r"\s*\d{4}-\d{1,2}-\d{1,2}([ T].*)?\s*"
_INTEGERS = (exp.DType.INT, exp.DType.BIGINT, exp.DType.SMALLINT, exp.DType.TINYINT)
_TIMESTAMPS = (exp.DType.TIMESTAMP, exp.DType.TIMESTAMPNTZ, exp.DType.DATETIME)


def strict_try_cast(node: exp.Expression) -> exp.Expression:
    """TRY_CAST reads texts by Snowflake's rules. DuckDB also reads 0x10 and 1_000, but no epoch seconds.

    Integers have 38 digits.
    """
    if not isinstance(node, exp.TryCast) or node.to.this not in _TRY_CASTS:
        return node
    kind = node.to.sql("duckdb")
    if node.to.this in _INTEGERS or kind == "DECIMAL":
        kind = "DECIMAL(38)"  # fakesnow turns DECIMAL(38, 0) into BIGINT
    strict = _duckdb(_TRY_CASTS[node.to.this].format(text="_text_", kind=kind))
    for column in list(strict.find_all(exp.Column)):  # every column is _text_
        column.replace(node.this.copy())
    return exp.Paren(this=strict)


def _duckdb(sql: str) -> exp.Expression:
    return sqlglot.parse_one(sql, read="duckdb")


# Seconds, milliseconds, microseconds or nanoseconds, depending on the magnitude.
_EPOCH = (
    "make_timestamp(cast(try_cast({text} as double) * case "
    "when abs(try_cast({text} as double)) < 31536000000 then 1e6 "
    "when abs(try_cast({text} as double)) < 31536000000000 then 1e3 "
    "when abs(try_cast({text} as double)) < 31536000000000000 then 1 else 1e-3 end as bigint))"
)


def _case(pattern: str, otherwise: str = "") -> str:
    pattern = pattern.replace("{", "{{").replace("}", "}}")
    return (
        f"case when regexp_full_match({{text}}, '{pattern}') then try_cast(trim({{text}}) as {{kind}}) {otherwise}end"
    )


_BOOLEANS = (
    "case when lower(trim({text})) in ('true', 't', 'yes', 'y', 'on', '1') then true "
    "when lower(trim({text})) in ('false', 'f', 'no', 'n', 'off', '0') then false end"
)
# NULL if too large, unless the text says infinity.
_DOUBLES = (
    f"case when regexp_full_match({{text}}, '{_NOT_FINITE}') or "
    f"(regexp_full_match({{text}}, '{_NUMBER}') and isfinite(try_cast(trim({{text}}) as double))) "
    "then try_cast(trim({text}) as double) end"
)
_TIME = _case(_DATE, f"when regexp_full_match({{text}}, '{_WHOLE}') then cast({_EPOCH} as {{kind}}) ")
_TRY_CASTS = {
    **dict.fromkeys((*_INTEGERS, exp.DType.DECIMAL), _case(_NUMBER)),
    **dict.fromkeys((exp.DType.DOUBLE, exp.DType.FLOAT), _DOUBLES),
    **dict.fromkeys((exp.DType.DATE, *_TIMESTAMPS), _TIME),
    exp.DType.BOOLEAN: _BOOLEANS,
}


def native_merge(node: exp.Expression) -> exp.Expression:
    """Use DuckDB's MERGE, which returns the actions. Its INSERT … VALUES (a) needs the source's name before ``a``."""
    if not isinstance(node, exp.Merge):
        return node
    source = node.args["using"].alias_or_name
    for when in node.args["whens"].expressions:
        then = when.args.get("then")
        if isinstance(then, exp.Insert) and then.expression:
            for column in then.expression.find_all(exp.Column):
                if not column.table:
                    column.set("table", exp.to_identifier(source))
    node.set("returning", exp.Returning(expressions=[exp.column("merge_action")]))
    return node


def hash_of_row(node: exp.Expression) -> exp.Expression:
    """``hash(*)`` covers all columns. DuckDB spells it ``hash(*columns(*))`` and returns an unsigned number."""
    if isinstance(node, exp.Anonymous) and node.name.upper() == "HASH":
        inner = "*columns(*)" if isinstance(node.expressions[0], exp.Star) else None
        arguments = inner or ", ".join(each.sql("duckdb") for each in node.expressions)
        return _duckdb(f"cast(hash({arguments}) >> 1 as bigint)")
    return node


def division_by_zero(node: exp.Expression) -> exp.Expression:
    """Division by zero is an error; DuckDB returns infinity."""
    for division in reversed(list(node.find_all(exp.Div)) if node.parent is None else []):
        divisor = division.expression
        if isinstance(divisor, exp.Literal) and float(divisor.this) != 0:
            continue
        guarded = _duckdb("(case when 0 = 0 then error('Division by zero') else 0 end)")
        case = guarded.this
        case.args["ifs"][0].this.set("this", divisor.copy())
        case.set("default", division.copy())
        division.replace(guarded)
    return node


def clone_of_a_table(node: exp.Expression) -> exp.Expression:
    """CREATE TABLE … CLONE copies the rows. fakesnow ignores OR REPLACE."""
    clone = node.args.get("clone") if isinstance(node, exp.Create) else None
    if clone is not None and str(node.args.get("kind")).upper() == "TABLE":
        node.set("clone", None)
        node.set("expression", exp.select("*").from_(clone.this.copy()))
    return node


ADAPTATIONS: tuple[Adaptation, ...] = (
    strict_try_cast, native_merge, hash_of_row, division_by_zero, clone_of_a_table,
)  # fmt: skip


def adapt(statement: exp.Expression) -> exp.Expression:
    """Apply all adaptations to a statement."""
    for adaptation in ADAPTATIONS:
        statement = statement.transform(adaptation, copy=False)
    return statement


# ------------------------------------------------------------------------------------------ fakesnow itself

_TYPES = """case
    when columns.data_type in ('BIGINT', 'HUGEINT', 'INTEGER', 'SMALLINT', 'TINYINT', 'UBIGINT', 'UINTEGER')
        or starts_with(columns.data_type, 'DECIMAL') then 'NUMBER'
    when columns.data_type = 'VARCHAR' then 'TEXT'
    when columns.data_type in ('DOUBLE', 'FLOAT') then 'FLOAT'
    when columns.data_type = 'BLOB' then 'BINARY'
    when starts_with(columns.data_type, 'TIMESTAMP WITH') then 'TIMESTAMP_TZ'
    when starts_with(columns.data_type, 'TIMESTAMP') then 'TIMESTAMP_NTZ'
    when columns.data_type = 'JSON' then 'VARIANT'
    else columns.data_type end"""


def install() -> None:
    """Replace the parts of fakesnow that are wrong. Call it once, before the first connection."""
    _keep_sums_exact()
    _show_snowflake_types()
    _hide_temporary_tables()
    _show_dynamic_tables()
    _merge_natively()
    _list_views()
    _read_epochs_as_utc()
    _describe_as_duckdb()


def _describe_as_duckdb() -> None:
    # For CREATE TABLE with columns AS SELECT *, fakesnow asks DuckDB for the columns of the query, but writes the query
    # in no dialect: date_trunc becomes TIMESTAMP_TRUNC, which DuckDB does not know.
    with_star = transforms.create_table_as

    def without_star(node: exp.Expression, duck_conn: DuckDBPyConnection) -> exp.Expression:
        if isinstance(node, exp.Create) and node.kind == "TABLE" and isinstance(node.expression, exp.Query):
            query = node.expression.unnest()
            if isinstance(query, exp.Select) and query.is_star and isinstance(node.this, exp.Schema):
                described = duck_conn.execute(f"describe {query.sql('duckdb')}").fetchall()
                query.set("expressions", [exp.column(row[0]) for row in described])
        return with_star(node, duck_conn)

    transforms.create_table_as = without_star


def _list_views() -> None:
    # fakesnow's information_schema.tables has no views.
    view = info_schema.SQL_CREATE_INFORMATION_SCHEMA_TABLES_VIEW.template
    view = view.replace("'BASE TABLE' AS", "tables.kind AS").replace(
        "from duckdb_tables tables",
        """from (
    select database_name, schema_name, table_name, estimated_size, 'BASE TABLE' as kind from duckdb_tables()
    union all
    select database_name, schema_name, view_name, null, 'VIEW' from duckdb_views() where not internal
) as tables""",
    )
    info_schema.SQL_CREATE_INFORMATION_SCHEMA_TABLES_VIEW = Template(view)


def _read_epochs_as_utc() -> None:
    # fakesnow converts epochs to local time, which is right only while the session's time zone is UTC.
    sql = macros.FS_TO_TIMESTAMP.template
    macros.FS_TO_TIMESTAMP = Template(
        re.sub(r"cast\((to_timestamp\([^)]*\)) as TIMESTAMP\)", r"(\1 at time zone 'UTC')", sql)
    )


def _merge_natively() -> None:
    # fakesnow splits a MERGE into three statements and accepts two sources for one row. DuckDB refuses, as Snowflake
    # does.
    transforms.merge = lambda node: [node]


def _keep_sums_exact() -> None:
    # fakesnow casts the argument of sum to DOUBLE, to support texts. Sums of integers and decimals would lose digits.
    transforms.numeric_agg_implicit_cast = lambda node: node


def _show_snowflake_types() -> None:
    # fakesnow's information_schema.columns shows HUGEINT and other DuckDB types for sums and casts.
    view = info_schema.SQL_CREATE_GLOBAL_INFORMATION_SCHEMA_COLUMNS_VIEW
    start, end = view.index("case when starts_with(columns.data_type"), view.index("ext_character_maximum_length as")
    numeric = """
    case when {types} = 'NUMBER' then
        case when starts_with(columns.data_type, 'DECIMAL') then columns.numeric_precision else 38 end
    end as NUMERIC_PRECISION,
    case when {types} = 'NUMBER' then 10 end as NUMERIC_PRECISION_RADIX,
    case when {types} = 'NUMBER' then
        case when starts_with(columns.data_type, 'DECIMAL') then columns.numeric_scale else 0 end
    end as NUMERIC_SCALE,
    """.replace("{types}", _TYPES)
    view = view[:start] + f"{_TYPES} as DATA_TYPE,\n" + view[end:]
    start, end = view.index("case when columns.data_type='BIGINT' then 38"), view.index("COLLATION_NAME, IS_IDENTITY")
    info_schema.SQL_CREATE_GLOBAL_INFORMATION_SCHEMA_COLUMNS_VIEW = view[:start] + numeric + view[end:]


def _show_dynamic_tables() -> None:
    # fakesnow lists a dynamic table as a table. dbt would drop it and create it again.
    is_dynamic = f"""case when exists (
        select 1 from duckdb_tables() as dynamic
        where dynamic.database_name = tables.table_catalog and dynamic.schema_name = tables.table_schema
            and dynamic.table_name = tables.table_name and dynamic.comment = '{DYNAMIC_TABLE}'
    ) then 'Y' else 'N' end as is_dynamic"""
    for name in ("SQL_CREATE_VIEW_SHOW_OBJECTS", "SQL_CREATE_VIEW_SHOW_TABLES"):
        setattr(show, name, getattr(show, name).replace("'N' as is_dynamic", is_dynamic))


def _hide_temporary_tables() -> None:
    # Temporary tables are real tables in a hidden schema of their session. Only DESCRIBE may find them.
    hidden = f"not starts_with({{column}}, '{TEMPORARY_SCHEMA}')"
    for name, column in (
        ("SQL_CREATE_INFORMATION_SCHEMA_COLUMNS_VIEW", "table_schema"),
        ("SQL_CREATE_INFORMATION_SCHEMA_TABLES_VIEW", "tables.schema_name"),
        ("SQL_CREATE_INFORMATION_SCHEMA_SCHEMATA_VIEW", "schema_name"),
    ):
        view = getattr(info_schema, name).template.rstrip()
        setattr(info_schema, name, Template(f"{view} and {hidden.format(column=column)}\n"))
    for name, column in (
        ("SQL_CREATE_VIEW_SHOW_SCHEMAS", "schema_name"),
        ("SQL_CREATE_VIEW_SHOW_OBJECTS", "table_schema"),
        ("SQL_CREATE_VIEW_SHOW_TABLES", "table_schema"),
    ):
        setattr(show, name, f"{getattr(show, name).rstrip()} and {hidden.format(column=column)}")
    describe = transform_module.SQL_DESCRIBE_TABLE.template
    transform_module.SQL_DESCRIBE_TABLE = Template(
        describe.replace(
            "FROM _fs_information_schema._fs_columns", "FROM _fs_global._fs_information_schema._fs_columns"
        )
    )
