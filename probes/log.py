"""Logs of agent, reflector and collector: a JSON object a line on stderr, each in one write."""

import logging
import os
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import structlog
from structlog.typing import EventDict, Processor

STDERR: Final = 2
MOST_A_MINUTE: Final = 10


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


class Lines:
    """What structlog writes to: lines of several processes and threads do not mix, as each is one write.

    A file that is gone or full is no reason to stop what is told of.
    """

    def __init__(self, fd: int = STDERR) -> None:
        self._fd = fd

    def msg(self, line: str) -> None:
        """Write a line, where that can be."""
        with suppress(OSError):
            os.write(self._fd, line.encode() + b"\n")

    debug = info = warning = error = critical = msg


def told_with(*, limited: bool) -> dict[str, Any]:
    """Processors and wrapper for structlog. `limited`: events that repeat are cut, as strangers may cause them."""
    processors: list[Processor] = [
        structlog.processors.add_log_level,
        *([RepeatLimit()] if limited else []),
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(default=str),
    ]
    return {"processors": processors, "wrapper_class": structlog.make_filtering_bound_logger(logging.INFO)}


def to_stderr(*, limited: bool) -> None:
    """Send what every `structlog.get_logger` of this process tells, from `info` on, to stderr."""
    structlog.configure(logger_factory=lambda *_: Lines(), **told_with(limited=limited))
