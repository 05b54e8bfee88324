"""When a night must be done, and what that leaves the search."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic

from placement.nightly.config import Deadline
from placement.nightly.runs import usual_s

CLOSING = ("audit", "diff", "feeds", "publish")
"""The stages after the plan that take time."""
MARGIN = 1.5
LEAST_S = 5.0
OF_READING = 3.0
"""Where no night before says how long the closing stages take: so many times what reading and topology took."""
LEAST_PLAN_S = 1.0


@dataclass(frozen=True)
class Ends:
    """Counts down by the monotonic clock from the wall clock's time at the beginning: nobody can set it back."""

    began: float
    seconds: float | None  # from then on; None: no deadline

    @property
    def left_s(self) -> float | None:
        """Seconds left, less than 0 when it has passed."""
        return None if self.seconds is None else self.began + self.seconds - monotonic()

    @property
    def passed(self) -> bool:
        left = self.left_s
        return left is not None and left <= 0


def ends(deadline: Deadline | None, now: datetime) -> Ends:
    """The deadline of a night that begins now: the next time that the clock shows `utc`, or so many seconds on."""
    if deadline is None:
        return Ends(monotonic(), None)
    if deadline.seconds is not None:
        return Ends(monotonic(), deadline.seconds)
    hour, minute = map(int, (deadline.utc or "00:00").split(":"))
    at = now.astimezone(UTC).replace(hour=hour, minute=minute, second=0, microsecond=0)
    at += timedelta(days=at <= now)
    return Ends(monotonic(), (at - now).total_seconds())


def closing_s(state: Path, reading_s: float) -> float:
    """What to keep for the stages after the plan: by the last nights, else by what reading took in this one."""
    usual = usual_s(state, CLOSING)
    return max(MARGIN * usual if usual is not None else OF_READING * reading_s, LEAST_S)


def search_s(wanted: float | None, end: Ends, kept_s: float) -> tuple[float | None, bool]:
    """(Seconds for the plan, whether the deadline makes them fewer than wanted); at or below 0: there is no time."""
    left = end.left_s
    if left is None:
        return wanted, False
    room = left - kept_s
    return (wanted, False) if wanted is not None and wanted <= room else (room, True)
