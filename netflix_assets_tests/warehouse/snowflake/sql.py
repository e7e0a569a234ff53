"""Find SQL that works on the emulator but fails or differs on Snowflake, from the text of a query.

The emulator runs on DuckDB: DuckDB's own functions work there, a division keeps all its digits and nulls sort as in
DuckDB. `faults` finds these cases without a server. The lists are short on purpose: a function is allowed only once
somebody has looked it up in Snowflake's documentation.
"""

from collections.abc import Iterator, Mapping
from itertools import pairwise

from sqlglot import Dialect, exp, parse
from sqlglot.errors import SqlglotError
from sqlglot.optimizer.annotate_types import annotate_types
from sqlglot.optimizer.qualify import qualify
from sqlglot.tokens import Token, TokenType

# database -> schema -> relation -> column -> type
Schema = Mapping[str, Mapping[str, Mapping[str, Mapping[str, str]]]]

SNOWFLAKE = Dialect.get_or_raise("snowflake")


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# In use, and documented by Snowflake with the same meaning as in DuckDB.
FUNCTIONS = _words("""
    abs avg bitxor_agg cast coalesce convert_timezone count current_timestamp date_trunc dateadd datediff dayofweekiso
    dense_rank extract first_value flatten floor greatest hash lag lead least length listagg ln lower max md5 median
    min nullif percent_rank percentile_cont power rank regexp_replace regexp_substr replace row_number split
    sqrt substr sum to_timestamp_ntz trim
    """)

# DuckDB's own functions and what to write instead. FUNCTIONS alone would refuse them; this adds the advice.
DUCKDB_ONLY = {
    "date_diff": "datediff",
    "epoch": "a dispatch macro, as epoch_to_timestamp",
    "generate_series": "the calendar of dim_dates, or digits cross joined",
    "isodow": "macro iso_day_of_week",
    "list_aggregate": "an aggregate over macro select_exploded",
    "list_contains": "macro select_exploded",
    "list_transform": "macro select_exploded",
    "make_date": "cast(... as date)",
    "make_timestamp": "macro epoch_to_timestamp",
    "quantile_cont": "percentile_cont within group",
    "range": "the calendar of dim_dates, or digits cross joined",
    "regexp_extract": "macro regexp_group",
    "regexp_matches": "regexp_like, which takes the whole text",
    "string_agg": "macro join_text",
    "string_split": "macro split_to_list",
    "strftime": "a dispatch macro",
    "strlen": "length",
    "strpos": "position",
    "strptime": "a dispatch macro",
    "unnest": "macro select_exploded",
}

# What else may precede a parenthesis: keywords, and types with a precision.
_KEYWORDS = _words("all and as by else from group in insert join not on or over select then using values when where")
_TYPES = _words("decimal number numeric varchar")

# Names that Snowflake refuses for a column, table or alias. They are reserved there but not in DuckDB.
RESERVED = _words("""
    account all alter and any as between by case cast check column connect connection constraint create cross current
    current_date current_time current_timestamp current_user database delete distinct drop else exists false following
    for from full grant group gscluster having ilike in increment inner insert intersect into is issue join lateral left
    like localtime localtimestamp minus natural not null of on or order organization qualify regexp revoke right rlike
    row rows sample schema select set some start table tablesample then to trigger true try_cast union unique update
    using values view when whenever where with
    """)

_INTEGERS = exp.DataType.INTEGER_TYPES
_DOUBLES = frozenset({exp.DataType.Type.DOUBLE, exp.DataType.Type.FLOAT})


def faults(sql: str, schema: Schema | None = None) -> list[str]:
    """List the faults of a query on Snowflake; given the columns of its relations, also those that depend on types."""
    try:
        tokens = SNOWFLAKE.tokenize(sql)
        trees = [tree for tree in parse(sql, dialect=SNOWFLAKE) if tree is not None]
    except SqlglotError as error:
        return [f"does not parse: {error}"]
    problems = [*_comments(sql), *_calls(tokens), *_literals(sql, tokens), *_orders(tokens, trees)]
    for tree in trees:
        problems += [*_constructs(tree), *_names(tree)]
        if schema is not None and isinstance(tree, exp.Query):
            problems += _typed(tree, schema)
    return problems


def _comments(sql: str) -> Iterator[str]:
    for line in sql.splitlines():
        code = line.split("--", 1)[0]
        if "//" in code and "'" not in code:
            yield f"// starts a comment: {line.strip()}"


