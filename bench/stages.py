"""What a whole run took: in all, by stage, and by node of dbt; and a chart of the stages."""

import os
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

import altair as alt
import dagster as dg
import duckdb

SLOWEST = 10  # nodes shown of a run, if they take half a second

# Stage -> what its steps' keys start with. "start" comes before the first step, "rest" is between steps and after.
_STEPS = {
    "raw tables": "raw__",
    "models and tests": "dbt_models",
    "publishing": "published__",
    "pages": "dashboards__",
}
STAGES = ("start", *_STEPS, "rest")
_COLOURS = ("#9aa6b6", "#b57b00", "#2b5c8a", "#cf2440", "#2a8259", "#d5dfe9")


@dataclass(frozen=True)
class Measured:
    """What a run took: wall seconds, CPU seconds, and the highest memory of all its processes in MB.

    ``stages``: stage -> wall seconds. ``nodes``: models, seeds, snapshots and tests of dbt -> their seconds, of which
    two run at a time; bare DuckDB executes one at a time, with both cores.
    """

    seconds: float
    cpu_s: float
    peak_mb: float
    stages: Mapping[str, float] = field(default_factory=dict)
    nodes: Mapping[str, float] = field(default_factory=dict)


def read_stages(home: Path, started: float, ended: float) -> dict[str, float]:
    """The stages of the last run, from Dagster's events. Its process started and ended at these seconds since 1970."""
    with patch.dict(os.environ, DAGSTER_HOME=str(home / "dagster")), dg.DagsterInstance.get() as instance:
        (record,) = instance.get_run_records(limit=1)
        steps = instance.get_run_step_stats(record.dagster_run.run_id)
    spans = {each.step_key: (each.start_time, each.end_time) for each in steps if each.start_time and each.end_time}
    found = {"start": min(start for start, _ in spans.values()) - started} if spans else {}
    for stage, prefix in _STEPS.items():
        found[stage] = sum(end - start for key, (start, end) in spans.items() if key.startswith(prefix))
    return {**found, "rest": ended - started - sum(found.values())}


def read_nodes(home: Path, started: float) -> dict[str, float]:
    """Node -> seconds, of what dbt built and tested since this moment."""
    with duckdb.connect(str(home / "warehouse.duckdb"), read_only=True) as connection:
        rows = connection.execute(
            """
            select name, seconds from ops.node_runs where epoch(started_at) >= $1
            union all
            select test_name, seconds from ops.test_results where epoch(started_at) >= $1
            order by seconds desc
            """,
            [started],
        ).fetchall()
    return {name: seconds or 0.0 for name, seconds in rows}


def print_stages(name: str, measured: Measured) -> None:
    """Print what a run took, its stages and its slowest nodes."""
    print(f"{name:20} {measured.seconds:8.1f} s {measured.cpu_s:8.1f} s CPU {measured.peak_mb:8.0f} MB")
    print("    " + ", ".join(f"{stage} {measured.stages[stage]:.1f}" for stage in STAGES if stage in measured.stages))
    if measured.nodes:
        print(f"    {len(measured.nodes)} nodes, together {sum(measured.nodes.values()):.1f} s")
    for node, seconds in sorted(measured.nodes.items(), key=lambda each: -each[1])[:SLOWEST]:
        if seconds >= 0.5:
            print(f"    {seconds:6.1f}  {node}")


def draw_stages(rounds: Sequence[Mapping[str, Measured]], file: Path) -> None:
    """Draw the median seconds of each stage of each run as SVG."""
    runs = list(rounds[0])
    values = [
        {
            "run": run,
            "stage": stage,
            "at": at,
            "seconds": statistics.median(one[run].stages.get(stage, 0) for one in rounds),
        }
        for run in runs
        for at, stage in enumerate(STAGES)
    ]
    chart = alt.Chart(alt.Data(values=values), width=640, height={"step": 30}).encode(
        x=alt.X("seconds:Q", title="Seconds", stack="zero"),
        y=alt.Y("run:N", title=None, sort=runs),
        color=alt.Color("stage:N", title=None, sort=list(STAGES), scale=alt.Scale(domain=STAGES, range=_COLOURS)),
        order="at:Q",
    )
    file.parent.mkdir(parents=True, exist_ok=True)
    chart.mark_bar().configure(background="white").configure_legend(orient="top").save(str(file), format="svg")
