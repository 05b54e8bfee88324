"""Plans of large problems: the bound, whose prices guide the search (`solvers.search.run`)."""

import time
from collections.abc import Callable

from solvers import candidates
from solvers.bound import BoundResult, lagrangian_bound
from solvers.problem import Problem
from solvers.search.clock import Clock
from solvers.search.run import FIRST_CYCLE, MANY_PAIRS, Aim, Progress, Run, net_gap
from solvers.solution import Multipliers, Placement, Solution

SWEEPS = (800, 300, 100)
"""Sweeps of the bound for a small problem, for one of many pairs, and for one of which few pairs are searched."""
USUAL_WORK = 3 * FIRST_CYCLE
"""Rounds where neither work nor time nor a gap ends the search."""


def solve_scale(
    problem: Problem,
    *,
    gap: float = 0.0,
    time_limit_s: float | None = None,
    work: int | None = None,
    start: Placement | None = None,
    multipliers: Multipliers | None = None,
    progress: Callable[[Progress], None] | None = None,
    seed: int = 0,
    sweeps: int | None = None,
    stop: int | None = None,
    interrupted: Callable[[], bool] | None = None,
) -> Solution:
    """A plan of `problem` with a bound and its certificate.

    Stops at a net `gap`, after `work` rounds, at `time_limit_s`, or once `interrupted` says so, whichever is first
    (with none of them: 48 rounds). A `start` need not keep the rules of `problem`: what breaks them is taken away.
    A run that stops by gap or work gives the same bytes again; one cut off by time is repeated by the `work` and, as
    `stop`, the `sweeps` of its solution.

    Raises ValueError for a single-source problem, and for one with rules, which are for `solve_rollout_scale`.
    """
    if problem.single_source:
        raise ValueError("the search splits rows; a single-source problem is for solve_exact")
    if problem.rules.any:
        raise ValueError("the search alone keeps no rules; a problem that has some is for solve_rollout_scale")
    began = time.monotonic()
    if sweeps is None:
        sweeps = usual_sweeps(problem)
    bound = lagrangian_bound(
        problem, sweeps=sweeps, start=multipliers, time_limit_s=part_of(time_limit_s, 0.5), stop=stop
    )
    if work is None and time_limit_s is None and gap <= 0:
        work = USUAL_WORK
    return search(problem, bound, began, gap=gap, time_limit_s=time_limit_s, work=work, start=start, progress=progress,
                  seed=seed, interrupted=interrupted)  # fmt: skip


def usual_sweeps(problem: Problem) -> int:
    """Sweeps of the bound where the caller does not say."""
    return SWEEPS[(problem.pairs > MANY_PAIRS) + (problem.pairs > candidates.MANY_PAIRS)]


def part_of(limit_s: float | None, part: float) -> float | None:
    """A part of a time limit, None without one."""
    return None if limit_s is None else limit_s * part


def search(
    problem: Problem,
    bound: BoundResult,
    began: float,
    *,
    gap: float,
    time_limit_s: float | None,
    work: int | None,
    start: Placement | None,
    progress: Callable[[Progress], None] | None,
    seed: int,
    aim: Aim | None = None,
    interrupted: Callable[[], bool] | None = None,
    calm: bool = True,
) -> Solution:
    """The search of `solve_scale` once there is a bound; `began` is when its time started, by the monotonic clock.

    From a `start` it is `calm`, near what does not fit and moving little, or begins well warmed up, wherever it likes.
    """
    run = Run(problem, bound, Clock(began, time_limit_s, interrupted), seed, progress, aim)
    run.say("bound")
    run.open_with(start, calm=calm)
    run.search(gap, work)
    return run.solution()


__all__ = ["Aim", "Progress", "net_gap", "part_of", "search", "solve_scale", "usual_sweeps"]
