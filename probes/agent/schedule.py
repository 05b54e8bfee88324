"""When each method's next round is due: on the monotonic clock, jittered, and never two agents in step.

Round k of a method is due at start + phase + k · interval + jitter_k. Phase (anywhere in the interval) and jitter (at
most ± `JITTER` of it) follow from the names of agent and method alone, so agents that start together spread out, and
a test can say what must come. A round that was not begun when its successor is due is missed: counted, never made up.
"""

import random
from collections.abc import Mapping
from typing import Final, NamedTuple

JITTER: Final = 0.1


class Due(NamedTuple):
    """Round `number` of a method is to begin; `missed` rounds before it never were."""

    method: str
    number: int
    missed: int


class Schedule:
    """Rounds of several methods; `interval_s` by method, all times in seconds of one monotonic clock."""

    def __init__(self, agent: str, interval_s: Mapping[str, float], start_s: float) -> None:
        self._agent, self._interval_s, self._start_s = agent, dict(interval_s), start_s
        self._next = dict.fromkeys(interval_s, 0)
        self._phase_s = {
            method: interval * self._random(f"{method} phase").uniform(JITTER, 1)
            for method, interval in interval_s.items()
        }

    def due_s(self, method: str, number: int) -> float:
        """When a round is due."""
        jitter = self._random(f"{method} {number}").uniform(-JITTER, JITTER)
        return self._start_s + self._phase_s[method] + (number + jitter) * self._interval_s[method]

    def wake_s(self) -> float:
        """When the next round of any method is due; infinity without methods."""
        return min((self.due_s(method, number) for method, number in self._next.items()), default=float("inf"))

    def take(self, now_s: float) -> list[Due]:
        """The rounds that are due, one a method at most, in the order of the methods."""
        taken = []
        for method, first in self._next.items():
            latest = self._latest(method, now_s)
            if latest >= first:
                self._next[method] = latest + 1
                taken.append(Due(method, latest, latest - first))
        return taken

    def _latest(self, method: str, now_s: float) -> int:
        """The last round that is due by now; jitter moves it by less than one."""
        number = int((now_s - self._start_s - self._phase_s[method]) // self._interval_s[method]) + 1
        while number >= 0 and self.due_s(method, number) > now_s:
            number -= 1
        return number

    def _random(self, what: str) -> random.Random:
        return random.Random(f"{self._agent} {what}")
