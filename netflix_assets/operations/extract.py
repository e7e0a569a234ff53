"""Extract databases by hand, and check what they still need for it."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import dagster as dg

from netflix_assets.contracts.model import Dataset
from netflix_assets.defs.extract.database_assets import ACCEPTED, extract_step
from netflix_assets.defs.extract.database_sensor import extract_job
from netflix_assets.extract.errors import SourceError, SourceUnavailableError
from netflix_assets.extract.postgres.check import Finding, check_database
from netflix_assets.extract.postgres.session import no_address
from netflix_assets.operations.errors import InputError
from netflix_assets.operations.outcome import RunOutcome
from netflix_assets.operations.run import execute_job
from netflix_assets.settings import Settings


def check_accepted(chosen: Mapping[str, Sequence[Dataset]], accepted: Sequence[str]) -> None:
    """Raise InputError for a dataset that none of the chosen databases has."""
    known = [dataset.id for datasets in chosen.values() for dataset in datasets]
    unknown = [name for name in accepted if name not in known]
    if unknown:
        raise InputError(f"--accept {unknown[0]}: not extracted from these databases; there are: {', '.join(known)}")


def check_addresses(settings: Settings, databases: Iterable[str]) -> None:
    """Raise InputError for a database without an address, before the definitions are loaded for nothing."""
    for name in databases:
        if name not in settings.databases:
            raise InputError(no_address(name))


def check(settings: Settings, database: str, datasets: Sequence[Dataset]) -> list[Finding]:
    """What a database still needs; one that cannot be reached is itself a finding."""
    try:
        return check_database(database, datasets, settings)
    except (SourceError, SourceUnavailableError) as error:
        return [Finding(database, str(error), is_problem=True)]


def extract(
    settings: Settings,
    defs: dg.Definitions,
    database: str,
    accepted: Sequence[str],
    progress: Callable[[str], None],
) -> RunOutcome:
    """Extract a database in a run of its job. Raises: StorageError."""
    config = {"ops": {extract_step(database): {"config": {ACCEPTED: list(accepted)}}}}
    return execute_job(settings, defs, extract_job(database), config, progress=progress)
