"""What is generated from dbt's manifest: the catalogue, its index, and Snowflake's semantic views."""

import copy
import json
import random
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import duckdb
import pytest
import sqlglot
from sqlglot import exp
from sqlglot.tokens import TokenType

from netflix_assets.defs.dbt.project import dbt_project
from netflix_assets.dev.catalogue import CATALOGUE, INDEX, metrics, tables
from netflix_assets.dev.from_manifest import generated
from netflix_assets.dev.questions import questions
from netflix_assets.dev.semantic_views import SemanticViewError, render
from netflix_assets.settings import ENVIRONMENTS, REPO, read_settings
from netflix_assets_tests.defs.dbt.metrics import Metrics
from netflix_assets_tests.demo import Demo
from netflix_assets_tests.deploy.scripts import statements
from netflix_assets_tests.dev.setup_command import printed

CLAUSES = ["tables", "relationships", "facts", "dimensions", "metrics"]  # Snowflake accepts no other order
Manifest = Mapping[str, Any]


@pytest.fixture(scope="module")
def parsed(demo: Demo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with dbt's manifest and semantic manifest."""
    home = demo.parsed_in(tmp_path_factory.mktemp("parsed"))
    return dbt_project(read_settings(home=home)).manifest_path.parent


@pytest.fixture(scope="module")
def manifest(parsed: Path) -> Manifest:
    found: Manifest = json.loads((parsed / "manifest.json").read_text(encoding="utf-8"))
    return found


def test_the_files_are_current(manifest: Manifest) -> None:
    for file, text in generated(manifest, REPO / "dbt").items():
        assert file.read_text(encoding="utf-8") == text, f"{file.name} differs from dbt's manifest; run: make sources"


def test_the_catalogue_has_every_table_column_metric_and_question(manifest: Manifest) -> None:
    page = CATALOGUE.read_text(encoding="utf-8")
    sections = {part.partition("\n")[0]: part for part in page.split("\n### ")[1:]}
    published = [
        node
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model" and node["fqn"][1] in ("core", "marts")
    ]
    assert sections.keys() == {node["name"] for node in published}
    for node in published:
        text = sections[node["name"]]
        assert re.search(r"Grain: one row per .+\.\n", text), node["name"]
        assert re.findall(r"^\| `(\w+)` \|", text.partition("## Metrics")[0], re.MULTILINE) == list(node["columns"])
    for metric in manifest["metrics"].values():
        assert f"| `{metric['name']}` |" in page
    for question in questions(REPO / "dbt"):
        assert question.sql in sections[question.mart], question.name


def test_the_index_has_the_form_of_llmstxt_and_its_links_lead_somewhere(manifest: Manifest) -> None:
    lines = INDEX.read_text(encoding="utf-8").splitlines()
    assert lines[0].startswith("# ")
    assert lines[2].startswith("> ")
    listed = lines[next(number for number, line in enumerate(lines) if line.startswith("## ")) :]
    anchors = set(re.findall(r"^#+ (.+)$", CATALOGUE.read_text(encoding="utf-8"), re.MULTILINE))
    headings = {heading.lower().replace(": ", "-") for heading in anchors}
    names = []
    for line in filter(None, listed):
        if line.startswith("## "):
            continue
        link = re.fullmatch(r"- \[([^]]+)\]\(([\w.-]+)(?:#([\w-]+))?\)(: .+)?", line)
        assert link, line
        assert (INDEX.parent / link[2]).exists(), line
        assert link[3] is None or link[3] in headings, line
        names.append(link[1])
    assert set(names) >= {f"{table.layer}.{table.name}" for table in tables(manifest)}
    assert set(names) >= {metric.name for metric in metrics(manifest)}
    assert set(names) >= {question.name for question in questions(REPO / "dbt")}


@dataclass(frozen=True)
class View:
    """A semantic view as its statement says it: the tables by alias, and (name, expression) of each other part."""

    tables: dict[str, tuple[str, list[str]]]
    relationships: list[tuple[str, str, str]]
    facts: list[tuple[str, str]]
    dimensions: list[tuple[str, str]]
    metrics: list[tuple[str, str]]


def clauses(statement: str) -> Iterator[tuple[str, list[str]]]:
    """Each clause of a statement with its parts, by balanced parentheses and commas outside of them."""
    depth, clause, start, parts = 0, "", 0, []
    tokens = sqlglot.tokenize(statement, dialect="snowflake")
    for before, token in pairwise(tokens):
        if token.token_type is TokenType.L_PAREN:
            depth += 1
            if depth == 1:
                clause, start, parts = before.text.lower(), token.end + 1, []
        elif token.token_type is TokenType.R_PAREN:
            depth -= 1
            if depth == 0:
                yield clause, [*parts, statement[start : token.start].strip()]
        elif token.token_type is TokenType.COMMA and depth == 1:
            parts.append(statement[start : token.start].strip())
            start = token.end + 1
    assert depth == 0


def view_of(statement: str) -> View:
    found = dict(clauses(statement))
    assert [each for each in CLAUSES if each in found] == list(found), "Snowflake accepts one order of the clauses"
    comment = r" comment = '(?:[^']|'')+'"
    table = re.compile(rf"(\w+) as NETFLIX_\w+\.(\w+\.\w+) primary key \(([\w, ]+)\){comment}")
    link = re.compile(r"\w+ as (\w+) \((\w+)\) references (\w+)")
    part = re.compile(rf"([\w.]+) as (.+?){comment}")
    named = {each: match for each in found["tables"] if (match := table.fullmatch(each))}
    assert len(named) == len(found["tables"])
    parts = {
        clause: [(match[1], match[2]) for each in found.get(clause, []) if (match := part.fullmatch(each))]
        for clause in CLAUSES[2:]
    }
    assert all(len(parts[clause]) == len(found.get(clause, [])) for clause in parts)
    return View(
        {match[1]: (match[2].lower(), match[3].split(", ")) for match in named.values()},
        [match.groups() for each in found.get("relationships", []) if (match := link.fullmatch(each))],  # type: ignore[misc]
        parts["facts"],
        parts["dimensions"],
        parts["metrics"],
    )


@pytest.fixture(scope="module")
def views() -> list[View]:
    script = statements(printed("metrics", "--env", "production"))
    return [view_of(each) for each in script if each.startswith("create or replace semantic view")]


@pytest.mark.parametrize("env", ENVIRONMENTS)
def test_the_script_creates_the_views_in_the_serving_database(env: str) -> None:
    script = statements(printed("metrics", "--env", env))
    place = f"{ENVIRONMENTS[env].serving_database}.METRICS"
    assert script[:3] == [
        "use role sysadmin",
        f"create schema if not exists {place} with managed access",
        f"grant usage on schema {place} to role {ENVIRONMENTS[env].reader_role}",
    ]
    created = [each.split()[5] for each in script[3::2]]
    granted = [each.split()[6] for each in script[4::2]]
    assert created == granted == [f"{place}.{name}" for name in ("RATINGS", "SALES", "CATALOGUE")]


def test_views_have_every_metric_and_name_only_what_exists(views: list[View], manifest: Manifest) -> None:
    known = {name.rpartition(".")[2] for view in views for name, _ in view.metrics}
    assert known == {metric["name"] for metric in manifest["metrics"].values()}
    columns = {
        f"{node['schema']}.{node['alias']}": set(node["columns"])
        for node in manifest["nodes"].values()
        if node["resource_type"] == "model"
    }
    for view in views:
        for table, key in view.tables.values():
            assert set(key) <= columns[table], table
        for table, column, target in view.relationships:
            assert column in columns[view.tables[table][0]]
            assert view.tables[target][1] == [column]  # a reference needs the whole key
        names = [name for name, _ in (*view.facts, *view.dimensions, *view.metrics)]
        assert len(names) == len(set(names))
        for name, sql in (*view.facts, *view.dimensions, *view.metrics):
            table = name.rpartition(".")[0]
            parsed_sql = sqlglot.parse_one(sql.replace("partition by excluding", "partition by"), read="snowflake")
            for column in parsed_sql.find_all(exp.Column):
                if column.table:
                    assert f"{column.table}.{column.name}" in names, name
                else:
                    assert column.name in columns[view.tables[table][0]], name


DAYS = 900


@pytest.fixture
def rows(tmp_path: Path, manifest: Manifest) -> Iterator[duckdb.DuckDBPyConnection]:
    """Rows of any kind in the tables of the semantic models, with gaps: no metric may depend on what is usual."""
    draw = random.Random(3)  # noqa: S311
    values = {
        "bigint": lambda: draw.randint(1, 8),
        "integer": lambda: draw.randint(1, 8),
        "boolean": lambda: draw.random() < 0.5,
        "date": lambda: date(2023, 1, 1) + timedelta(days=draw.randrange(DAYS)),
        "varchar": lambda: draw.choice(["USD", "EUR", "MOVIE", "SHOW", "kept", "kept"]),
        "decimal": lambda: Decimal(draw.randint(1, 90)) / 10,
    }
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        connection.execute("create schema core")
        connection.execute(
            "create table core.dim_dates as select cast(unnest(range(date '2022-01-01', date '2026-01-01', "
            "interval 1 day)) as date) as date_day"
        )
        for model in manifest["semantic_models"].values():
            node = manifest["nodes"][model["depends_on"]["nodes"][0]]
            kinds = {name: column["data_type"] for name, column in node["columns"].items()}
            connection.execute(f"create table core.{node['alias']} ({', '.join(map(' '.join, kinds.items()))})")
            for _ in range(300):
                row = [
                    draw.randint(2021, 2025)
                    if name == "release_year"
                    else None
                    if name in ("revenue_usd", "profit_usd", "customer_id") and draw.random() < 0.1
                    else values.get(re.split(r"\W", kind)[0], lambda: None)()
                    for name, kind in kinds.items()
                ]
                connection.execute(f"insert into core.{node['alias']} values ({', '.join('?' * len(row))})", row)
        yield connection


def test_views_and_metricflow_give_the_same_figures(
    views: list[View], parsed: Path, manifest: Manifest, rows: duckdb.DuckDBPyConnection
) -> None:
    pytest.importorskip("metricflow", reason="dbt-metricflow is not installed: the extra `metrics`")
    flow = Metrics(parsed / "semantic_manifest.json")
    days = {
        model["name"]: (model["defaults"] or {}).get("agg_time_dimension")
        for model in manifest["semantic_models"].values()
    }
    compared = 0
    for view in views:
        named = dict(view.metrics)
        days_sql = dict(view.dimensions)

        def figure(name: str, year: int, view: View = view, named: dict = named, days_sql: dict = days_sql) -> str:
            """The metric in a year, as a scalar query: metrics within it become queries of their own."""
            table, _, _ = name.rpartition(".")
            sql = re.sub(
                r"\b\w+\.\w+\b", lambda part: figure(part[0], year) if part[0] in named else part[0], named[name]
            )
            if sql != named[name]:  # calculated from metrics
                return f"({sql})"
            facts = [f"{fact} as {each.partition('.')[2]}" for each, fact in view.facts if each.startswith(f"{table}.")]
            day = days_sql[f"{table}.{days[table]}"]
            source = f"(select {', '.join(['*', *facts])} from {view.tables[table][0]})"
            return f"(select {sql} from {source} as {table} where year({day}) = {year})"

        for name, sql in view.metrics:
            if " over (" in sql:
                continue  # Snowflake's own words for a window: `partition by excluding`
            metric = name.rpartition(".")[2]
            expected = rows.execute(flow.sql([metric], "metric_time__year")).fetchall()
            for day, value in expected:
                if value is not None:
                    ((found,),) = rows.execute(f"select {figure(name, day.year)}").fetchall()
                    assert float(found) == float(value), (name, day)
                    compared += 1
    assert compared > 3 * 12


def test_what_has_no_counterpart_is_named(manifest: Manifest) -> None:
    changed = copy.deepcopy(dict(manifest))
    changed["metrics"]["metric.netflix_assets.revenue"]["filter"] = {"where_filters": ["currency = 'USD'"]}
    with pytest.raises(SemanticViewError, match="metric revenue: a filter"):
        render(changed)
    changed = copy.deepcopy(dict(manifest))
    changed["semantic_models"]["semantic_model.netflix_assets.sales"]["measures"][0]["agg"] = "median"
    with pytest.raises(SemanticViewError, match="measure line_revenue: median"):
        render(changed)
