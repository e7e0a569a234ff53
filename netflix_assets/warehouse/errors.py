"""Errors of a warehouse."""


class WarehouseError(RuntimeError):
    """The warehouse cannot be used; the message says why and what to do."""


class HeldError(WarehouseError):
    """Another process holds the warehouse, or an object in it, and kept it for the whole wait."""
