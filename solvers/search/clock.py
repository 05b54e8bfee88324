"""When a search has to end: at a time, or as soon as somebody says so."""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass
class Clock:
    """Seconds since `began` (monotonic), and those that are kept free for what comes after the search."""

    began: float
    limit_s: float | None
    interrupted: Callable[[], bool] | None
    kept_s: float = 0.0

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def left_s(self) -> float:
        """Seconds that the search may still take, inf without a limit."""
        return np.inf if self.limit_s is None else self.limit_s - self.kept_s - self.seconds

    @property
    def stopped(self) -> bool:
        """Whether somebody has asked for the end."""
        return self.interrupted is not None and self.interrupted()

    @property
    def over(self) -> bool:
        return self.left_s <= 0 or self.stopped
