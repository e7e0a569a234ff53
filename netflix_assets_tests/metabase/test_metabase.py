"""deploy/metabase against a stand-in for Metabase. It never ran against a real one (docs/bi.md)."""

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import sqlglot
import yaml
from sqlglot import exp

from netflix_assets.settings import REPO
from netflix_assets_tests.metabase.stand_in import KEY, Metabase, serve

DEPLOYED = REPO / "deploy" / "metabase"
PLAN = yaml.safe_load((DEPLOYED / "business.yaml").read_text(encoding="utf-8"))
MODELS = {
    model["name"]: {"schema": path.relative_to(REPO / "dbt" / "models").parts[0], **model}
    for folder in ("core", "marts")
    for path in sorted((REPO / "dbt" / "models" / folder).rglob("*.yml"))
    for model in yaml.safe_load(path.read_text(encoding="utf-8"))["models"]
}


SYNCED = ("dim_products", "mart_exchange_rates", "mart_headlines", "mart_product_margins", "mart_revenue_by_month")


@pytest.fixture
def metabase() -> Iterator[Metabase]:
    with serve(Metabase()) as served:
        # A collection of a person may have the name of ours.
        served.collections[7] = {"id": 7, "name": "Netflix assets", "location": "/", "personal_owner_id": 3}
        sync(served, *SYNCED)
        yield served


def sync(metabase: Metabase, *names: str) -> None:
    for name in names:
        metabase.add_table(MODELS[name]["schema"], name, [column["name"] for column in MODELS[name]["columns"]])


def push(metabase: Metabase, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "METABASE_URL": metabase.url, "METABASE_API_KEY": KEY, **variables}
    done = subprocess.run(
        [sys.executable, DEPLOYED / "push.py"], env=environment, capture_output=True, text=True, check=False
    )
    for secret in (KEY, variables.get("METABASE_API_KEY", "").strip()):
        assert not secret or secret not in done.stdout + done.stderr
    return done


def pushed(metabase: Metabase) -> str:
    done = push(metabase)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def writes_of(metabase: Metabase) -> list[tuple[str, str, dict]]:
    """What the next run writes."""
    metabase.writes.clear()
    pushed(metabase)
    return list(metabase.writes)


def ours(metabase: Metabase) -> dict[str, Any]:
    (dashboard,) = metabase.dashboards.values()
    return dashboard


def card(metabase: Metabase, name: str) -> dict[str, Any]:
    (found,) = (each for each in metabase.cards.values() if each["name"] == name)
    return found


def test_the_first_run_describes_and_creates_everything(metabase: Metabase) -> None:
    sync(metabase, *sorted({*MODELS} - {*SYNCED}))
    assert "Not in Metabase" not in pushed(metabase)
    for name, model in MODELS.items():
        (table,) = (each for each in metabase.tables.values() if each["name"] == name)
        assert table["description"] == " ".join(model["description"].split())
        for column in model["columns"]:
            assert metabase.field(name, column["name"])["description"] == " ".join(column["description"].split())
    (collection,) = (each for each in metabase.collections.values() if each["id"] != 7)
    assert {each["collection_id"] for each in [*metabase.cards.values(), ours(metabase)]} == {collection["id"]}
    assert [each["name"] for each in metabase.cards.values()] == [each["name"] for each in PLAN["questions"]]
    placed = [each["card_id"] for each in ours(metabase)["dashcards"]]
    assert placed == [*metabase.cards, None]  # the last is the text


def test_columns_have_the_meaning_that_dbt_gives_them(metabase: Metabase) -> None:
    pushed(metabase)
    product = metabase.field("mart_product_margins", "product_id")
    assert product["semantic_type"] == "type/FK"
    assert product["fk_target_field_id"] == metabase.field("dim_products", "product_id")["id"]
    meanings = {
        ("dim_products", "product_id"): "type/PK",
        ("mart_revenue_by_month", "revenue_usd"): "type/Currency",
        ("mart_revenue_by_month", "revenue_vs_year_before"): "type/Percentage",
        ("mart_exchange_rates", "revenue_usd_of_currency"): "type/Currency",
        ("mart_exchange_rates", "rate_to_usd"): None,
        ("mart_exchange_rates", "units_per_usd"): None,
        ("mart_headlines", "url"): "type/URL",
        ("mart_headlines", "verdict"): "type/Category",
    }
    assert {key: metabase.field(*key)["semantic_type"] for key in meanings} == meanings


