"""The window of days that count."""

from dataclasses import dataclass
from datetime import date, timedelta


@dataclass(frozen=True)
class Window:
    """UTC days from `first` (None: from the beginning) to `last` (None: to the end), both included."""

    first: date | None = None
    last: date | None = None

    def __str__(self) -> str:
        if self.first is None:
            return "everything" if self.last is None else f"everything up to {self.last}"
        if self.first == self.last:
            return f"{self.last} alone"
        return f"{self.first} and later" if self.last is None else f"{self.first} to {self.last}"


def window_start(planning_date: date | None, max_age_days: float | None) -> date | None:
    """First day whose records count: `max_age_days` before the planning date; None when either is not given."""
    if planning_date is None or max_age_days is None:
        return None
    return planning_date - timedelta(days=max_age_days)


def window_ending(last: date, days: float | None) -> Window:
    """The `days` that end with `last`, at least that one; all days up to it when None."""
    first = window_start(last + timedelta(days=1), days)
    return Window(None if first is None else min(first, last), last)
