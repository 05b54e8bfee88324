"""The bound of every period of a roll-out by itself, within its part of the time."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from solvers.bound import BoundResult, lagrangian_bound
from solvers.problem import Problem
from solvers.relax import base_problem
from solvers.rollout import Rollout
from solvers.search.limits import Known, Limits
from solvers.search.run import MANY_PAIRS
from solvers.search.scale import part_of, usual_sweeps
from solvers.search.ways import carried
from solvers.solution import Certificate, Multipliers

BOUND_PART = 0.5
"""Of the time, for the bounds of a single period; of several a little less, as there is more to search."""
RESERVED_BOUND_PART = 0.35
"""The same where plans have a reserve: annealing them takes the rest."""
RESERVED_SWEEPS = 3
"""Times the usual sweeps, of a bound that prices failures; twice as often of many pairs, where time cuts it off."""
LATE_BOUND = 1.25
"""Times its part, when the bound of a later period is cut off."""


def period_bounds(
    rollout: Rollout, limits: Limits, known: Known, interrupted: Callable[[], bool], began: float
) -> list[BoundResult]:
    """The bound of every period's base problem, each warmed up by the one before and with half of its sweeps.

    `began` is when the run did, by the monotonic clock.
    """
    found = list[BoundResult]()
    periods, guarded = len(rollout.periods), reserved(rollout)
    whole = _part(limits, periods, guarded=guarded)
    part = whole if periods == 1 else 2 * whole / (periods + 1)
    stop = limits.stop
    start: Certificate | Multipliers | None = None
    earlier: Problem | None = None
    enough_usd = known.enough_usd(rollout, limits.gap)
    for h, problem in enumerate(rollout.periods):
        base = base_problem(problem, counted=True)
        if found and earlier is not None:
            start = carried(earlier, base, found[-1].multipliers)
        start = known.prices[h] or start
        cut_off = limits.time_limit_s is not None or limits.stop is not None  # by time, or as time did before
        more = 2 if cut_off and base.pairs > MANY_PAIRS else 1
        sweeps = limits.sweeps or usual_sweeps(base) * (more * RESERVED_SWEEPS if guarded else 1)
        spent_s = time.monotonic() - began
        late_s = None if limits.time_limit_s is None else LATE_BOUND * whole * limits.time_limit_s - spent_s
        bound = lagrangian_bound(
            base,
            sweeps=sweeps if h == 0 else -(-sweeps // 2),
            start=start,
            upper_usd=enough_usd[h],
            time_limit_s=None if limits.stop is not None else part_of(limits.time_limit_s, part) if h == 0
            else late_s,
            stop=stop if h == 0 or stop is None else -(-stop // 2),
            interrupted=interrupted,
            first_step=limits.first_step,
        )  # fmt: skip
        if h == 0 and stop is None and limits.time_limit_s is not None:
            stop = bound.sweeps
        earlier = base
        # the averages by pair are large, and the search does not ask for them
        nothing = bound.mean_shares[:0].copy()
        found.append(replace(bound, mean_shares=nothing, mean_replicas=np.zeros(0)))
    return found


def reserved(rollout: Rollout) -> bool:
    """Whether some period's plan has a reserve."""
    return any(problem.rules.reserve is not None for problem in rollout.periods)


def _part(limits: Limits, periods: int, *, guarded: bool) -> float:
    """What part of the time the bounds of all periods get."""
    part = RESERVED_BOUND_PART if guarded else BOUND_PART if periods == 1 else 0.8 * BOUND_PART
    return part if limits.calm else part / 2  # the quick run has done much of it
