"""The errors that operations raise for a caller to show."""


class InputError(ValueError):
    """An argument or a setting that does not fit what is there. Nothing has changed."""


class OperationError(RuntimeError):
    """The operation cannot run now. The message says why and what to do."""
