"""``contract export`` and ``contract import``: the Open Data Contract Standard."""

import json
from importlib.resources import files
from pathlib import Path

import duckdb
import jsonschema
import pytest
import yaml

from netflix_assets.contracts.loading import load_source, load_sources
from netflix_assets.contracts.model import Dataset, all_datasets
from netflix_assets_tests.cli.command import run
from netflix_assets_tests.demo import Demo

SCHEMA = json.loads(files("open_data_contract_standard").joinpath("schema.json").read_text(encoding="utf-8"))
SNOWFLAKE = {"NETFLIX_ENV": "production", "NETFLIX_SNOWFLAKE_ACCOUNT": "org-account"}


def exported(folder: Path, *arguments: str, **variables: str) -> dict[str, dict]:
    done = run(folder, "contract", "export", *arguments, "--out", str(folder / "out"), **variables)
    assert done.returncode == 0, done.stderr
    found = sorted((folder / "out").rglob("*.odcs.yaml"))
    return {
        f"{file.parent.name}/{file.name.removesuffix('.odcs.yaml')}": yaml.safe_load(file.read_text()) for file in found
    }


@pytest.fixture(scope="module")
def documents(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict]:
    return exported(tmp_path_factory.mktemp("export"))


def properties(document: dict) -> dict[str, dict]:
    return {each["name"]: each for each in document["schema"][0]["properties"]}


def custom(part: dict) -> dict[str, object]:
    return {each["property"]: each["value"] for each in part.get("customProperties", ())}


def test_every_contract_is_a_valid_document_of_the_standard(documents: dict[str, dict]) -> None:
    assert documents.keys() == {dataset.id for dataset in all_datasets(load_sources())}
    validator = jsonschema.Draft201909Validator(SCHEMA, format_checker=jsonschema.FormatChecker())
    for name, document in documents.items():
        assert [error.message for error in validator.iter_errors(document)] == [], name
        assert document["apiVersion"] == "v3.0.2"


def test_documents_for_snowflake_are_valid_too(tmp_path: Path) -> None:
    (document,) = exported(tmp_path, "netflix/titles", **SNOWFLAKE).values()
    jsonschema.Draft201909Validator(SCHEMA).validate(document)
    files_of, warehouse = document["servers"]
    assert files_of["location"] == "s3://landing/production/netflix/titles*"
    assert (warehouse["account"], warehouse["database"], warehouse["schema"]) == (
        "org-account",
        "NETFLIX_PRODUCTION",
        "RAW",
    )


def test_without_an_account_nothing_is_exported(tmp_path: Path) -> None:
    done = run(tmp_path, "contract", "export", "netflix/titles", NETFLIX_ENV="production")
    assert (done.returncode, "NETFLIX_SNOWFLAKE_ACCOUNT" in done.stderr) == (2, True)


def test_a_document_says_types_keys_rules_freshness_and_owners(documents: dict[str, dict]) -> None:
    ratings = documents["movielens/ratings"]
    (table,) = ratings["schema"]
    assert (table["physicalName"], table["dataGranularityDescription"]) == (
        "raw.movielens_ratings_current",
        "One row per user_id, movie_id.",
    )
    rating = properties(ratings)["rating"]
    assert (rating["logicalType"], rating["physicalType"]) == ("number", "decimal(2,1)")
    assert rating["logicalTypeOptions"] == {"minimum": 0.5, "maximum": 5, "multipleOf": 0.5}
    assert {rule["name"]: rule["mustBe"] for rule in rating["quality"]} == {
        "rating_min": 0,
        "rating_max": 0,
        "rating_multiple_of": 0,
    }
    user = properties(ratings)["user_id"]
    assert (user["primaryKey"], user["primaryKeyPosition"], user["required"], user["unique"]) == (True, 1, True, False)
    assert (custom(user), user["classification"]) == ({"sourceName": "userId", "identifies": "user"}, "personal")
    assert custom(table) == {"mode": "upsert"}
    assert {each["property"]: each["value"] for each in ratings["slaProperties"]} == {
        "freshness": 35,
        "freshnessWarning": 7,
    }
    assert ratings["team"] == [{"username": "audience-analytics", "role": "owner"}]

    titles = properties(documents["netflix/titles"])
    assert (titles["title_id"]["unique"], titles["title"]["required"]) == (True, False)
    assert titles["imdb_id"]["logicalTypeOptions"]["pattern"] == "tt[0-9]{7,9}"
    assert custom(titles["production_type"])["values"] == ["MOVIE", "SHOW"]

    deleted = properties(documents["shop/products"])
    assert (deleted["sku"]["required"], deleted["product_id"]["required"]) == (False, True)  # empty in deleted rows
    assert custom(deleted["sku"]) == {"nullable": False}


