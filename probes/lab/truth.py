"""What the emulator really did: packets by path and fate, and how late it was."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

LATENESS_BUCKETS = 20_000
"""Microseconds; the last bucket holds all that was later."""


class Path(NamedTuple):
    """One way from place to place: packets seen, and what became of them. A merged (TSO) packet counts once.

    `overflowed` found the queue full, `expired` ended at a router with its TTL, `octets` are those of IP.
    """

    seen: int = 0
    delivered: int = 0
    lost: int = 0
    overflowed: int = 0
    while_down: int = 0
    expired: int = 0
    octets: int = 0


@dataclass(frozen=True, slots=True)
class Truth:
    """`paths` by (from, to); `lateness_us` is the time between when a packet was due and when it was handed over, as
    counts by microsecond; `missed` packets came faster than the emulator read, `strayed` had no place to go."""

    paths: Mapping[tuple[str, str], Path]
    lateness_us: Sequence[int]
    missed: int
    strayed: int

    def path(self, first: str, second: str) -> Path:
        """The packets from the first place to the second."""
        return self.paths.get((first, second), Path())

    @property
    def total(self) -> Path:
        """All ways together."""
        return Path(*(sum(column) for column in zip(*self.paths.values(), strict=True)))

    def lateness(self, quantile: float) -> int:
        """The lateness in microseconds that this share of the packets did not exceed; 0 where there was none."""
        wanted, seen = quantile * sum(self.lateness_us), 0
        for microseconds, count in enumerate(self.lateness_us):
            seen += count
            if count and seen >= wanted:
                return microseconds
        return 0
