"""The suites behind docs/reliability.md: each proves one promise of the ingestion on many cases.

`make test` runs a bounded number of cases, `make test-<what>` the number that the document states.
"""
