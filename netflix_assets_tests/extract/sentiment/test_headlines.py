"""From objects of headlines to objects of verdicts, and into the table, by the assets of a run."""

import json
from collections.abc import Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import duckdb
import pytest

from netflix_assets.contracts.loading import dataset_by_id, load_sources
from netflix_assets.contracts.model import all_datasets
from netflix_assets.defs.extract.sentiment import sentiment_assets, writers_of
from netflix_assets.defs.landing.assets import landing_assets, landing_key
from netflix_assets.defs.raw.assets import raw_assets, raw_key
from netflix_assets.defs.resources import landing_bucket, warehouse
from netflix_assets.dev.business.news import headlines
from netflix_assets.extract.sentiment.headlines import Judged, judge_headlines
from netflix_assets.extract.sentiment.scorer import Scorer, VaderScorer, Verdict
from netflix_assets.ingest.validate import validate
from netflix_assets.settings import Settings, read_settings
from netflix_assets_tests.conftest import Bucket

SOURCES = load_sources()
NEWS, VERDICTS = (dataset_by_id(SOURCES, name) for name in ("alphavantage/news", "sentiment/headlines"))
DAY = date(2025, 3, 4)


class Shouting:
    """A scorer of a test: what ends with an exclamation mark is good."""

    name = "shouting-1"

    def judge(self, text: str, language: str | None) -> Verdict:
        return Verdict(1.0, "positive") if text.endswith("!") else Verdict(0.0, "neutral")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings(home=tmp_path / "home")


def answer(items: list[dict[str, Any]]) -> str:
    """An answer of the API."""
    return json.dumps({"items": str(len(items)), "feed": items})


def item(url: str, title: str, **more: object) -> dict[str, Any]:
    return {"url": url, "title": title, "time_published": "20250304T101500", "source": "Ledger", **more}


def judged(bucket: Bucket, settings: Settings, scorer: Scorer | None = None) -> Judged:
    return judge_headlines(NEWS, VERDICTS, scorer or VaderScorer(), settings, bucket.store)


def contents(bucket: Bucket) -> Mapping[str, bytes]:
    return {
        listed.key: b"".join(bucket.store.read(listed))
        for prefix in ("sentiment/", "_extracts/sentiment/")
        for listed in bucket.store.list(prefix)
    }


def test_each_object_of_headlines_gets_one_of_verdicts(bucket: Bucket, settings: Settings, tmp_path: Path) -> None:
    days = [DAY + timedelta(days=number) for number in range(4)]
    for day in days:
        bucket.put(f"alphavantage/news/{day}.json", answer(headlines(day)))
    done = judged(bucket, settings)
    assert len(done.keys) == len(days)
    assert done.headlines == sum(len(headlines(day)) for day in days)
    found = contents(bucket)
    assert list(found) == sorted(done.keys)
    for day, (key, content) in zip(days, found.items(), strict=True):
        assert key.startswith(f"sentiment/headlines/vader-3.3/news/{day}.json.")
        assert VERDICTS.owns_key(key)
        rows = [json.loads(line) for line in content.decode().splitlines()]
        assert [row["url"] for row in rows] == [each["url"] for each in headlines(day)]
        assert all(row["scorer"] == "vader-3.3" for row in rows)
        assert all(
            (row["score"] is None) == (row["verdict"] == "not_judged") == (row["reason"] is not None) for row in rows
        )
        assert validate([content], VERDICTS, tmp_path / "validated").record_count == len(rows)


def test_what_is_judged_is_not_judged_again(bucket: Bucket, settings: Settings) -> None:
    bucket.put("alphavantage/news.json", answer([item("u/1", "The fans love the show!")]))
    first = judged(bucket, settings)
    before = contents(bucket)
    again = judged(bucket, settings)
    assert (first.headlines, again.headlines, again.keys) == (1, 0, [])
    assert contents(bucket) == before


def test_verdicts_that_were_lost_come_back_as_they_were(bucket: Bucket, settings: Settings) -> None:
    for number in range(3):
        bucket.put(f"alphavantage/news-{number}.json", answer([item(f"u/{number}", f"The fans love show {number}")]))
    judged(bucket, settings)
    before = contents(bucket)
    bucket.delete(list(before)[1])
    assert len(judged(bucket, settings).keys) == 1
    assert contents(bucket) == before


def test_a_new_version_of_an_object_is_judged(bucket: Bucket, settings: Settings) -> None:
    bucket.put("alphavantage/news.json", answer([item("u/1", "The fans love the show")]))
    (old,) = judged(bucket, settings).keys
    bucket.put("alphavantage/news.json", answer([item("u/1", "The fans hate the show")]))
    (new,) = judged(bucket, settings).keys
    assert old != new
    verdicts = {key: json.loads(content)["verdict"] for key, content in contents(bucket).items()}
    assert verdicts == {old: "positive", new: "negative"}


