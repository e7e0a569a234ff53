"""Alerts: one message per incident, in Slack, SNS or the log."""
