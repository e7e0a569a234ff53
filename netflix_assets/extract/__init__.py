"""Extract tables of PostgreSQL databases into objects of the bucket. What follows is as for any file.

All tables of a database are read in one snapshot, so that they are consistent. docs/databases.md explains what each
mode guarantees, and why.
"""
