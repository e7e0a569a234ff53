"""dagster-slack's resource for alerts. Imported late: dagster-slack is slow to import."""

import logging

from dagster_slack import SlackResource
from slack_sdk import WebClient

from netflix_assets.alerts.slack import Chat, Slack, SlackLog
from netflix_assets.settings import Settings

TIMEOUT_S = 5.0


class AlertsSlackResource(SlackResource):
    """SlackResource with a base URL and a timeout (s), and without retries: delivery retries after a look."""

    base_url: str
    timeout: float

    def get_client(self) -> WebClient:
        """The client of Slack's Web API."""
        return WebClient(self.token, base_url=self.base_url, timeout=self.timeout, retry_handlers=[])  # type: ignore[arg-type]


def open_chat(settings: Settings, log: logging.Logger, timeout: float | None = None) -> Chat:
    """Slack with these settings; without a token a log. ``timeout``: seconds per call."""
    if settings.slack_token is None:
        return SlackLog(log)
    token = settings.slack_token.get_secret_value()
    return Slack(
        AlertsSlackResource(token=token, base_url=settings.slack_base_url, timeout=timeout or TIMEOUT_S).get_client()
    )
