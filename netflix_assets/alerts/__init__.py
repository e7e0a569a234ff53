"""Alerts: what went wrong becomes one message per incident, in Slack, SNS or the log."""
