"""Bring what others have into the bucket: tables of databases, answers of APIs. What follows is as for any file."""
