"""Which solver a scenario gets, and in what order they run.

The search comes first wherever it can: its plan starts branch and bound, and its multipliers are the certificate in
either case. Rules that only the exact solver honours are refused by name where the scenario is too large for it.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import inf, isfinite
from time import monotonic
from typing import Any, Literal

import numpy as np

from placement.pinning import Pin
from placement.problem import Built
from solvers.problem import Problem
from solvers.rollout import Rollout, RolloutSolution, rollout_cost_usd, rollout_violations
from solvers.solution import Placement, Status

Method = Literal["auto", "exact", "scale"]

Tell = Callable[[str, float, float, float], None]

EXACT_PAIRS = 4_000  # above this branch and bound adds little: at 20,000 (intercloud-2022) nothing in 75 s
EXACT_ALONE = 60_000  # pairs up to which branch and bound is tried where the search cannot honour a rule
START_WORK = 16  # rounds of search before branch and bound
START_PART = 0.3  # of the time


class InfeasibleError(ValueError):
    """No plan satisfies the hard rules."""


class NoPlanError(RuntimeError):
    """The limit was hit before any plan was found."""


class TooLargeError(ValueError):
    """Only the exact solver honours some of the rules, which are named, and it was not asked or has too much to do."""

    def __init__(self, rules: tuple[str, ...], pairs: int) -> None:
        named = ", ".join(rules)
        super().__init__(
            f"the search cannot honour {named}; branch and bound can, and {pairs:,} admissible pairs are much for it"
        )
        self.rules = rules


@dataclass(frozen=True)
class Request:
    """How to plan: which solver, and when to stop."""

    method: Method = "auto"
    gap: float = 1e-4
    time_limit_s: float | None = None
    work: int | None = None
    sweeps: int | None = None
    pins: tuple[Pin, ...] = ()

    def parameters(self, solution: RolloutSolution) -> dict[str, Any]:
        """What the plan's provenance records: `work` and `sweeps` as done repeat a run that time cut off."""
        asked = {"method": self.method, "gap": self.gap, "time_limit_s": self.time_limit_s, "work": self.work}
        return asked | {"sweeps": solution.sweeps} | ({"pins": [str(pin) for pin in self.pins]} if self.pins else {})


def solve(built: Built, request: Request, time_limit_s: float | None, seed: int, tell: Tell) -> RolloutSolution:
    """Run the solver that `request` asks for, or the one that fits the size and the rules.

    Raises:
        TooLargeError: a rule that only the exact solver honours, and more pairs than it can carry.
        InfeasibleError, NoPlanError: there is no plan, or none was found within the limit.
    """
    began = monotonic()
    refused = refused_rules(built)
    pairs = sum(_size(problem) for problem in built.rollout.periods)
    exact = request.method == "exact" or (
        request.method == "auto" and pairs <= (EXACT_ALONE if refused else EXACT_PAIRS)
    )
    if refused and not exact:
        raise TooLargeError(refused, pairs)
    bare = _bare(built.rollout) if refused else built.rollout
    found = _search(bare, request, time_limit_s, seed, tell, exact=exact)
    if exact:
        tell("branch and bound", found.objective_usd if not refused else inf, found.bound_usd, inf)
        left_s = None if time_limit_s is None else max(1.0, time_limit_s - (monotonic() - began))
        found = _branch(built, request.gap, left_s, found)
    if found.status is Status.INFEASIBLE:
        raise InfeasibleError(found.message or "no plan satisfies the hard rules")
    if found.placements is None:
        raise NoPlanError(found.message or f"the solver ended with {found.status} and no plan")
    return found


def refused_rules(built: Built) -> tuple[str, ...]:
    """Rules that are on and that only the exact solver honours, by name."""
    from solvers.search.rollout import refused_at_scale  # noqa: PLC0415  heavy: numba

    goals = tuple(goal.name for goal in built.goals)
    several = () if goals == ("cost",) else (f"goals {', '.join(goals)}",)
    return refused_at_scale(built.rollout) + several


