"""Lexicographic goals: each is made as small as it gets, then held while the next one is.

    for every goal in order: minimise its total, the mean by months over the periods;
    then the row  total ≤ reached + gap·max(|reached|, tiny)  stays for the goals that follow

tiny is a billionth of the largest coefficient of the total: what adding floats may lose where a goal reaches zero.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from solvers.exact.rollout import solve_rollout_exact
from solvers.exact.stack import Ceiling, largest_coefficient, mean_total
from solvers.rollout import Reached, Rollout, RolloutSolution, rollout_cost_usd
from solvers.rules import Total
from solvers.solution import Placement, Status

_TINY = 1e-9


@dataclass(frozen=True)
class Goal:
    """What to make small: a total of every period, None for the cost; `gap` is what later goals may give up of it."""

    name: str
    totals: tuple[Total, ...] | None
    gap: float = 1e-4


def solve_goals(
    rollout: Rollout,
    goals: Sequence[Goal],
    *,
    backend: str = "highs",
    time_limit_s: float | None = None,
    gap: float = 1e-6,
    start: tuple[Placement, ...] | None = None,
) -> RolloutSolution:
    """Solve `rollout` for the goals in their order; the time left is shared evenly among those still to come.

    `gap` is what every step is solved to. The status is OPTIMAL if every step was; a step that finds nothing better
    in its time keeps the plan of the step before. `goals` of the solution say what the plan came to in the end, each
    with the bound that its own step proved beside the rows of the goals before it. `bound_usd` is that of the step
    for the cost: a bound of the plans that keep the rows before it, -inf where cost is no goal.

    Raises ValueError for no goals, a goal without a total for every period, and as `solve_rollout_exact` does.
    """
    _refuse(rollout, goals)
    begun, plans = time.monotonic(), start
    ceilings: tuple[Ceiling, ...] = ()
    steps: list[RolloutSolution] = []
    for number, goal in enumerate(goals):
        left = None if time_limit_s is None else time_limit_s - (time.monotonic() - begun)
        step = solve_rollout_exact(
            rollout,
            backend=backend,
            time_limit_s=None if left is None else max(left / (len(goals) - number), 0.01),
            gap=gap,
            start=plans,
            aim=goal.totals,
            ceilings=ceilings,
        )
        if step.placements is None:
            return replace(step, message=f"goal {goal.name}: {step.message}")
        steps.append(step)
        plans = step.placements
        ceilings = (*ceilings, _held(goal, step.objective_usd))
    return _solution(rollout, goals, steps)


def _refuse(rollout: Rollout, goals: Sequence[Goal]) -> None:
    if not goals:
        raise ValueError("no goals to solve for")
    for goal in goals:
        if goal.totals is not None and len(goal.totals) != len(rollout.periods):
            raise ValueError(f"goal {goal.name}: {len(goal.totals)} totals for {len(rollout.periods)} periods")


def _held(goal: Goal, value: float) -> Ceiling:
    """The row that keeps a goal where it is, but for its gap."""
    return Ceiling(goal.name, goal.totals, value + goal.gap * max(abs(value), _tiny(goal)))


def _tiny(goal: Goal) -> float:
    """What adding floats may lose where a goal reaches zero."""
    return _TINY * (1.0 if goal.totals is None else largest_coefficient(goal.totals))


def _solution(rollout: Rollout, goals: Sequence[Goal], steps: list[RolloutSolution]) -> RolloutSolution:
    """The last step's plan, with what it comes to in every goal."""
    plans = steps[-1].placements
    assert plans is not None
    usd = rollout_cost_usd(rollout, plans)
    reached, bound_usd = [], -np.inf
    for goal, step in zip(goals, steps, strict=True):
        value = usd if goal.totals is None else mean_total(rollout, goal.totals, plans)
        bound = min(step.bound_usd, value)
        apart = value - bound
        apart = 0.0 if apart <= 1e3 * _tiny(goal) else apart  # a millionth of one row: as good as none
        reached.append(Reached(goal.name, value, bound, apart / max(abs(value), _TINY)))
        if goal.totals is None:
            bound_usd = bound
    proven = all(step.status == Status.OPTIMAL for step in steps)
    said = [f"goal {goal.name}: {step.message}" for goal, step in zip(goals, steps, strict=True) if step.message]
    return RolloutSolution(
        Status.OPTIMAL if proven else Status.FEASIBLE,
        plans,
        usd,
        bound_usd,
        message="; ".join(said),
        goals=tuple(reached),
    )