def test_another_scorer_judges_everything_and_both_stay(bucket: Bucket, settings: Settings) -> None:
    bucket.put("alphavantage/news.json", answer([item("u/1", "The fans hate the show!")]))
    judged(bucket, settings)
    judged(bucket, settings, Shouting())
    assert sorted((json.loads(each)["scorer"], json.loads(each)["verdict"]) for each in contents(bucket).values()) == [
        ("shouting-1", "positive"),
        ("vader-3.3", "negative"),
    ]


def test_records_that_do_not_load_are_not_judged(bucket: Bucket, settings: Settings) -> None:
    good, bad = item("u/1", "The fans love the show"), item("u/2", "The fans hate it", overall_sentiment_score=7)
    bucket.put("alphavantage/news.json", answer([good, bad]))
    assert judged(bucket, settings).headlines == 1
    (content,) = contents(bucket).values()
    assert json.loads(content)["url"] == "u/1"


def test_an_object_that_does_not_load_holds_up_no_other(bucket: Bucket, settings: Settings) -> None:
    bucket.put("alphavantage/news-1.json", "{not json")
    bucket.put("alphavantage/news-2.json", answer([item("u/1", "The fans love the show")]))
    done = judged(bucket, settings)
    assert [key for key, _ in done.skipped] == ["alphavantage/news-1.json"]
    assert done.headlines == 1


@pytest.mark.parametrize("items", [[], [item("u/1", "", overall_sentiment_score="high")]])
def test_an_answer_without_a_headline_leaves_a_mark_and_no_file(
    bucket: Bucket, settings: Settings, items: list[dict[str, Any]]
) -> None:
    bucket.put("alphavantage/news.json", answer(items))
    assert judged(bucket, settings) == Judged()
    (mark,) = contents(bucket)
    assert mark.startswith("_extracts/sentiment/vader-3.3/news.json.")
    store = Counting(bucket.store)
    assert judge_headlines(NEWS, VERDICTS, VaderScorer(), settings, store) == Judged()  # type: ignore[arg-type]
    assert [name for name, _ in store.calls] == ["list"] * 3  # the object is not read again


class Counting:
    """A bucket that counts its calls."""

    def __init__(self, store: Any) -> None:
        self.bucket, self._store, self.calls = store.bucket, store, []

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.calls.append((name, str(arguments[0])))
            return getattr(self._store, name)(*arguments)

        return call


def test_without_headlines_it_costs_one_listing(bucket: Bucket, settings: Settings) -> None:
    store = Counting(bucket.store)
    assert judge_headlines(NEWS, VERDICTS, VaderScorer(), settings, store) == Judged(awaited=True)  # type: ignore[arg-type]
    assert store.calls == [("list", "alphavantage/news")]


def test_the_assets_of_a_run_load_the_verdicts_in_the_same_run(tmp_path: Path) -> None:
    settings = read_settings(home=tmp_path)
    sources = [source for source in SOURCES if source.source in ("alphavantage", "sentiment")]
    folder = settings.s3_folder / settings.bucket / "alphavantage" / "news"
    folder.mkdir(parents=True)
    (folder / "1.json").write_text(answer(headlines(DAY)))
    # Upstream last: the order comes from the dependencies.
    assets = [*landing_assets(sources), *reversed(raw_assets(sources, settings)), *sentiment_assets(sources, settings)]
    resources = {"bucket": landing_bucket(settings), "warehouse": warehouse(settings)}
    with dg.DagsterInstance.ephemeral() as instance:
        assert dg.materialize(assets, resources=resources, instance=instance).success
        with duckdb.connect(str(settings.warehouse_file), read_only=True) as connection:
            found = connection.sql("""
                select news.url, scorer, verdict from raw.alphavantage_news_current as news
                left join raw.sentiment_headlines_current as verdicts using (url) order by url
            """).fetchall()
        assert [row[0] for row in found] == sorted(each["url"] for each in headlines(DAY))
        assert all(scorer == "vader-3.3" and verdict for _, scorer, verdict in found)
        (event,) = instance.fetch_materializations(dg.AssetKey(["sentiment", "headlines"]), limit=5).records
        metadata = event.asset_materialization.metadata
        assert metadata["headlines"].value == len(found)


def test_the_asset_stands_between_headlines_and_verdicts(settings: Settings) -> None:
    key = dg.AssetKey(["sentiment", "headlines"])
    (asset,) = sentiment_assets(SOURCES, settings)
    assert asset.asset_deps[key] == {raw_key(NEWS)}
    (landing,) = [each for each in landing_assets(SOURCES) if each.key == landing_key(VERDICTS)]
    assert [dep.asset_key for dep in landing.deps] == [key]
    others = [dataset for dataset in all_datasets(SOURCES) if dataset != VERDICTS]
    assert not any(writers_of(dataset, SOURCES) for dataset in others)


def test_without_the_contracts_there_is_no_asset(settings: Settings) -> None:
    without = [source for source in SOURCES if source.source != "alphavantage"]
    assert sentiment_assets(without, settings) == []
    assert writers_of(VERDICTS, without) == []
