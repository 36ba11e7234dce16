"""What goes wrong in the lab."""

__all__ = ["LabError"]


class LabError(Exception):
    """A test host could not be built, started, reached or removed; the text says what to do about it."""
