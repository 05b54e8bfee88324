"""The bound of a hundred million pairs: prices made on a few of them, then settled on all.

A sweep over all pairs takes as long as thirty over the cheapest of every row. Prices of those few are soon good and
prove nothing yet, since the other pairs earn something at them, too; some sweeps over all take off what is too much.
"""

from dataclasses import dataclass, replace

import numpy as np

from solvers.bound.ascent import BoundResult, Course, ascend
from solvers.bound.backup import has_failures, joined, parted, with_failures
from solvers.bound.backup_ascent import allowed, bound_with_failures
from solvers.bound.evaluate import Evaluator
from solvers.bound.layout import layout_of
from solvers.candidates import candidates
from solvers.problem import Problem
from solvers.solution import Backup, Certificate, Multipliers

MANY_PAIRS_FAILING = 4_000_000
"""Pairs from which a bound with failures is made this way; without failures see `solvers.candidates.MANY_PAIRS`."""
CHEAPEST = 64
"""Pairs that a row keeps at first."""
NARROW_PART = 0.8
"""Of the sweeps, that go over few pairs."""
CYCLE = 15
"""Sweeps over all pairs with steps that become smaller."""
FIRST_STEP = 0.05
LATER = 0.7
"""Times the first step, in every further cycle."""


def bound_of_many(
    problem: Problem, course: Course, threads: int, start: Certificate | Multipliers | None
) -> BoundResult:
    """The bound of a problem of very many pairs; `solvers.bound.lagrangian_bound` says how it ends.

    The sweeps over few pairs count like the others, and one over all is the least there is.
    """
    narrow = 0
    if not isinstance(start, Certificate):
        nowhere, free = np.zeros(problem.sites, np.bool_), np.zeros(len(problem.limit_rhs))
        few = candidates(problem, free, nowhere, most=(0, CHEAPEST))
        found = _bound_of_few(few.problem, _first(course), threads, start)
        start, narrow = found.certificate, found.sweeps
    whole = max(course.sweeps - int(NARROW_PART * course.sweeps), 1)
    return _Settling(problem, replace(course, sweeps=narrow + whole), threads, narrow).run(start)


def _first(course: Course) -> Course:
    """The part of a course that goes over few pairs."""
    sweeps = max(int(NARROW_PART * course.sweeps), 1)
    return replace(course, sweeps=sweeps, stop=None if course.stop is None else max(course.stop - 1, 1))


def _bound_of_few(problem: Problem, course: Course, threads: int, start: Multipliers | None) -> BoundResult:
    if has_failures(problem):
        return bound_with_failures(problem, course, threads, start, shares=False)
    with Evaluator(layout_of(problem), threads) as evaluator:
        return ascend(evaluator, course, start)


@dataclass
class _Settling:
    """Cycles over all pairs, each from the best prices so far."""

    problem: Problem
    course: Course
    threads: int
    done: int

    def run(self, start: Certificate | Multipliers) -> BoundResult:
        """At least one sweep, then as many as the course has left."""
        problem = self.problem
        known = start if isinstance(start, Certificate) else Certificate(replace(start, cut_usd=np.zeros(0)))
        backup = known.multipliers.backup
        if has_failures(problem):
            backup = allowed(problem, backup)
            if len(backup.row) < len(known.multipliers.backup.row):  # cuts may speak of what is gone
                known = Certificate(replace(known.multipliers, cut_usd=np.zeros(0), cover_usd=np.zeros(0)))
            survivors = with_failures(problem, backup.domain, backup.row)
            prices = joined(problem, replace(known.multipliers, backup=backup), survivors)
            evaluator = Evaluator(layout_of(survivors.problem), self.threads, survivors=survivors)
        else:
            survivors = None
            prices = replace(known.multipliers, backup=Backup())
            evaluator = Evaluator(layout_of(problem), self.threads)
        with evaluator:
            found = self._cycles(evaluator, replace(known, multipliers=prices))
        if survivors is None:
            return found
        multipliers = parted(problem, found.multipliers, survivors)
        return replace(found, certificate=replace(found.certificate, multipliers=multipliers))

    def _cycles(self, evaluator: Evaluator, known: Certificate) -> BoundResult:
        best: BoundResult | None = None
        step = self.course.first_step or FIRST_STEP
        while True:
            left = None if self.course.stop is None else max(self.course.stop - self.done, 1)
            sweeps = min(CYCLE, max(self.course.sweeps - self.done, 1))
            course = replace(self.course, sweeps=sweeps, stop=left, cuts=False, first_step=step)
            found = ascend(evaluator, course, known if best is None else best.certificate)
            self.done += found.sweeps
            if best is None or found.bound_usd > best.bound_usd:
                best = found
            step *= LATER
            ended = self.done >= self.course.sweeps or (left is not None and found.sweeps >= left)
            if ended or self.course.ends(self.done, best.bound_usd):
                return replace(best, sweeps=self.done)
