"""What ends a night without a new plan: a reason in one word, and the contract's exit code for it."""

import errno
from collections.abc import Iterator
from typing import Any

OK = 0
CODES = {
    "crash": 1,
    "disk_full": 1,
    "cannot_write": 1,
    "infeasible": 3,
    "bad_configuration": 4,
    "missing_file": 4,
    "bad_records": 4,
    "bad_scenario": 4,
    "bad_feed": 4,
    "audit_failed": 5,
    "tampered": 5,
    "locked": 6,
    "stale": 6,
    "gates": 6,
    "approval": 6,
    "overtaken": 6,
    "withdrawn": 6,
    "no_plan": 7,
    "deadline": 7,
    "interrupted": 7,
    "server_down": 8,
}
"""Exit codes by reason; docs/nightly.md has a table of them for people."""

FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
"""What a disk says that takes no more."""

OPEN = frozenset(
    {"disk_full", "cannot_write", "gates", "approval", "locked", "no_plan", "deadline", "interrupted", "server_down"}
)
"""Reasons after which the next night goes on with the inputs of this one, as long as it is young enough."""


class Fault(Exception):  # noqa: N818  not always an error: a gate may be meant to refuse
    """The night ends here and publishes nothing. `details` go to the report and the log."""

    def __init__(self, reason: str, message: str, **details: Any) -> None:
        super().__init__(message)
        self.reason, self.message, self.details = reason, message, details
        self.code = CODES[reason]


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """The error, and what it came from."""
    while error is not None:
        yield error
        error = error.__cause__


def disk_is_full(error: BaseException) -> bool:
    """Whether it came from a disk that takes no more."""
    return any(isinstance(one, OSError) and one.errno in FULL for one in causes(error))
