"""Two clocks side by side: the wall clock stamps, the monotonic one tells whether the wall clock can be believed."""

import time
from dataclasses import dataclass
from typing import Final

TOLERATED_NS: Final = 1_000_000
"""Slewing by NTP (at most 500 ppm) over a sweep of two seconds."""
SUSPENDED_NS: Final = 1_000_000_000


@dataclass(frozen=True, slots=True)
class Reading:
    """All clocks at one instant, in nanoseconds: since 1970 UTC, since some start, and since boot with suspension."""

    realtime_ns: int
    monotonic_ns: int
    boottime_ns: int

    @staticmethod
    def now() -> "Reading":
        """The quickest of three readings: a pause between two clocks is seldom in it."""
        return min((_timed() for _ in range(3)), key=lambda timed: timed[0])[1]

    def step_ns(self, later: "Reading") -> int:
        """By how much the wall clock was moved between this and a later reading."""
        return (later.realtime_ns - self.realtime_ns) - (later.monotonic_ns - self.monotonic_ns)

    def suspended_ns(self, later: "Reading") -> int:
        """How long the machine slept between this and a later reading."""
        return (later.boottime_ns - self.boottime_ns) - (later.monotonic_ns - self.monotonic_ns)

    def steady(self, later: "Reading") -> bool:
        """Whether wall-clock times taken between the two readings may be subtracted from each other."""
        return abs(self.step_ns(later)) <= TOLERATED_NS and self.suspended_ns(later) < SUSPENDED_NS


def _timed() -> tuple[int, Reading]:
    before = time.monotonic_ns()
    reading = Reading(time.time_ns(), time.monotonic_ns(), time.clock_gettime_ns(time.CLOCK_BOOTTIME))
    return time.monotonic_ns() - before, reading
