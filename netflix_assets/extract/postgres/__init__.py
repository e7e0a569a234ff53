"""Extract tables of PostgreSQL databases. All tables of a database are read in one snapshot, so they are consistent.

docs/databases.md explains what each mode guarantees, and why.
"""
