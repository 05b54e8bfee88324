"""One seed: the network is drawn, each strategy measures round by round, and its plans are held against the truth."""

import tempfile
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any

import numpy as np

from bench.closed_loop.deciding import Decision, decide, true_cost_usd
from bench.closed_loop.knowledge import Knowledge, truth
from bench.closed_loop.matrices import MATRICES, Matrix
from bench.closed_loop.strategies import LEARNING, STRATEGIES, View, first
from bench.closed_loop.world import scenario
from placement.scenario import Scenario

PERCENT = (0, 2, 5, 10)
"""Of the pairs, measured in the loop, after which plans are held against the truth."""
ROUNDS = (1.0, 2.0, 3.5, 5.0, 7.5, 10.0)
"""Percent after each round of measuring."""
PER_SITE = 4
FULL_WORK, FULL_SWEEPS = 48, 400


@dataclass(frozen=True)
class Course:
    """What a strategy's plans truly cost, USD a month, by PERCENT; `rank_s` is what choosing took in all."""

    true_usd: tuple[float, ...]
    rank_s: float


@dataclass(frozen=True)
class Outcome:
    """One seed. `full_usd` is the cost of the best plan found, knowing everything; none costs less than `bound_usd`."""

    matrix: str
    seed: int
    pairs: int
    full_usd: float
    bound_usd: float
    courses: dict[str, Course]
    seconds: float

    def gaps(self, strategy: str) -> list[float]:
        """How much more its plans truly cost than that of full information, by PERCENT."""
        return [usd / self.full_usd - 1 for usd in self.courses[strategy].true_usd]

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def run(matrix_name: str, seed: int, strategies: tuple[str, ...] = tuple(STRATEGIES)) -> Outcome:
    """All strategies on one drawn network."""
    began = monotonic()
    matrix = MATRICES[matrix_name](seed)
    with tempfile.TemporaryDirectory() as folder:
        world = scenario(Path(folder) / "world", matrix.rtt_ms.shape, seed)
        full = decide(world, truth(matrix), FULL_WORK, FULL_SWEEPS)
        loop = _Loop(world, matrix, seed)
        courses = {name: loop.course(name) for name in strategies}
    pairs = int((~np.isnan(matrix.rtt_ms)).sum())
    best = min(full.believed_usd, *(usd for course in courses.values() for usd in course.true_usd))
    return Outcome(matrix_name, seed, pairs, best, full.bound_usd, courses, monotonic() - began)


class _Loop:
    def __init__(self, world: Scenario, matrix: Matrix, seed: int) -> None:
        self.world, self.matrix, self.seed = world, matrix, seed
        self.start = Knowledge.first(matrix, PER_SITE, seed)
        self.start_pairs = self.start.pairs(seed)
        self.start_decision = decide(world, self.start_pairs)
        self.total = int((~np.isnan(matrix.rtt_ms)).sum())

    def course(self, name: str) -> Course:
        """A strategy from the first measurements to the last."""
        known, pairs = self.start, self.start_pairs
        decision: Decision | None = self.start_decision
        true_usd = [self._true_usd(self.start_decision)]
        spent_s, done = 0.0, 0
        draw = np.random.default_rng([self.seed, 3])
        for percent in ROUNDS:
            count = round(self.total * percent / 100) - done
            done += count
            began = monotonic()
            view = View(self.world, known, pairs, decision, draw.random(self.matrix.rtt_ms.shape))
            known = known.after(first(view, STRATEGIES[name], count))
            spent_s += monotonic() - began
            counts = percent in PERCENT
            if counts or name in LEARNING:
                pairs = known.pairs(self.seed)
            decision = decide(self.world, pairs) if counts or name == "prices" else None
            if counts and decision is not None:
                true_usd.append(self._true_usd(decision))
        return Course(tuple(true_usd), spent_s)

    def _true_usd(self, decision: Decision) -> float:
        return true_cost_usd(decision, self.matrix.rtt_ms)
