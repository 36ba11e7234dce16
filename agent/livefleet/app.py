"""The composition root: the only place that knows all parts."""

__all__: list[str] = []
