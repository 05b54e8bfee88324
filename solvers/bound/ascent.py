"""Good multipliers: cycles of steps, between them a search for rounding cuts that the cycle's averages break.

A course is laid by sweeps alone, so it is repeated by their number, wherever time cut it off: each cycle begins with
steps large enough to leave where it stands and ends with small ones, so that it may end after any of them.
"""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.backup import has_failures
from solvers.bound.cover_search import find_covers
from solvers.bound.covers import chosen_covers, fresh_covers, joined_covers
from solvers.bound.cuts import chosen, together
from solvers.bound.evaluate import Evaluator, Sweep
from solvers.bound.separate import Means, separate
from solvers.bound.start import cold_start, shut
from solvers.bound.steps import Steps, cover_unit, cut_unit
from solvers.solution import Certificate, Covers, Cuts, Multipliers

Float = NDArray[np.float64]
Float32 = NDArray[np.float32]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]

FIRST_CYCLE = 200
CYCLE = 150
COLD_STEP = 0.12
WARM_STEP = 0.06
COOLING = 1 / 120
"""What is left of the step at the end of a cycle."""
SETTLED = 0.4
"""Part of a cycle before its choices enter the averages."""
MOST_CUTS = 400
"""That one separation may add."""
MOST_COVERS = 200
LEAST_PRICE = 1e-3
"""Of a cut or cover, in its unit, to be kept after a cycle."""
STALLED = 1e-6


@dataclass(frozen=True)
class BoundResult:
    """A lower bound with its proof, and the averaged choices of the relaxation, which guide the search."""

    bound_usd: float
    certificate: Certificate
    mean_shares: Float32  # N where asked for, else nothing: averaged x of every pair
    mean_replicas: Float  # B
    mean_open: Float  # P
    trace: tuple[tuple[float, float], ...]  # (seconds, best bound)
    sweeps: int

    @property
    def multipliers(self) -> Multipliers:
        return self.certificate.multipliers


@dataclass(frozen=True)
class Course:
    """How long an ascent goes on, and whether it looks for cuts."""

    sweeps: int
    stop: int | None = None
    upper_usd: float = np.inf
    cuts: bool = True
    began: float = -np.inf  # by the monotonic clock
    limit_s: float | None = None
    interrupted: Callable[[], bool] | None = None
    first_step: float | None = None  # of the first cycle, where it is not the usual
    cycle: int = CYCLE  # sweeps between two searches for cuts
    rounding: bool = True  # whether these look for rounding cuts, beside covers

    @property
    def most(self) -> int:
        return max(self.sweeps if self.stop is None else min(self.sweeps, self.stop), 1)

    def cycles(self, cold: bool) -> Iterator[int]:
        """Sweeps of one cycle after the other; a rest too short for one of its own goes to the last."""
        left = max(self.sweeps, 1)
        length = left if not self.cuts else FIRST_CYCLE if cold else self.cycle
        while left > 0:
            length = left if left < length + self.cycle // 2 else length
            yield length
            left -= length
            length = self.cycle

    def ends(self, done: int, best: float) -> bool:
        """Whether the course ends after `done` sweeps."""
        if done >= self.most or best >= self.upper_usd - 1e-9 * abs(self.upper_usd):
            return True
        late = self.limit_s is not None and time.monotonic() - self.began > self.limit_s
        return late or (self.interrupted is not None and self.interrupted())


Widen = Callable[[Certificate], Evaluator]
"""After a cycle: shown the best prices so far, what to go on with: the same rows, perhaps with more pairs."""


def ascend(
    evaluator: Evaluator,
    course: Course,
    start: Certificate | Multipliers | None = None,
    *,
    shares: bool = False,
    widen: Widen | None = None,
) -> BoundResult:
    """The bound that a course reaches on the evaluator's problem; `solvers.bound.lagrangian` says how it ends.

    With `widen` it is that of the last cycle, on the pairs that this one had.
    """
    return _Ascent(evaluator, course, start, widen).run(shares)


