"""Time that the test moves."""


class HandClock:
    """Both clocks in one; `time` is what they say."""

    def __init__(self, time=1_000_000.0):
        self.time = time

    def now(self):
        return self.time

    def monotonic(self):
        return self.time