@pytest.mark.parametrize("is_old", [False, True])
def test_a_second_run_writes_nothing(metabase: Metabase, is_old: bool) -> None:
    metabase.is_old = is_old
    pushed(metabase)
    assert writes_of(metabase) == []


def test_a_name_in_capitals_is_the_same_name(metabase: Metabase) -> None:
    """As Snowflake has them."""
    for each in [*metabase.tables.values(), *metabase.fields.values()]:
        each |= {name: each[name].upper() for name in ("schema", "name") if name in each}
    pushed(metabase)
    assert metabase.field("MART_HEADLINES", "URL")["semantic_type"] == "type/URL"


def test_what_was_changed_is_reset_and_nothing_else(metabase: Metabase) -> None:
    pushed(metabase)
    url, rate = metabase.field("mart_headlines", "url"), card(metabase, "Exchange rate of the largest market")
    url["description"] = "An address."
    rate["display"] = "bar"
    rate["visualization_settings"]["graph.show_values"] = True  # somebody's setting, which we have no word on
    assert writes_of(metabase) == [
        ("PUT", f"/api/field/{url['id']}", {"description": "Address of the article."}),
        ("PUT", f"/api/card/{rate['id']}", {"display": "line"}),
    ]
    assert rate["visualization_settings"]["graph.show_values"]
    assert writes_of(metabase) == []


@pytest.mark.parametrize("is_old", [False, True])
def test_another_query_is_reset(metabase: Metabase, is_old: bool) -> None:
    metabase.is_old = is_old
    pushed(metabase)
    query = card(metabase, "Products by margin")["dataset_query"]["native"]
    sql, query["query"] = query["query"], "select 1"
    ((_, _, body),) = writes_of(metabase)
    assert body["dataset_query"]["native"]["query"] == sql


def test_what_is_in_the_trash_is_created_again(metabase: Metabase) -> None:
    pushed(metabase)
    card(metabase, "Every state")["archived"] = True
    ((_, created, _), (_, placed, _)) = writes_of(metabase)
    assert (created, placed) == ("/api/card", f"/api/dashboard/{ours(metabase)['id']}")
    assert writes_of(metabase) == []


def test_cards_and_tabs_that_others_added_stay(metabase: Metabase) -> None:
    pushed(metabase)
    dashboard = ours(metabase)
    dashboard["tabs"] = [
        {"id": 5, "name": "Ours", "position": 0, "dashboard_id": dashboard["id"]},
        {"id": 6, "name": "T"},
    ]
    for each in dashboard["dashcards"]:
        each["dashboard_tab_id"] = 5
    added = {
        "id": 99, "dashboard_id": dashboard["id"], "card_id": None, "row": 0, "col": 0, "size_x": 4, "size_y": 4,
        "dashboard_tab_id": 6, "series": [], "visualization_settings": {"text": "Mine"}, "created_at": "2026-01-01",
    }  # fmt: skip
    dashboard["dashcards"] = [added, *dashboard["dashcards"][1:]]  # and one of ours is gone
    pushed(metabase)
    assert [tab["id"] for tab in dashboard["tabs"]] == [5, 6]
    assert len(dashboard["dashcards"]) == len(PLAN["questions"]) + 2
    assert next(each for each in dashboard["dashcards"] if each["id"] == 99)["dashboard_tab_id"] == 6
    assert writes_of(metabase) == []


def test_tables_that_are_not_synced_are_named(metabase: Metabase) -> None:
    kept = {each["id"] for each in metabase.tables.values() if each["name"] == "mart_product_margins"}
    metabase.tables = {key: table for key, table in metabase.tables.items() if key in kept}
    metabase.fields = {key: each for key, each in metabase.fields.items() if each["table_id"] in kept}
    printed = pushed(metabase)
    assert "Described 1 tables; changed 1\n  mart_product_margins\nNot in Metabase: bridge_movie_genres" in printed
    # The table that it refers to is not there.
    assert metabase.field("mart_product_margins", "product_id")["semantic_type"] is None


@pytest.mark.parametrize("missing", ["METABASE_URL", "METABASE_API_KEY"])
def test_without_settings_it_shows_how_to_use_it(metabase: Metabase, missing: str) -> None:
    done = push(metabase, **{missing: " "})
    assert done.returncode == 2
    assert "METABASE_API_KEY   a key of the group Administrators" in done.stderr


NOWHERE = "http://someone:canary-word@127.0.0.1:9"


