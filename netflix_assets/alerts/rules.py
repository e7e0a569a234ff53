"""The model of ``alerts.yaml``: which events are sent, where, and who is mentioned.

Events that Dagster+ has in its alert policies keep their Dagster+ names.
"""

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Annotated, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from netflix_assets.contracts.visibility import reason_of
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


class AlertsError(ValueError):
    """An invalid alerts.yaml; the message names the file, the entry and the allowed values."""


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Rule(_Strict):
    """Where some events go.

    ``environments`` and ``owners`` restrict the rule if not empty. ``channel`` is the id of a Slack channel that
    replaces the one in the settings.
    """

    events: tuple[Event, ...] = Field(min_length=1)
    to: tuple[Destination, ...] = Field(min_length=1)
    environments: tuple[EnvironmentName, ...] = ()
    owners: tuple[str, ...] = ()
    channel: Annotated[str, Field(pattern=r"^[CG][A-Z0-9]{2,}$")] | None = None


class Rules(_Strict):
    """All of ``alerts.yaml``. ``mentions`` maps an owner to a Slack mention, ``<@U…>`` or ``<!subteam^S…>``."""

    long_running_minutes: float = Field(default=120, gt=0)
    mentions: Mapping[str, Annotated[str, Field(pattern=r"^<[@!].+>$")]] = {}
    rules: tuple[Rule, ...] = ()

    def route(self, event: Event, environment: str, owners: Collection[str]) -> Rule | None:
        """The first rule for an event on assets of these owners; None if the event is not sent."""
        for rule in self.rules:
            is_here = not rule.environments or environment in rule.environments
            if event in rule.events and is_here and (not rule.owners or not set(rule.owners).isdisjoint(owners)):
                return rule
        return None


def severity_of(event: Event) -> Severity:
    """The severity of an event."""
    return "info" if event in _INFO else "warning" if event in _WARNING else "error"


def load_rules(path: Path = ALERTS_FILE) -> Rules:
    """Read alerts.yaml. Raises: AlertsError if it is not valid."""
    try:
        return Rules.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, problem['loc']))}={problem['input']!r}: {reason_of(problem)}"
            for problem in error.errors()
        )
        raise AlertsError(f"{path}: {problems}; docs/alerts.md lists the allowed values") from error
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise AlertsError(f"{path} (NETFLIX_ALERTS): {error}") from error
