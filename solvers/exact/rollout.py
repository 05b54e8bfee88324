"""The exact solver for plans over periods: all of them in one mixed-integer program."""

import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from solvers.check import violations
from solvers.exact.backends import Answer, End, solve_highs, solve_scip
from solvers.exact.flow import best_free, free_to_route
from solvers.exact.reserve import planned_instead
from solvers.exact.solve import bounded_by, clean, closed_where_empty, solve_exact, verdict
from solvers.exact.stack import Ceiling, build_stack, largest_coefficient, mean_total
from solvers.exact.start import quick
from solvers.exact.values import placement_of
from solvers.problem import Float
from solvers.rollout import Rollout, RolloutSolution, rollout_cost_usd, rollout_violations
from solvers.rules import Total
from solvers.solution import Placement, Solution, Status

_BACKENDS: dict[str, Callable[..., Answer]] = {"highs": solve_highs, "scip": solve_scip}

_SLACK = 1e-9
"""Relative, what adding floats can lose in a ceiling."""

Plans = tuple[Placement, ...]


def solve_rollout_exact(
    rollout: Rollout,
    *,
    backend: str = "highs",
    time_limit_s: float | None = None,
    gap: float = 1e-6,
    start: Plans | None = None,
    aim: tuple[Total, ...] | None = None,
    ceilings: tuple[Ceiling, ...] = (),
) -> RolloutSolution:
    """Solve `rollout` as one mixed-integer program; a single period without ties as `solve_exact` does.

    `aim` is what to make small, a total of every period counted by its months, None for the cost; `objective_usd`
    and `bound_usd` are then in its unit. `ceilings` are rows over the whole roll-out. `gap`, `start` and the statuses
    mean what they mean in `solve_exact`; every plan returned passed `solvers.check` in every period, the rows between
    the periods, and the ceilings.

    Raises ValueError for a backend that does not exist, and for a `start` that breaks a rule.
    """
    if backend not in _BACKENDS and (len(rollout.periods) > 1 or aim is not None):
        raise ValueError(f"backend {backend!r} is none of {', '.join(_BACKENDS)}, which solve roll-outs and goals")
    if start is not None and (broken := rollout_breaks(rollout, start, ceilings)):
        raise ValueError(f"the start breaks a rule: {broken[0]}")
    if _plain(rollout) and aim is None and not ceilings:
        plan = None if start is None else start[0]
        return _of_one(solve_exact(rollout.periods[0], backend=backend, time_limit_s=time_limit_s, gap=gap, start=plan))
    begun = time.monotonic()
    looser = _planned_instead(rollout)
    part = time_limit_s if looser is None or time_limit_s is None else 0.6 * time_limit_s
    found = _Run(rollout, backend, part, gap, aim, ceilings).solve(start)
    if looser is None:
        return found
    left = None if time_limit_s is None else max(time_limit_s - (time.monotonic() - begun), 0.01)
    relaxed = _Run(looser, backend, left, gap, aim, ceilings)
    return bounded_by(found, relaxed.solve(found.placements), offset=relaxed.stack.offset_usd, gap=gap)


def _plain(rollout: Rollout) -> bool:
    """Whether a single period is all there is."""
    return len(rollout.periods) == 1 and bool(np.isinf(rollout.installs[0]) and np.isinf(rollout.capex_most[0]))


def _of_one(solution: Solution) -> RolloutSolution:
    return RolloutSolution(
        solution.status,
        None if solution.placement is None else (solution.placement,),
        solution.objective_usd,
        solution.bound_usd,
        message=solution.message,
    )


def _planned_instead(rollout: Rollout) -> Rollout | None:
    """The relaxation of all periods whose bound is sound where the model of a failover policy is sufficient only."""
    looser = [planned_instead(problem) for problem in rollout.periods]
    if all(problem is None for problem in looser):
        return None
    periods = tuple(new or old for new, old in zip(looser, rollout.periods, strict=True))
    return replace(rollout, periods=periods)


