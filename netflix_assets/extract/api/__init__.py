"""Request APIs, period by period, and keep every response as an object of the bucket. What follows is as for any file.

A response is kept as it came and never requested again: its key names the period, so what is in the bucket is the whole
memory. docs/apis.md explains what this guarantees.
"""
