"""Minimal configuration to run Superset on a laptop; see Superset's documentation for production."""

import os
from pathlib import Path

SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = f"sqlite:///{Path(os.environ['SUPERSET_HOME'])}/superset.db"
