"""Which databases and APIs a command is about."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from netflix_assets.contracts.model import Dataset, Source
from netflix_assets.defs.extract.database_assets import by_database
from netflix_assets.extract.api.run import why_unused
from netflix_assets.operations.errors import InputError
from netflix_assets.settings import Settings
from netflix_assets.settings.named import variable_of


class Chosen(NamedTuple):
    """The datasets of each database, and the sources with an API."""

    databases: Mapping[str, Sequence[Dataset]]
    apis: Sequence[Source]


def choose_sources(settings: Settings, names: Sequence[str]) -> Chosen:
    """The databases and APIs with these names, or all that are in use. Raises: InputError."""
    databases, apis = _known(settings)
    unknown = [name for name in names if name not in databases and name not in apis]
    if unknown:
        known = ", ".join([*databases, *apis]) or "none"
        raise InputError(f"no contract names a database or an API '{unknown[0]}'; known: {known}")
    chosen = names or [
        *(name for name in databases if name in settings.databases),
        *(name for name, source in apis.items() if not why_unused(source, settings)),
    ]
    if not chosen:
        raise InputError(". ".join([*unknown_variables(settings), _how_to_use(databases, apis)]))
    return Chosen(
        {name: databases[name] for name in chosen if name in databases},
        [apis[name] for name in chosen if name in apis and name not in databases],
    )


def unknown_variables(settings: Settings) -> list[str]:
    """The variables of databases and APIs that no contract names, as sentences. Most are misspelt."""
    databases, apis = _known(settings)
    used = (("databases", "database", databases), ("apis", "API", apis))
    return [
        f"{variable_of(setting, name)} is set, but no contract names the {what} '{name}'"
        for setting, what, known in used
        for name in getattr(settings, setting)
        if name not in known
    ]


def _known(settings: Settings) -> tuple[Mapping[str, Sequence[Dataset]], Mapping[str, Source]]:
    """The databases that contracts name, and the sources with an API."""
    sources = settings.sources()
    return by_database(sources), {source.source: source for source in sources if source.api is not None}


def _how_to_use(databases: Mapping[str, object], apis: Mapping[str, object]) -> str:
    if not databases and not apis:
        return "no contract has an `extract` or a `request`; see docs/databases.md and docs/apis.md"
    variables = [
        variable_of(setting, name) for setting, known in (("databases", databases), ("apis", apis)) for name in known
    ]
    return f"No database or API is in use. Set one of {', '.join(variables)}"
