"""Which databases and APIs a command is about."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from netflix_assets.contracts.model import Dataset, Source
from netflix_assets.defs.extract.database_assets import by_database
from netflix_assets.extract.api.run import why_unused
from netflix_assets.operations.errors import InputError
from netflix_assets.settings import Settings


class Chosen(NamedTuple):
    """The datasets of each database, and the sources with an API."""

    databases: Mapping[str, Sequence[Dataset]]
    apis: Sequence[Source]


def choose_sources(settings: Settings, names: Sequence[str]) -> Chosen:
    """The databases and APIs with these names, or all that are in use. Raises: InputError."""
    sources = settings.sources()
    databases = by_database(sources)
    apis = {source.source: source for source in sources if source.api is not None}
    unknown = [name for name in names if name not in databases and name not in apis]
    if unknown:
        known = ", ".join([*databases, *apis]) or "none"
        raise InputError(f"no contract names a database or an API '{unknown[0]}'; there are: {known}")
    chosen = names or [
        *(name for name in databases if name in settings.databases),
        *(name for name, source in apis.items() if not why_unused(source, settings)),
    ]
    if not chosen:
        raise InputError(_how_to_use(databases, apis))
    return Chosen(
        {name: databases[name] for name in chosen if name in databases},
        [apis[name] for name in chosen if name in apis and name not in databases],
    )


def _how_to_use(databases: Mapping[str, object], apis: Mapping[str, object]) -> str:
    if not databases and not apis:
        return "no contract has an `extract` or a `request`; see docs/databases.md and docs/apis.md"
    variables = [f"NETFLIX_POSTGRES_{name.upper()}" for name in databases] + [
        f"NETFLIX_API_{name.upper()}" for name in apis
    ]
    return f"no database and no API is in use: set {' or '.join(variables)}"
