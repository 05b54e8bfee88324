"""Which generations are kept. Pure: the clock comes in as an argument."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from placement.publish.state import Standing, State


@dataclass(frozen=True)
class Retention:
    """The newest `keep` are kept, those published within `days`, and those that readers may still be reading.

    `grace` is how long a reader may take with what it opened before a switch.
    """

    keep: int = 14
    days: float = 0.0
    grace: timedelta = timedelta(hours=1)

    def __post_init__(self) -> None:
        if self.keep < 1 or self.days < 0 or self.grace < timedelta(0):
            raise ValueError("at least one generation is kept, and neither days nor the grace are negative")


def expired(state: State, retention: Retention, at: datetime) -> tuple[Standing, ...]:
    """Those that may go, oldest first: never the current one, nor the one that a rollback would take."""
    newest = sorted(state.standing, reverse=True)[: retention.keep]
    kept = {*newest, *(each.number for each in (state.head, state.back) if each)}
    return tuple(
        each
        for number, each in sorted(state.standing.items())
        if number not in kept
        and at - each.published_at >= timedelta(days=retention.days)
        and each.left_at is not None
        and at - each.left_at >= retention.grace
    )
