"""Which events are told, where and to whom: the model of ``alerts.yaml``. Knows no Dagster.

Event names are those of Dagster+'s alert policies where it has the event. Does not belong here: how an event is found
(``reading.py``) and what a message says (``text.py``).
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netflix_assets.settings import EnvironmentName

ALERTS_FILE = Path(__file__).with_name("alerts.yaml")

Severity = Literal["info", "warning", "error"]
Destination = Literal["slack", "sns"]
Event = Literal[
    "asset_materialization_failure", "job_failure", "step_retry", "asset_check_severity_error",
    "asset_check_severity_warn", "asset_freshness_fail", "asset_freshness_warn", "tick_failure", "job_long_running",
    "files_parked", "objects_refused", "job_success",
]  # fmt: skip

_INFO: frozenset[Event] = frozenset({"job_success"})
_WARNING: frozenset[Event] = frozenset({
    "step_retry", "asset_check_severity_warn", "asset_freshness_warn", "job_long_running", "objects_refused",
})  # fmt: skip

ChannelId = Annotated[str, Field(pattern=r"^[CG][A-Z0-9]{2,}$")]


class AlertsError(ValueError):
    """An alerts.yaml that cannot be used; the message names the file, the entry and what is allowed."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Strict):
    """Where some events go. ``environments``, ``owners``: only of these, if any are given; ``channel``: not the one of
    the settings, by its id.
    """

    events: tuple[Event, ...] = Field(min_length=1)
    to: tuple[Destination, ...] = Field(min_length=1)
    minimum_severity: Severity = "info"
    environments: tuple[EnvironmentName, ...] = ()
    owners: tuple[str, ...] = ()
    channel: ChannelId | None = None

    def matches(self, event: Event, environment: str, owners: Collection[str]) -> bool:
        """Whether an event on something of these owners goes this way."""
        return (
            event in self.events
            and _rank(severity_of(event)) >= _rank(self.minimum_severity)
            and (not self.environments or environment in self.environments)
            and (not self.owners or not set(self.owners).isdisjoint(owners))
        )


class Rules(_Strict):
    """All of ``alerts.yaml``. ``mentions``: owner -> how Slack mentions them, ``<@U…>`` or ``<!subteam^S…>``."""

    window_minutes: float = Field(default=10, gt=0)
    digest_above: int = Field(default=5, ge=1)
    long_running_minutes: float = Field(default=120, gt=0)
    minimum_severity: Severity = "info"
    mentions: Mapping[str, Annotated[str, Field(pattern=r"^<[@!].+>$")]] = {}
    rules: tuple[Rule, ...] = ()

    def route(self, event: Event, environment: str, owners: Collection[str]) -> Rule | None:
        """The first rule that matches; None: nobody is told."""
        if _rank(severity_of(event)) < _rank(self.minimum_severity):
            return None
        return next((rule for rule in self.rules if rule.matches(event, environment, owners)), None)


def severity_of(event: Event) -> Severity:
    """How bad an event is."""
    return "info" if event in _INFO else "warning" if event in _WARNING else "error"


def _rank(severity: Severity) -> int:
    return get_args(Severity).index(severity)


def load_rules(path: Path = ALERTS_FILE) -> Rules:
    """Read alerts.yaml. Raises: AlertsError, naming the file and the entry, when it is not valid."""
    try:
        return Rules.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}={problem['input']!r}: {problem['msg']}" for problem in error.errors()
        )
        raise AlertsError(f"{path}: {problems}; docs/alerts.md lists what is allowed") from error
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise AlertsError(f"{path} (NETFLIX_ALERTS): {error}") from error
