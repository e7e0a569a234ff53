"""The demo: keep sample files apart from other files, tell whether a run is needed, show a few results."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from netflix_assets.contracts.model import Source
from netflix_assets.defs.extract.database_assets import by_database
from netflix_assets.defs.landing.sensor import source_status
from netflix_assets.operations.bucket import read_bucket
from netflix_assets.operations.errors import InputError
from netflix_assets.operations.instance import open_instance
from netflix_assets.operations.landing import object_keys
from netflix_assets.operations.ledger import open_ledger
from netflix_assets.settings import Settings
from netflix_assets.storage.bucket import landing_bucket
from netflix_assets.storage.objects import ObjectVersion


def check_only_samples(settings: Settings, samples: Sequence[Path]) -> None:
    """Check that landing samples mixes them with no other file and replaces none. Other sources do not count.

    Raises: InputError when the bucket has other objects, unless it has all samples too; BucketError.
    """
    by_key = object_keys(settings.sources(), samples)
    names = {key.partition("/")[0] for key in by_key}
    sources = [source for source in settings.sources() if source.source in names]
    with landing_bucket(settings).open() as store:
        listing = [each for source in sources for each in store.list(f"{source.source}/")]
    landed = {each.key for each in listing if each.key in by_key and _has_content(each, by_key[each.key])}
    others = [each.key for each in listing if each.key not in landed]
    if others and landed != set(by_key):
        raise InputError(
            f"the bucket has {others[0]}, which is not one of the sample files. Set NETFLIX_HOME to another folder, or "
            "empty this one: netflix-assets reset"
        )


def _has_content(listed: ObjectVersion, path: Path) -> bool:
    """Whether an object holds this file. Only the sender can check the ETag of a multipart upload."""
    if listed.size != path.stat().st_size:
        return False
    return "-" in listed.etag or listed.etag == hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()


def databases_to_extract(settings: Settings, names: Sequence[str]) -> list[str]:
    """Those of the databases that contracts name and that have a table that was never extracted."""
    extracted = read_bucket(settings).extracted_at
    return [
        name
        for name, datasets in by_database(settings.sources()).items()
        if name in names and not all(dataset.id in extracted for dataset in datasets)
    ]


def apis_to_request(settings: Settings, samples: Mapping[str, frozenset[str]]) -> list[Source]:
    """The APIs whose sample objects are not all in the bucket, and that have no other objects there.

    ``samples``: their keys by source.
    """
    landed = read_bucket(settings).objects or {}
    return [
        source
        for source in settings.sources()
        if source.source in samples
        and {listed.key for each in source.datasets for listed in landed[each.id]} < samples[source.source]
    ]


def is_up_to_date(settings: Settings) -> bool:
    """Whether consumers already see everything in the bucket. Raises: BucketError; StorageError."""
    with open_instance(settings) as instance, landing_bucket(settings).open() as store:
        return not any(source_status(source, store, instance).stale for source in settings.sources())


def highlights(settings: Settings) -> Iterator[tuple[str, list[str], list[tuple[Any, ...]]]]:
    """A few results from the marts that have rows: title, column names, rows. Raises: WarehouseError."""
    with open_ledger(settings) as warehouse:
        if warehouse is not None:
            for title, columns, query in _HIGHLIGHTS:
                if rows := warehouse.execute(query):
                    yield title, columns, rows


_HIGHLIGHTS: tuple[tuple[str, list[str], str], ...] = (
    (
        "Most rated films",
        ["film", "ratings", "average"],
        """
        select title, n_ratings, round(avg_rating, 2) from marts.mart_movie_ratings
        order by n_ratings desc, movie_id limit 5
        """,
    ),
    (
        "Films that split their audience",
        ["film", "ratings", "average", "polarization"],
        """
        select title, n_ratings, round(avg_rating, 2), round(polarization_score, 2) from marts.mart_movie_ratings
        where is_polarized order by polarization_score desc, movie_id limit 5
        """,
    ),
    (
        "Days with unusual activity",
        ["day", "ratings", "robust z"],
        """
        select cast(date_day as varchar), n_ratings, round(robust_z, 1) from marts.mart_rating_trends
        where is_anomalous order by abs(robust_z) desc, date_day limit 5
        """,
    ),
    (
        "Share of series by release year",
        ["released in", "titles", "series"],
        """
        select cast(release_year as varchar), sum(n_titles),
            cast(
                cast(round(max(case when production_type = 'SHOW' then share_of_year end) * 100) as integer) as varchar
            ) || ' %'
        from marts.mart_content_by_year
        group by release_year order by release_year desc limit 5
        """,
    ),
    (
        "Sales in US dollars",
        ["week from", "lines", "net", "returned", "cost"],
        """
        select cast(week_start as varchar), cast(sum(n_lines) as bigint), round(sum(net_amount)),
            round(sum(returned_amount)), round(sum(cost_usd))
        from marts.mart_weekly_sales
        where currency = 'USD'
        group by week_start order by week_start desc limit 5
        """,
    ),
)
