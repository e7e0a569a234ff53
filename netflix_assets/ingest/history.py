"""Compare the new loads of a run with the earlier loads of their dataset, from the ledger and the profiles."""

from collections.abc import Sequence
from dataclasses import dataclass

from netflix_assets.contracts.model import Dataset
from netflix_assets.ingest.anomalies import Anomaly, LoadFigures, anomalies
from netflix_assets.warehouse.base import Warehouse
from netflix_assets.warehouse.loads import Load
from netflix_assets.warehouse.profile import ColumnProfile

# How many earlier loads count as history: enough for a median, few enough to forget old patterns.
HISTORY_LOADS = 100


@dataclass(frozen=True)
class Comparison:
    """The number of ``earlier`` loads compared with, and the anomalies of each unusual new load."""

    earlier: int
    unusual: Sequence[tuple[Load, Sequence[Anomaly]]]


def compare_with_history(dataset: Dataset, loads: Sequence[Load], warehouse: Warehouse) -> Comparison:
    """Compare each of these loads with the loads before all of them: superseded ones included, replays excluded."""
    if not loads:
        return Comparison(0, ())
    first = min(load.load_id for load in loads)
    earlier = [load for load in warehouse.loads(dataset) if load.load_id < first and not load.is_replay][
        -HISTORY_LOADS:
    ]
    profiles = _group_by_load(warehouse.profiles(dataset, {load.load_id for load in (*earlier, *loads)}))
    history = [_figures(load, profiles.get(load.load_id, [])) for load in earlier]
    found = [(load, anomalies(_figures(load, profiles.get(load.load_id, [])), history)) for load in loads]
    return Comparison(len(earlier), [(load, unusual) for load, unusual in found if unusual])


def _group_by_load(profiles: Sequence[ColumnProfile]) -> dict[int, list[ColumnProfile]]:
    found: dict[int, list[ColumnProfile]] = {}
    for profile in profiles:
        found.setdefault(profile.load_id, []).append(profile)
    return found


def _figures(load: Load, profiles: Sequence[ColumnProfile]) -> LoadFigures:
    return LoadFigures(
        rows=load.rows_loaded,
        null_shares={profile.column: profile.null_share for profile in profiles},
        means={profile.column: profile.mean for profile in profiles if profile.mean is not None},
    )
