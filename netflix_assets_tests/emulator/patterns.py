"""Regular expressions for statements that a session recognizes before parsing, and the session parameters."""

import re

COMMENTS = re.compile(r"^(\s+|--[^\n]*(\n|$)|/\*.*?\*/)+", re.DOTALL)
DDL = re.compile(r"(create|drop|undrop|alter(?!\s+session)|truncate|comment|grant|revoke)\b", re.IGNORECASE)
CHANGE = re.compile(r"(insert|update|delete|merge|copy)\b", re.IGNORECASE)
BEGIN = re.compile(r"begin$", re.IGNORECASE)
END = re.compile(r"(commit|rollback)$", re.IGNORECASE)

# Statements without a counterpart in DuckDB: accepted, logged for tests to assert, and without effect.
_OBJECTS = r"warehouse|role|user|resource\s+monitor|storage\s+integration"
WITHOUT_EFFECT = re.compile(
    rf"(create|alter|drop)\s+(or\s+replace\s+)?({_OBJECTS})\b"
    r"|(grant|revoke|comment)\b"
    r"|use\s+(role|warehouse)\b"
    r"|alter\s+(database|schema|stage)\b"
    r"|alter\s+(table|view)\s+(if\s+exists\s+)?\S+\s+(set\s|unset\s|(alter|modify)\s+(column\s+)?\S+\s+comment\b)",
    re.IGNORECASE,
)
USE = re.compile(r"use\s+(role|warehouse)\s+(\S+)", re.IGNORECASE)
SWAP = re.compile(r"alter\s+schema\s+([\w.\"]+)\s+swap\s+with\s+([\w.\"]+)$", re.IGNORECASE)
SCHEMA = re.compile(r"create\s+(or\s+replace\s+)?schema\s+(if\s+not\s+exists\s+)?[\w.\"]+", re.IGNORECASE)
VALUES = re.compile(
    r"insert\s+into\s+(?P<table>[\w.]+)\s*(?P<columns>\([\w\s,]+\))?\s*values\s*(?P<rows>(\(\s*\?(\s*,\s*\?)*\s*\)\s*,?\s*)+)$",
    re.IGNORECASE,
)
# Session parameters that clients may set.
PARAMETERS = {
    "abort_detached_query", "autocommit", "error_on_nondeterministic_merge", "lock_timeout", "multi_statement_count",
    "python_connector_query_result_format",
    "query_tag", "quoted_identifiers_ignore_case", "statement_queued_timeout_in_seconds",
    "statement_timeout_in_seconds", "timestamp_type_mapping", "timezone", "transaction_abort_on_error",
    "use_cached_result", "week_of_year_policy", "week_start",
}  # fmt: skip
