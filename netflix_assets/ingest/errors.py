"""What validation raises when an object cannot be loaded."""


class RefusedError(Exception):
    """An object that is not loaded, and the reason. ``ignored``: it is not at fault, it only has no records."""

    def __init__(self, reason: str, *, ignored: bool = False) -> None:
        super().__init__(reason)
        self.reason = reason
        self.ignored = ignored
