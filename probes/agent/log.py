"""What the agent tells, with its name and start: news quietly, trouble as warnings."""

from typing import Any, Final

import structlog

from probes.log import STDERR, Lines, told_with

_QUIET: Final = frozenset(
    ("started", "stopped", "reloaded", "targets_read", "spool_writes_again", "address_changed", "privileges_dropped")
)


class Log:
    """Tells events with facts; one that repeats a few times a minute, and then how often it was not told."""

    def __init__(self, agent: str, boot_id: str, fd: int = STDERR) -> None:
        self._logger = structlog.wrap_logger(Lines(fd), **told_with(limited=True), agent=agent, boot_id=boot_id)

    def __call__(self, event: str, **facts: Any) -> None:
        """One line."""
        (self._logger.info if event in _QUIET else self._logger.warning)(event, **facts)
