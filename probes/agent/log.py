"""Logs as JSON lines on stderr; an event that repeats is told a few times a minute, and how often it was not."""

import sys
import time
from collections.abc import Callable
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict

MOST_A_MINUTE: Final = 10
_QUIET: Final = frozenset(
    ("started", "stopped", "reloaded", "targets_read", "spool_writes_again", "address_changed", "privileges_dropped")
)


class RepeatLimit:
    """A structlog processor: at most `most` of one event a minute; the first of the next minute says what was cut."""

    def __init__(self, most: int = MOST_A_MINUTE, now: Callable[[], float] = time.monotonic) -> None:
        self._most, self._now = most, now
        self._seen: dict[str, tuple[float, int]] = {}

    def __call__(self, _logger: Any, _method: str, event: EventDict) -> EventDict:
        """Passes the event on, or drops it."""
        name, now = str(event.get("event")), self._now()
        began, count = self._seen.get(name, (now, 0))
        if now - began >= 60:
            if count > self._most:
                event["not_told"] = count - self._most
            began, count = now, 0
        self._seen[name] = (began, count + 1)
        if count >= self._most:
            raise structlog.DropEvent
        return event


class Log:
    """Tells events with facts: news quietly, trouble as warnings."""

    def __init__(self, agent: str, boot_id: str, file: TextIO | None = None) -> None:
        self._logger = structlog.wrap_logger(
            structlog.PrintLogger(file or sys.stderr),
            processors=[
                structlog.processors.add_log_level,
                RepeatLimit(),
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                structlog.processors.JSONRenderer(default=str),
            ],
            wrapper_class=structlog.BoundLogger,
            agent=agent,
            boot_id=boot_id,
        )

    def __call__(self, event: str, **facts: Any) -> None:
        """One line; a stderr that is gone is no reason to stop measuring."""
        try:
            (self._logger.info if event in _QUIET else self._logger.warning)(event, **facts)
        except OSError:
            return
