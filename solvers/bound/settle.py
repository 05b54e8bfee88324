"""The bound of very many pairs without failures: prices made on a few of them, then settled on all.

A sweep over all pairs takes as long as thirty over the cheapest of every row. Prices of those few are soon good and
prove nothing yet, since the other pairs earn something at them, too; some sweeps over all take off what is too much.
"""

from dataclasses import replace

from solvers.bound.ascent import BoundResult, Course, ascend
from solvers.bound.evaluate import Evaluator
from solvers.bound.layout import layout_of
from solvers.problem import Problem
from solvers.solution import Backup, Certificate, Multipliers

NARROW_PART = 0.8
"""Of the sweeps, that go over few pairs."""
CYCLE = 15
"""Sweeps over all pairs with steps that become smaller."""
FIRST_STEP = 0.05
LATER = 0.7
"""Times the first step, in every further cycle."""


def settled(
    problem: Problem, few: Problem, course: Course, threads: int, start: Certificate | Multipliers | None
) -> BoundResult:
    """The bound of `problem` from prices made on the `few` of its pairs, unless a certificate is the start.

    The sweeps over few pairs count like the others, and one over all is the least there is.
    """
    narrow = 0
    if not isinstance(start, Certificate):
        sweeps = max(int(NARROW_PART * course.sweeps), 1)
        first = replace(course, sweeps=sweeps, stop=None if course.stop is None else max(course.stop - 1, 1))
        with Evaluator(layout_of(few), threads) as evaluator:
            found = ascend(evaluator, first, start)
        start, narrow = found.certificate, found.sweeps
    whole = max(course.sweeps - int(NARROW_PART * course.sweeps), 1)
    known = replace(start, multipliers=replace(start.multipliers, backup=Backup()))
    with Evaluator(layout_of(problem), threads) as evaluator:
        return _cycles(evaluator, known, replace(course, sweeps=narrow + whole), narrow)


def _cycles(evaluator: Evaluator, known: Certificate, course: Course, done: int) -> BoundResult:
    """Cycles over all pairs, each from the best prices so far, as many as the course has left."""
    best: BoundResult | None = None
    step = course.first_step or FIRST_STEP
    while True:
        left = None if course.stop is None else max(course.stop - done, 1)
        sweeps = min(CYCLE, max(course.sweeps - done, 1))
        cycle = replace(course, sweeps=sweeps, stop=left, cuts=False, first_step=step)
        found = ascend(evaluator, cycle, known if best is None else best.certificate)
        done += found.sweeps
        if best is None or found.bound_usd > best.bound_usd:
            best = found
        step *= LATER
        ended = done >= course.sweeps or (left is not None and found.sweeps >= left)
        if ended or course.ends(done, best.bound_usd):
            return replace(best, sweeps=done)


__all__ = ["settled"]