def _size(problem: Problem) -> int:
    """Shares that branch and bound would decide, about: pairs, and backup pairs for every domain that they can lose."""
    reserve = problem.rules.reserve
    if reserve is None:
        return problem.pairs
    backups = np.bincount(reserve.pair_demand, minlength=problem.demands)
    site = problem.pair_site
    lost = sum(int(backups[np.unique(problem.pair_demand[inside[site]])].sum()) for inside in reserve.domain_site)
    return problem.pairs + lost


def _bare(rollout: Rollout) -> Rollout:
    """Without the rules beyond the daily ones: a relaxation, whose bound and certificate hold for the whole."""
    from solvers.relax import base_problem  # noqa: PLC0415

    return replace(rollout, periods=tuple(base_problem(problem) for problem in rollout.periods))


def _search(
    rollout: Rollout, request: Request, time_limit_s: float | None, seed: int, tell: Tell, *, exact: bool
) -> RolloutSolution:
    from solvers.search import net_gap  # noqa: PLC0415
    from solvers.search.rollout import solve_rollout_scale  # noqa: PLC0415

    constants = [problem.constant_usd for problem in rollout.periods]
    constant_usd = float(np.asarray(constants) @ rollout.months / rollout.months.sum())

    def say(objective_usd: float, bound_usd: float) -> None:
        tell("search", objective_usd, bound_usd, net_gap(objective_usd, bound_usd, constant_usd))

    return solve_rollout_scale(
        rollout,
        gap=request.gap,
        time_limit_s=None if time_limit_s is None else time_limit_s * (START_PART if exact else 1.0),
        work=START_WORK if exact else request.work,
        seed=seed,
        stop=request.sweeps,
        progress=lambda p: say(p.objective_usd, p.bound_usd),
    )


def _branch(built: Built, gap: float, time_limit_s: float | None, found: RolloutSolution) -> RolloutSolution:
    """Branch and bound from the plan of the search; the proof that the auditor can check stays that of the search."""
    from solvers.exact.rollout import solve_rollout_exact  # noqa: PLC0415
    from solvers.goals import Goal, solve_goals  # noqa: PLC0415

    start = found.placements if _keeps(built.rollout, found.placements) else None
    if len(built.goals) == 1:
        solution = solve_rollout_exact(built.rollout, gap=gap, time_limit_s=time_limit_s, start=start)
    else:
        goals = [Goal(goal.name, goal.totals, goal.gap) for goal in built.goals]
        solution = solve_goals(built.rollout, goals, gap=gap, time_limit_s=time_limit_s, start=start)
    bound = max(solution.bound_usd, found.bound_usd)
    return replace(solution, certificates=found.certificates, bound_usd=bound, work=found.work, sweeps=found.sweeps)


def _keeps(rollout: Rollout, placements: tuple[Placement, ...] | None) -> bool:
    """Whether a plan of the search keeps every rule, so that branch and bound may begin with it."""
    from solvers.check import violations  # noqa: PLC0415

    if placements is None or rollout_violations(rollout, placements):
        return False
    return not any(violations(p, plan) for p, plan in zip(rollout.periods, placements, strict=True))


def reliability_price_usd_month(
    built: Built, solution: RolloutSolution, request: Request, time_limit_s: float | None, seed: int
) -> float | None:
    """What N-1 adds to the cost: against the same scenario without it, solved the same way; None where that is off.

    The search knows what its plan cost before it added the reserve; branch and bound solves once more.
    """
    if all(problem.rules.reserve is None for problem in built.rollout.periods) or solution.placements is None:
        return None
    cost = rollout_cost_usd(built.rollout, solution.placements)
    if solution.before_reserve_usd is not None:
        return cost - solution.before_reserve_usd
    periods = tuple(replace(p, rules=replace(p.rules, reserve=None)) for p in built.rollout.periods)
    without = replace(built, rollout=replace(built.rollout, periods=periods))
    free = solve(without, request, time_limit_s, seed, lambda *_: None)
    return cost - free.objective_usd if isfinite(free.objective_usd) else None
