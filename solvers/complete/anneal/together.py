"""Several annealings side by side, one thread each, all for the same number of rounds wherever a clock ends them."""

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from solvers.complete.complete import Effort
from solvers.problem import Problem
from solvers.solution import Placement

Anneal = Callable[[Problem, Placement, int, Callable[[int], bool]], tuple[Placement, int]]
"""Anneal a plan of a problem with a seed until told; the plan, and the rounds that it took."""


@dataclass(frozen=True)
class InStep(Effort):
    """The effort of an annealing that is told when it ends."""

    over: Callable[[int], bool] = lambda _: True

    def spent(self, rounds: int) -> bool:
        """Whether it was told to end."""
        return self.over(rounds)


@dataclass(frozen=True)
class Pace:
    """When annealings end: after so many rounds (None: as many as there is time for), or late, after the least."""

    rounds: int | None
    least: int
    until: float  # by the monotonic clock
    interrupted: Callable[[], bool]

    def over(self, rounds: int) -> bool:
        """Whether all of them end after so many rounds."""
        if self.rounds is not None and rounds >= self.rounds:
            return True
        return (rounds >= self.least and time.monotonic() >= self.until) or self.interrupted()


def side_by_side(
    tasks: Sequence[tuple[Problem, Placement, int]], anneal: Anneal, pace: Pace
) -> tuple[list[Placement], int]:
    """Anneal every plan with its seed; the plans, and the rounds that each was annealed for.

    Before every round they wait for each other, and one looks at the clock for all: what comes out depends on the
    number of rounds alone.
    """
    step = _Step(len(tasks), pace)

    def one(task: tuple[Problem, Placement, int]) -> tuple[Placement, int]:
        try:
            return anneal(*task, step.over)
        except BaseException:
            step.gate.abort()  # the others would wait for ever
            raise

    if len(tasks) == 1:
        found = [one(tasks[0])]
    else:
        with ThreadPoolExecutor(len(tasks)) as pool:
            found = list(pool.map(one, tasks))
    return [plan for plan, _ in found], max(rounds for _, rounds in found)


class _Step:
    """Where all have done as many rounds, and the word is given to go on or to end."""

    def __init__(self, seats: int, pace: Pace) -> None:
        self.pace, self.rounds, self.ended = pace, 0, False
        self.gate = threading.Barrier(seats, self._look)

    def _look(self) -> None:
        self.ended = self.pace.over(self.rounds)

    def over(self, rounds: int) -> bool:
        """Wait for the others, who have done as many rounds; whether that is the end."""
        if not self.ended:
            self.rounds = rounds
            self.gate.wait()
        return self.ended
