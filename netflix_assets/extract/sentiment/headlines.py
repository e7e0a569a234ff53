"""Judge the headlines of every object that the scorer has not judged yet.

Level-triggered like ingestion: what is there is compared with what should be, so lost, late and repeated runs need no
care. An object of verdicts is named after the version of the object of headlines, and a function of it and the scorer.
Written twice, it is the same key with the same bytes.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from netflix_assets.contracts.extract import STATE_FOLDER
from netflix_assets.contracts.model import Dataset
from netflix_assets.extract.sentiment.language import language_of
from netflix_assets.extract.sentiment.scorer import Scorer
from netflix_assets.ingest.errors import RefusedError
from netflix_assets.ingest.read import read_records
from netflix_assets.ingest.records import Layout, find_faults
from netflix_assets.ingest.validate import validate
from netflix_assets.settings import Settings
from netflix_assets.storage.objects import ObjectChangedError, ObjectStore, ObjectVersion, objects_of
from netflix_assets.storage.retries import UnreadableObjectError
from netflix_assets.storage.scratch import scratch_folder

# Objects without a headline leave a mark here instead of an empty file.
MARKS = f"{STATE_FOLDER}sentiment/"

_NO_VERDICT = "not_judged"


@dataclass
class Judged:
    """What one step did.

    ``awaited``: no headlines have arrived yet. ``skipped``: objects that cannot be read, with the reason; the raw
    table says it too.
    """

    awaited: bool = False
    keys: list[str] = field(default_factory=list)
    headlines: int = 0
    not_judged: int = 0
    skipped: list[tuple[str, str]] = field(default_factory=list)


def judge_headlines(
    news: Dataset,
    verdicts: Dataset,
    scorer: Scorer,
    settings: Settings,
    store: ObjectStore,
    report: Callable[[str], None] = lambda text: None,
) -> Judged:
    """Judge the objects of ``news`` that have no object in ``verdicts`` by this scorer. ``report``: gets progress.

    Without headlines it costs one listing. Raises: BucketError; objects that were judged before stay.
    """
    done = Judged()
    found = objects_of(news, store)
    if not found:
        return Judged(awaited=True)
    folder = f"{verdicts.key_prefix}/{scorer.name}/"
    marks = f"{MARKS}{scorer.name}/"
    known = {listed.key.removeprefix(prefix) for prefix in (folder, marks) for listed in store.list(prefix)}
    for listed in found:
        name = _name(news, listed)
        if name in known:
            continue
        with scratch_folder(settings.home / "tmp") as scratch:
            try:
                lines = list(_verdicts(_headlines(news, listed, store, scratch), scorer))
            except (RefusedError, ObjectChangedError, UnreadableObjectError) as error:
                done.skipped.append((listed.key, str(error)))
                continue
            key = f"{folder if lines else marks}{name}"
            file = scratch / "verdicts.jsonl"
            file.write_text("".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines), encoding="utf-8")
            store.put(key, file)
        if lines:
            done.keys.append(key)
        done.headlines += len(lines)
        done.not_judged += sum(line["verdict"] == _NO_VERDICT for line in lines)
        report(f"{listed.key}: {len(lines):,} headlines judged")
    return done


def _name(news: Dataset, listed: ObjectVersion) -> str:
    """The name of the verdicts on an object version, below the scorer's folder."""
    return f"{listed.key.removeprefix(f'{news.source}/')}.{listed.etag}.jsonl"


def _headlines(news: Dataset, listed: ObjectVersion, store: ObjectStore, scratch: Path) -> Iterator[tuple[str, str]]:
    """The address and the headline of each record that loads, read as ingestion reads it.

    Raises: RefusedError when the object cannot be loaded; ObjectChangedError; UnreadableObjectError; BucketError.
    """
    names = [column.name for column in news.columns]
    url, title = names.index("url"), names.index("title")
    file = validate(store.read(listed), news, scratch / "news")
    layout = Layout(news, len(file.header), file.positions)
    for record in read_records(file.original, layout):
        values = layout.loadable(record)
        if values is not None and not find_faults(layout, record)[0]:
            yield values[url], values[title]


def _verdicts(headlines: Iterator[tuple[str, str]], scorer: Scorer) -> Iterator[dict[str, object]]:
    for url, title in headlines:
        language = language_of(title)
        found = scorer.judge(title, language)
        yield {
            "url": url,
            "title": title,
            "scorer": scorer.name,
            "language": language,
            "score": found.score,
            "verdict": found.verdict,
            "reason": found.reason,
        }


def sentiment_datasets(datasets: Sequence[Dataset]) -> tuple[Dataset, Dataset] | None:
    """The datasets of headlines and of verdicts; None if the contracts do not have both."""
    by_id = {dataset.id: dataset for dataset in datasets}
    if "alphavantage/news" not in by_id or "sentiment/headlines" not in by_id:
        return None
    return by_id["alphavantage/news"], by_id["sentiment/headlines"]
