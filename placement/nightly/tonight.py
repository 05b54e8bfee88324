"""What a night is given, and how it ends: the values that its stages pass on."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from time import monotonic
from typing import Any

from placement.interrupting import Interrupted, never
from placement.nightly import deadline
from placement.nightly.config import Nightly


@dataclass(frozen=True)
class Tonight:
    """What a night is given. `now` is the wall clock's word, taken once; `end` counts from it."""

    config: Nightly
    now: datetime
    end: deadline.Ends
    dry_run: bool = False
    interrupted: Interrupted = never
    tell: Callable[[str], None] = lambda _: None

    def clock(self) -> datetime:
        """The time by now, counted on from `now`, so that nobody sets it back while the night runs."""
        return self.now + timedelta(seconds=monotonic() - self.end.began)


@dataclass
class Ending:
    """How a night ended; the report is made of it. `reason` "": well."""

    code: int = 0
    reason: str = ""
    stage: str = ""
    message: str = ""
    details: dict[str, Any] = field(default_factory=dict)
    unchanged: bool = False
    generation: int | None = None
    new: bool = False
