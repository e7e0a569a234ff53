"""The sentiment of headlines: an asset between the raw headlines and the files of verdicts that it lands."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from netflix_assets.contracts.model import Dataset, Source, all_datasets
from netflix_assets.contracts.visibility import counted, printable
from netflix_assets.defs.resources import LandingBucket
from netflix_assets.defs.retry import retry_transient
from netflix_assets.extract.sentiment.headlines import judge_headlines, sentiment_datasets
from netflix_assets.extract.sentiment.scorer import VaderScorer
from netflix_assets.settings import Settings

GROUP = "sentiment"


def writers_of(dataset: Dataset, sources: Sequence[Source]) -> list[dg.AssetKey]:
    """The assets of the graph that write a dataset's files; empty for files that come from elsewhere."""
    pair = sentiment_datasets(all_datasets(sources))
    return [_key(dataset)] if pair and dataset.id == pair[1].id else []


def _key(verdicts: Dataset) -> dg.AssetKey:
    return dg.AssetKey([verdicts.source, verdicts.name])


def sentiment_assets(sources: Sequence[Source], settings: Settings) -> list[dg.AssetsDefinition]:
    """The asset that judges headlines; none if the contracts lack the datasets."""
    pair = sentiment_datasets(all_datasets(sources))
    if pair is None:
        return []
    news, verdicts = pair
    scorer = VaderScorer()

    @dg.asset(
        key=_key(verdicts),
        deps=[dg.AssetKey(["raw", news.source, news.name])],
        group_name=GROUP,
        description=f"Judges the sentiment of headlines with {scorer.name} and lands the verdicts in the bucket. "
        "Judges only objects that this scorer has not judged yet.",
        owners=list(verdicts.owners),
        kinds={"python"},
        metadata={"scorer": scorer.name},
    )
    def judge(context: dg.AssetExecutionContext, bucket: LandingBucket) -> dg.MaterializeResult[Any]:
        with retry_transient(context, settings), bucket.open() as store:
            done = judge_headlines(
                news, verdicts, scorer, settings, store, report=lambda text: context.log.info(printable(text))
            )
        for key, reason in done.skipped:
            context.log.warning(printable(f"{key}: not judged: {reason}"))
        context.log.info(f"{counted(done.headlines, 'headline')} judged, {done.not_judged:,} of them not possible")
        return dg.MaterializeResult(
            metadata={
                "scorer": scorer.name,
                "awaited": done.awaited,
                "changed": bool(done.keys),
                "objects": done.keys,
                "headlines": done.headlines,
                "not_judged": done.not_judged,
                "skipped": [key for key, _ in done.skipped],
            }
        )

    return [judge]