class _Run:
    """One program and what was made of it."""

    def __init__(
        self,
        rollout: Rollout,
        backend: str,
        time_limit_s: float | None,
        gap: float,
        aim: tuple[Total, ...] | None,
        ceilings: tuple[Ceiling, ...],
    ) -> None:
        self.rollout, self.backend, self.gap = rollout, backend, gap
        self.aim, self.ceilings = aim, ceilings
        self.until = None if time_limit_s is None else time.monotonic() + time_limit_s
        self.stack = build_stack(rollout, aim=aim, ceilings=ceilings)

    def solve(self, start: Plans | None) -> RolloutSolution:
        """The best plan found, with its bound; never worse than `start`."""
        if start is None:
            start = self._quick()
        hint = None if start is None else self.stack.vector(start)
        answer = _BACKENDS[self.backend](self.stack, time_limit_s=self._left(), gap=self.gap / 2, start=hint)
        if answer.end == End.INFEASIBLE and start is None:
            return RolloutSolution(Status.INFEASIBLE, None, np.nan, np.inf, message=answer.message)
        plans, message = self._cleaned(answer)
        if start is not None and (plans is None or self._value(start) < self._value(plans)):
            plans = start
        stack = self.stack
        floor = stack.offset_usd if (stack.cost >= 0).all() else -np.inf
        bound = max(answer.bound + stack.offset_usd, floor)
        if plans is None:
            status = Status.LIMIT if answer.end == End.STOPPED and answer.values is None else Status.ERROR
            return RolloutSolution(status, None, np.nan, bound, message=message)
        value = self._value(plans)
        status, bound, wrong = verdict(value, bound, offset=stack.offset_usd, floor=floor, gap=self.gap)
        return RolloutSolution(status, plans, value, bound, message=wrong or message)

    def _left(self) -> float | None:
        return None if self.until is None else max(self.until - time.monotonic(), 0.01)

    def _value(self, plans: Plans) -> float:
        if self.aim is None:
            return rollout_cost_usd(self.rollout, plans)
        return mean_total(self.rollout, self.aim, plans)

    def _cleaned(self, answer: Answer) -> tuple[Plans | None, str]:
        """The backend's plan if it keeps every rule, and what there is to say."""
        if answer.values is None:
            return None, answer.message
        plans = self._clean(answer.values)
        if plans is None:
            return None, "the backend's plan breaks a rule: no routing fits the integers found"
        broken = rollout_breaks(self.rollout, plans, self.ceilings)
        return (None, f"the backend's plan breaks a rule: {broken[0]}") if broken else (plans, answer.message)

    def _clean(self, values: Float) -> Plans | None:
        """Integers rounded and shares solved again: period by period, or at once where a ceiling ties the shares."""
        stack = self.stack
        by_period = [values[stack.of(h)] for h in range(len(stack.parts))]
        periods = list(zip(stack.problems, stack.parts, by_period, strict=True))
        if not self.ceilings:
            plans = [clean(problem, part, own) for problem, part, own in periods]
            return None if any(plan is None for plan in plans) else tuple(plan for plan in plans if plan is not None)
        fixed = [closed_where_empty(problem, part, own) for problem, part, own in periods]
        more = np.zeros(len(stack.grown[0]))
        free = [free_to_route(problem, part, own) for (problem, part, _), own in zip(periods, fixed, strict=True)]
        best = best_free(stack, np.concatenate([*fixed, more]), np.concatenate([*free, more == 0]))
        if best is None:
            return None
        return tuple(placement_of(problem, part, best[stack.of(h)]) for h, (problem, part, _) in enumerate(periods))

    def _quick(self) -> Plans | None:
        """A quick plan of every period, with the servers of the period before where those stay; None if it breaks."""
        stays, plans = self.rollout.stays, []
        before = np.zeros(len(stays), np.int64)
        for problem in self.rollout.periods:
            left = self._left()
            plan = quick(problem, time_limit_s=None if left is None else 0.2 * left / len(self.rollout.periods))
            if plan is None:
                return None
            servers = np.where(stays, np.maximum(plan.servers, before), plan.servers)
            held = np.bincount(problem.offer_site, servers, minlength=problem.sites) > 0
            plans.append(replace(plan, servers=servers, open=plan.open | held))
            before = servers
        found = tuple(plans)
        return None if rollout_breaks(self.rollout, found, self.ceilings) else found


def rollout_breaks(rollout: Rollout, plans: Plans, ceilings: tuple[Ceiling, ...] = ()) -> list[str]:
    """What a plan breaks within its periods, between them, and of the ceilings; empty when it keeps all."""
    found = [
        f"period {h}: {message}"
        for h, (problem, plan) in enumerate(zip(rollout.periods, plans, strict=True))
        for message in violations(problem, plan)
    ]
    found.extend(rollout_violations(rollout, plans))
    for ceiling in ceilings:
        if ceiling.totals is None:
            value = size = rollout_cost_usd(rollout, plans)
        else:
            value, size = (mean_total(rollout, ceiling.totals, plans, signed=signed) for signed in (True, False))
            size = max(size, largest_coefficient(ceiling.totals))  # a share may be off by as much as a rule may
        if value > ceiling.most + _SLACK * max(abs(ceiling.most), size):
            found.append(f"goal {ceiling.name}: {value:.12g} > {ceiling.most:.12g}")
    return found