def test_an_extract_names_its_database_and_no_password(tmp_path: Path) -> None:
    (document,) = exported(
        tmp_path,
        "shop/products",
        NETFLIX_POSTGRES_SHOP="postgresql://reader@db.example.com:5433/shop_live",
        NETFLIX_POSTGRES_SHOP_PASSWORD="not-for-others",
    ).values()
    jsonschema.Draft201909Validator(SCHEMA).validate(document)
    server = document["servers"][-1]
    assert (server["host"], server["port"], server["database"]) == ("db.example.com", 5433, "shop_live")
    assert "not-for-others" not in json.dumps(document)


def test_a_request_names_its_api_and_no_key(tmp_path: Path) -> None:
    (document,) = exported(tmp_path, "alphavantage/news", NETFLIX_API_ALPHAVANTAGE_KEY="not-for-others").values()
    jsonschema.Draft201909Validator(SCHEMA).validate(document)
    assert document["servers"][-1]["location"] == "https://www.alphavantage.co"
    assert "not-for-others" not in json.dumps(document)


def test_the_rules_are_queries_that_count_what_breaks_them(
    demo: Demo, tmp_path: Path, documents: dict[str, dict]
) -> None:
    """They find nothing in the tables of a run, whose rejects are elsewhere, and each finds a row that breaks it."""
    home = demo.copied_to(tmp_path / "home")
    with duckdb.connect(str(home / "warehouse.duckdb")) as connection:
        loaded = {
            name
            for (name,) in connection.sql("select table_name from duckdb_tables() where schema_name = 'raw'").fetchall()
        }

        def broken(name: str) -> dict[str, int]:
            table = documents[name]["schema"][0]
            parts = [table, *table["properties"]]
            rules = [rule for part in parts for rule in part.get("quality", ())]
            return {rule["name"]: connection.sql(rule["query"]).fetchall()[0][0] for rule in rules}

        names = [name for name in documents if name.replace("/", "_") in loaded]
        counts = {f"{name}: {rule}": count for name in names for rule, count in broken(name).items()}
        assert len(counts) > 30
        assert {rule: count for rule, count in counts.items() if count} == {}

        ratings, titles = "raw.movielens_ratings", "raw.netflix_titles"
        newest = f"where _load_id = (select max(_load_id) from {titles})"
        connection.execute(f"insert into {ratings} select * replace (0.3 as rating) from {ratings} limit 3")
        connection.execute(f"update {titles} set imdb_id = '123', production_type = 'PLAY' {newest}")
        connection.execute(f"insert into {titles} select * from {titles} {newest} limit 5")
        assert {rule: count for rule, count in broken("movielens/ratings").items() if count} == {
            "rating_min": 3,
            "rating_multiple_of": 3,
        }
        assert {rule for rule, count in broken("netflix/titles").items() if count} >= {
            "imdb_id_pattern",
            "production_type_values",
            "titles_key",
        }


def imported(folder: Path, document: dict) -> tuple[list[str], Dataset]:
    file = folder / "document.odcs.yaml"
    file.write_text(yaml.safe_dump(document), encoding="utf-8")
    done = run(folder, "contract", "import", str(file))
    assert done.returncode == 0, done.stderr
    contract = folder / "contract.yaml"
    contract.write_text(done.stdout, encoding="utf-8")
    (dataset,) = load_source(contract).datasets
    return done.stderr.splitlines(), dataset


