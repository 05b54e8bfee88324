"""A look at the clocks now and then while a measurement runs: which times may be subtracted from which."""

from probes.wire.clock import Reading


class Watch:
    """Counts the steps of the wall clock and the sleeps of the machine.

    Two wall-clock times belong together where `epoch` before the first equals what `look` gives after the second.
    """

    def __init__(self) -> None:
        self.first = self.last = Reading.now()
        self.epoch = 0

    def look(self) -> int:
        """The epoch up to now."""
        reading = Reading.now()
        if not self.last.steady(reading):
            self.epoch += 1
        self.last = reading
        return self.epoch

    @property
    def steady(self) -> bool:
        """Whether nothing moved so far."""
        return self.epoch == 0
