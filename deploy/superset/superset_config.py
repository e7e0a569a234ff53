"""The least that Superset wants to be told to start on a laptop; its own documentation has what production needs."""

import os
from pathlib import Path

SECRET_KEY = os.environ["SUPERSET_SECRET_KEY"]
SQLALCHEMY_DATABASE_URI = f"sqlite:///{Path(os.environ['SUPERSET_HOME'])}/superset.db"