def _calls(tokens: list[Token]) -> Iterator[str]:
    """Check every name before a parenthesis as written: the parser gives the functions of many dialects one name."""
    for before, token, after in zip([None, *tokens], tokens, tokens[1:], strict=False):
        name = token.text.lower()
        if token.token_type == TokenType.FROM and (before is None or before.token_type == TokenType.L_PAREN):
            yield "a query begins with select, not with from"
        if after.token_type != TokenType.L_PAREN or not name.isidentifier() or token.token_type == TokenType.STRING:
            continue
        if name in FUNCTIONS | _KEYWORDS | _TYPES or (before is not None and before.token_type == TokenType.ALIAS):
            continue
        instead = f": write {DUCKDB_ONLY[name]}" if name in DUCKDB_ONLY else " listed in FUNCTIONS: look it up"
        yield f"{name}() is not a Snowflake function{instead}"


def _literals(sql: str, tokens: list[Token]) -> Iterator[str]:
    for token in tokens:
        literal = sql[token.start : token.end + 1]
        if token.token_type == TokenType.STRING and "\\" in literal:
            yield f"a backslash in a text literal is an escape: {literal}"


def _orders(tokens: list[Token], trees: list[exp.Expression]) -> Iterator[str]:
    orders = sum(1 for tree in trees for _ in tree.find_all(exp.Ordered))
    words = [token.text.lower() for token in tokens]
    explicit = sum(pair in {("nulls", "first"), ("nulls", "last")} for pair in pairwise(words))
    if orders != explicit:
        yield f"{orders - explicit} of {orders} orders lack nulls first or last (descending, Snowflake puts them first)"


def _constructs(tree: exp.Expression) -> Iterator[str]:
    if isinstance(tree, exp.Command):
        yield f"cannot be parsed: {tree.sql()[:80]}"
    for node in tree.find_all(exp.Array, exp.Struct, exp.Bracket, exp.Lambda, exp.Pivot):
        yield f"{type(node).__name__.lower()} is written differently: {node.sql(SNOWFLAKE)[:80]}"
    for node in tree.find_all(exp.Interval):
        yield f"date + interval is a timestamp in DuckDB, a date in Snowflake: add days: {node.sql(SNOWFLAKE)}"
    for node in tree.find_all(exp.Trim):
        if node.args.get("expression") is None:
            yield f"trim() removes only spaces, DuckDB's all blanks: write macro trimmed: {node.sql(SNOWFLAKE)[:80]}"
    for node in tree.find_all(exp.Select):
        if node.args.get("from_") is None and node.args.get("where"):
            yield f"a where without a from: {node.sql(SNOWFLAKE)[:80]}"


def _names(tree: exp.Expression) -> Iterator[str]:
    for identifier in tree.find_all(exp.Identifier):
        if not identifier.quoted and identifier.name.lower() in RESERVED:
            yield f"{identifier.name} is a reserved word"


def _typed(tree: exp.Query, schema: Schema) -> Iterator[str]:
    """Find arithmetic that Snowflake does in decimals with few digits and DuckDB in doubles."""
    tree = qualify(tree.transform(_as_decimal), schema=schema, dialect=SNOWFLAKE, quote_identifiers=False)
    annotate_types(tree, schema=schema, dialect=SNOWFLAKE)
    for node in tree.find_all(exp.Div):
        if not (_is_double(node.left) or _is_double(node.right)):
            yield f"a quotient of decimals has 6 to 12 digits after the point, cast to double: {node.sql(SNOWFLAKE)}"
    for node in tree.find_all(exp.Add, exp.Sub):
        if _is_date(node.left) or _is_date(node.right):
            yield f"arithmetic on a date: write macro add_days, or datediff: {node.sql(SNOWFLAKE)}"
    for node in tree.find_all(exp.Avg, exp.Median, exp.PercentileCont):
        value = node.parent.expression.find(exp.Ordered).this if isinstance(node, exp.PercentileCont) else node.this
        if not _is_double(value):
            yield f"the mean of decimals has few digits after the point, cast to double: {node.sql(SNOWFLAKE)}"
    for node in tree.find_all(exp.Cast):
        if node.to.this in _INTEGERS and _is_double(node.this) and not node.this.find(exp.Floor, exp.Ceil, exp.Round):
            yield f"halves are rounded to even in DuckDB and away from zero in Snowflake: {node.sql(SNOWFLAKE)}"


def _as_decimal(node: exp.Expression) -> exp.Expression:
    # The parser reads 1.0 as a double; both warehouses read it as a decimal.
    is_decimal = isinstance(node, exp.Literal) and node.is_number and "." in node.name and "e" not in node.name.lower()
    return exp.cast(node, "decimal(38, 12)") if is_decimal and not isinstance(node.parent, exp.Cast) else node


def _is_date(node: exp.Expression) -> bool:
    return node.type is not None and node.type.this == exp.DataType.Type.DATE


def _is_double(node: exp.Expression) -> bool:
    if isinstance(node, exp.Binary):  # a decimal and a double make a double, which the parser does not know
        return _is_double(node.left) or _is_double(node.right)
    if isinstance(node, exp.Paren | exp.Neg):
        return _is_double(node.this)
    return node.type is not None and node.type.this in _DOUBLES