class _Ascent:
    """Where an ascent stands, the best prices so far, and the averages of the last cycle that has some."""

    def __init__(
        self, evaluator: Evaluator, course: Course, start: Certificate | Multipliers | None, widen: Widen | None
    ) -> None:
        self.evaluator, self.course, self.cold, self.widen = evaluator, course, start is None, widen
        self.problem = evaluator.layout.problem
        if start is None:
            start = cold_start(self.problem)
        if isinstance(start, Multipliers):
            start = Certificate(replace(start, cut_usd=np.zeros(0), cover_usd=np.zeros(0)))
        self.cuts, self.covers = start.cuts, start.covers
        evaluator.use(self.cuts, self.covers)
        self.now = shut(self.problem, start.multipliers)
        self.best, self.best_at = -np.inf, Certificate(self.now, self.cuts, covers=self.covers)
        self.means = Averages(evaluator)
        self.done = 0
        self.trace: list[tuple[float, float]] = []

    def run(self, shares: bool) -> BoundResult:
        ended, step = False, self.course.first_step or (COLD_STEP if self.cold else WARM_STEP)
        for sweeps in self.course.cycles(self.cold):
            before = self.best
            ended = self._cycle(sweeps, step)
            step = WARM_STEP
            if ended:
                break
            added = self._recut() if self.course.cuts and self.done < self.course.sweeps else 0
            if added == 0 and self.best - before < STALLED * abs(self.best):
                break
            if self.widen is not None:
                self._go_on_with(self.widen(self.best_at))
        if self.means.weight == 0:
            self.evaluator.use(self.best_at.cuts, self.best_at.covers)
            self.means.add(self.evaluator.sweep(self.best_at.multipliers))
        self._note()
        return BoundResult(
            self.best, paid(self.best_at), self.means.of_pairs() if shares else np.zeros(0, np.float32),
            self.means.replicas / self.means.weight, self.means.open / self.means.weight, tuple(self.trace), self.done,
        )  # fmt: skip

    def _go_on_with(self, evaluator: Evaluator) -> None:
        """More pairs earn more, so that what fewer proved does not count any longer."""
        self.evaluator.close()
        self.evaluator, self.problem, self.best = evaluator, evaluator.layout.problem, -np.inf
        evaluator.use(self.cuts, self.covers)
        self.means = Averages(evaluator)

    def _cycle(self, sweeps: int, first_step: float) -> bool:
        """So many sweeps with ever smaller steps; True if the course ends here."""
        steps = Steps(self.evaluator, self.now)
        settled = int(SETTLED * sweeps)
        for k in range(sweeps):
            swept = self.evaluator.sweep(self.now)
            self.done += 1
            if swept.bound_usd > self.best:
                self.best, self.best_at = swept.bound_usd, Certificate(self.now, self.cuts, covers=self.covers)
            if k == settled:
                self.means.clear()
            if k >= settled:
                self.means.add(swept)
            if k % 10 == 0:
                self._note()
            if self.course.ends(self.done, self.best):
                return True
            self.now = steps.step(self.now, swept, first_step * COOLING ** (k / sweeps))
        return False

    def _recut(self) -> int:
        """Drop cuts and covers that are not paid for, add those that the averages break; the number of new ones."""
        kept = self.now.cut_usd > LEAST_PRICE * cut_unit(self.evaluator)
        means = Means(self.means.share / self.means.weight, self.means.replicas / self.means.weight)
        new = Cuts()
        if self.course.rounding:
            new = separate(self.evaluator.layout, means, self.now.demand_usd, MOST_CUTS, self.evaluator.threads)
        self.cuts = together(chosen(self.cuts, kept), new)
        covers = self._covered(means)
        self.now = replace(self.now, cut_usd=np.append(self.now.cut_usd[kept], np.zeros(new.count)))
        self.evaluator.use(self.cuts, self.covers)
        return new.count + covers

    def _covered(self, means: Means) -> int:
        """The same for covers, where the problem has failures; the number of new ones."""
        base = self.evaluator.base
        if not has_failures(base):
            return 0
        kept = self.now.cover_usd > LEAST_PRICE * cover_unit(self.evaluator)
        shares = self.means.of_pairs()[: base.pairs].astype(float)
        new = find_covers(
            base, shares, means.replicas, self.means.present / self.means.weight, MOST_COVERS, self.evaluator.threads
        )
        self.covers = chosen_covers(self.covers, kept)
        new = fresh_covers(self.covers, new) if self.covers.count and new.count else new
        self.covers = joined_covers(self.covers, new)
        self.now = replace(self.now, cover_usd=np.append(self.now.cover_usd[kept], np.zeros(new.count)))
        return new.count

    def _note(self) -> None:
        self.trace.append((time.monotonic() - self.course.began, self.best))


def paid(certificate: Certificate) -> Certificate:
    """The certificate without the cuts and covers whose price is 0."""
    prices = certificate.multipliers
    kept, stay = prices.cut_usd > 0, prices.cover_usd > 0
    return replace(
        certificate,
        multipliers=replace(prices, cut_usd=prices.cut_usd[kept], cover_usd=prices.cover_usd[stay]),
        cuts=chosen(certificate.cuts, kept) if certificate.cuts.count else Cuts(),
        covers=chosen_covers(certificate.covers, stay) if certificate.covers.count else Covers(),
    )


class Averages:
    """Averages of what the sites chose."""

    def __init__(self, evaluator: Evaluator) -> None:
        self.evaluator = evaluator
        problem = evaluator.layout.problem
        self.share = np.zeros(problem.pairs, np.float32)  # in the structure's order
        self.replicas = np.zeros(problem.blocks)
        self.present = np.zeros(problem.blocks)
        self.open = np.zeros(problem.sites)
        self.weight = 0.0

    def clear(self) -> None:
        """Begin anew."""
        for total in (self.share, self.replicas, self.present, self.open):
            total[:] = 0
        self.weight = 0.0

    def add(self, swept: Sweep) -> None:
        answer = swept.answer
        add_shares(answer.item, answer.share, answer.item_first, answer.item_count, self.share)
        standing = answer.replicas * swept.open[self.evaluator.layout.problem.block_site]
        self.replicas += standing
        self.present += standing > 0
        self.open += swept.open
        self.weight += 1.0

    def of_pairs(self) -> Float32:
        """Averaged shares in the problem's order, N."""
        shares = np.zeros(len(self.share), np.float32)
        shares[self.evaluator.layout.structure.pair] = self.share / np.float32(self.weight)
        return shares


@njit(cache=True, nogil=True)
def add_shares(item: Int32, share: Float32, first: Int, count: Int, total: Float32) -> None:
    """Add the sites' shares to their pairs, in the structure's order."""
    for p in range(len(count)):
        for j in range(first[p], first[p] + count[p]):
            total[item[j]] += share[j]


__all__ = ["BoundResult", "Course", "ascend", "cold_start"]