@pytest.mark.parametrize(
    ("variables", "message"),
    [
        (
            {"METABASE_API_KEY": "mb_of_another"},
            "error: Metabase does not accept the API key. Create one under Admin > Settings > Authentication > API "
            "keys, and set METABASE_API_KEY to it\n",
        ),
        ({"METABASE_API_KEY": "mb_ä"}, "error: METABASE_API_KEY has characters that no key has; copy it again\n"),
        ({"METABASE_API_KEY": "mb_1\nmb_2"}, "error: METABASE_API_KEY has characters that no key has; copy it again\n"),
        (
            {"METABASE_URL": NOWHERE},
            "error: cannot reach Metabase at http://127.0.0.1:9 (ConnectionError); check METABASE_URL\n",
        ),
        (
            {"METABASE_URL": "canary-word@metabase"},
            "error: METABASE_URL is not an address such as https://metabase.example.com\n",
        ),
        (
            {"METABASE_DATABASE": "x"},
            "error: Metabase has no database 'x', only ['Sample Database', 'netflix_assets']; set METABASE_DATABASE to "
            "one of them\n",
        ),
    ],
)
def test_wrong_settings_are_named(metabase: Metabase, variables: Mapping[str, str], message: str) -> None:
    done = push(metabase, **variables)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", message)
    assert metabase.writes == []


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (
            (403, "You don't have permissions to do that.", {}),
            "PUT /api/table/101: the API key may not do this. Move it to the group Administrators",
        ),
        (
            (302, "", {"Location": "https://elsewhere.example/x"}),
            "PUT /api/table/101: redirected to https://elsewhere.example; set METABASE_URL to where it leads",
        ),
        ((200, "<html>", {}), "PUT /api/table/101: the answer is not JSON; check METABASE_URL"),
        ((500, f"Failed with {KEY}", {}), "PUT /api/table/101: 500 Failed with ***"),
    ],
)
def test_refusals_say_what_to_do(metabase: Metabase, answer: tuple[int, object, dict[str, str]], message: str) -> None:
    metabase.refuse = lambda method, _: answer if method == "PUT" else None
    done = push(metabase)
    assert (done.returncode, done.stderr) == (1, f"error: {message}\n")


def test_the_stand_in_refuses_what_metabase_would(metabase: Metabase) -> None:
    """Otherwise these tests would show little."""
    import requests

    headers = {"x-api-key": KEY}
    for path, body in (
        ("card", {"name": "x", "display": "bar", "visualization_settings": {}}),
        ("card", {"name": " ", "display": "bar", "visualization_settings": {}, "dataset_query": {}}),
        ("dashboard", {"name": "x", "dashcards": []}),
    ):
        assert requests.post(f"{metabase.url}/api/{path}", json=body, headers=headers, timeout=9).status_code == 400
    semantic = {"semantic_type": "type/Money"}
    field_id = next(iter(metabase.fields))
    assert requests.put(
        f"{metabase.url}/api/field/{field_id}", json=semantic, headers=headers, timeout=9
    ).status_code == 400  # fmt: skip


@pytest.mark.parametrize("question", PLAN["questions"], ids=lambda question: question["name"])
def test_questions_select_columns_of_one_mart(question: dict[str, Any]) -> None:
    query = sqlglot.parse_one(question["sql"], dialect="duckdb")
    (table,) = query.find_all(exp.Table)
    assert table.db == "marts"
    columns = {column["name"] for column in MODELS[table.name]["columns"]}
    assert {column.name for column in query.find_all(exp.Column)} <= columns
    assert all(isinstance(each, exp.Alias) and isinstance(each.this, exp.Column) for each in query.expressions)


@pytest.mark.parametrize("question", PLAN["questions"], ids=lambda question: question["name"])
def test_settings_name_what_a_question_selects(question: dict[str, Any]) -> None:
    headings = {each.alias for each in sqlglot.parse_one(question["sql"], dialect="duckdb").expressions}
    settings = question.get("settings", {})
    listed = [*settings.get("graph.dimensions", []), *settings.get("graph.metrics", [])]
    single = [settings[name] for name in ("map.dimension", "map.metric") if name in settings]
    formatted = [yaml.safe_load(key)[1] for key in settings.get("column_settings", {})]
    assert {*listed, *single, *formatted} <= headings


def test_cards_do_not_overlap() -> None:
    cells = [
        (column, row)
        for left, top, width, height in [PLAN["text"]["place"], *(each["place"] for each in PLAN["questions"])]
        for column in range(left, left + width)
        for row in range(top, top + height)
    ]
    assert len(cells) == len(set(cells))
    assert {column for column, _ in cells} == set(range(24))