def test_what_is_exported_comes_back_as_it_was(documents: dict[str, dict], tmp_path: Path) -> None:
    for dataset in all_datasets(load_sources()):
        notes, again = imported(tmp_path, documents[dataset.id])
        assert notes == [], dataset.id
        assert again.model_copy(update={"longer_files": dataset.longer_files}) == dataset


FOREIGN = {
    "apiVersion": "v3.1.0",
    "kind": "DataContract",
    "id": "53581432-6c55-4ba2-a65f-72344a91553a",
    "version": "2.0.0",
    "status": "draft",
    "name": "Customer Orders",
    "tenant": "acme",
    "team": {"members": [{"username": "jane"}]},
    "slaProperties": [
        {"property": "freshness", "value": 12, "unit": "h"},
        {"property": "retention", "value": 3, "unit": "y"},
    ],
    "schema": [
        {
            "name": "Orders",
            "tags": ["finance"],
            "properties": [
                {"name": "orderId", "logicalType": "integer", "required": True, "primaryKey": True},
                {"name": "placedAt", "logicalType": "timestamp", "required": True, "partitioned": True},
                {"name": "total", "logicalType": "number", "physicalType": "NUMERIC(12, 2)"},
                {
                    "name": "state",
                    "logicalType": "string",
                    "logicalTypeOptions": {"minLength": 2},
                    "quality": [
                        {"metric": "invalidValues", "arguments": {"validValues": ["new", "paid"]}, "mustBe": 0},
                        {"type": "text", "name": "plausible", "description": "Looks right."},
                    ],
                },
                {"name": "opensAt", "logicalType": "time"},
            ],
        }
    ],
}


def test_a_document_of_others_becomes_a_contract_and_what_is_lost_is_named(tmp_path: Path) -> None:
    notes, dataset = imported(tmp_path, FOREIGN)
    assert (dataset.id, dataset.mode, dataset.key) == ("customer_orders/orders", "upsert", ("order_id",))
    assert dataset.owners == ("team:jane",)
    assert (dataset.freshness.warn_after_days, dataset.freshness.fail_after_days) == (0.5, 0.5)
    found = {column.name: (column.file_name, column.type, column.nullable) for column in dataset.columns}
    assert found == {
        "order_id": ("orderId", "bigint", False),
        "placed_at": ("placedAt", "timestamp", False),
        "total": ("total", "decimal(12,2)", True),
        "state": ("state", "text", True),
        "opens_at": ("opensAt", "text", True),
    }
    assert dataset.columns[3].values == ("new", "paid")
    assert sorted(notes) == [
        "warning: assumed, because it has no mode: Orders.mode: upsert",
        "warning: assumed, because time has no counterpart: Orders.opensAt.type: text",
        "warning: left out, without a counterpart: Orders.placedAt.partitioned",
        "warning: left out, without a counterpart: Orders.state.logicalTypeOptions.minLength",
        "warning: left out, without a counterpart: Orders.state.quality.plausible",
        "warning: left out, without a counterpart: Orders.tags",
        "warning: left out, without a counterpart: slaProperties.retention",
        "warning: left out, without a counterpart: tenant",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("a: [", "not a YAML file"),
        ("source: movielens", "not a data contract"),
        (
            yaml.safe_dump({"kind": "DataContract", "schema": [{"name": "empty", "properties": []}]}),
            "no valid contract follows from it: datasets.0.columns",
        ),
    ],
)
def test_what_is_no_contract_is_refused(tmp_path: Path, text: str, says: str) -> None:
    file = tmp_path / "document.yaml"
    file.write_text(text)
    done = run(tmp_path, "contract", "import", str(file))
    assert (done.returncode, says in done.stderr) == (2, True), done.stderr
