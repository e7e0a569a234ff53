"""Locks on databases."""

import threading
from typing import TYPE_CHECKING

from netflix_assets_tests.emulator.errors import SQLError

if TYPE_CHECKING:
    from netflix_assets_tests.emulator.session import Session

LOCK_TIMEOUT_S = 30.0


class Locks:
    """One session at a time changes a database, until its transaction ends."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._holders: dict[str, Session] = {}

    def acquire(self, database: str, session: "Session", timeout: float) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: self._holders.get(database, session) is session, timeout):
                holder = self._holders[database]
                raise SQLError(
                    f"Session {holder.number} has an open transaction that changed {database}; waited {timeout} s. "
                    f"Its last statement: {holder.last_statement[:200]}",
                    625,
                    "57014",
                )
            self._holders[database] = session

    def release(self, session: "Session") -> None:
        with self._changed:
            self._holders = {name: holder for name, holder in self._holders.items() if holder is not session}
            self._changed.notify_all()
