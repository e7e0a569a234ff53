"""The suites behind docs/reliability.md: each proves one promise of the ingestion on many cases.

`make test-long` runs a few cases of each, `make test-<what>` the number that the document states.
"""
