"""What one turn through the targets came to, for who started it: an agent that runs for months has its metrics."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from probes.agent.spool import Counts
from probes.record import Record


@dataclass(slots=True)
class Tally:
    """Names of targets that were measured and, of these, that answered any method; and how many records that gave."""

    measured: set[str] = field(default_factory=set)
    answered: set[str] = field(default_factory=set)
    records: int = 0

    def add(self, records: Iterable[Record]) -> None:
        """Takes in what a method gave."""
        for record in records:
            self.records += 1
            self.measured.add(record.target)
            if record.received or record.mbps is not None:
                self.answered.add(record.target)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run ended: the names of targets in the list, what came of them in one turn (`once`), what the spool holds.

    `delivered`: records that the collector has taken since the start; None without a collector.
    """

    targets: int
    tally: Tally
    spool: Counts
    delivered: int | None
