"""The time that a command has."""

from dataclasses import dataclass
from time import monotonic


@dataclass(frozen=True)
class Clock:
    """Runs from `began`, by the monotonic clock, for `limit_s` seconds; None is for ever."""

    began: float
    limit_s: float | None

    @property
    def spent_s(self) -> float:
        return monotonic() - self.began

    def left_s(self, kept_s: float = 0.0, least_s: float = 0.01) -> float | None:
        """Seconds left when `kept_s` of them are for something else, `least_s` or more; None without a limit."""
        return None if self.limit_s is None else max(self.limit_s - self.spent_s - kept_s, least_s)

    def part_s(self, part: float) -> float | None:
        """A part of what is left."""
        left = self.left_s()
        return None if left is None else left * part
