"""The exact solver: a problem in, a plan with an honest status and bound out."""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

import numpy as np

from solvers.check import violations
from solvers.exact.backends import Answer, End, solve_highs, solve_scip
from solvers.exact.flow import route
from solvers.exact.model import Model, build_model
from solvers.exact.reserve import planned_instead
from solvers.exact.start import quick
from solvers.exact.values import placement_of, vector
from solvers.exact.whole import solve_cp_sat
from solvers.problem import Float, Problem
from solvers.rollout import RolloutSolution
from solvers.solution import Placement, Solution, Status, cost_usd

_BACKENDS: dict[str, Callable[..., Answer]] = {"highs": solve_highs, "scip": solve_scip, "cp-sat": solve_cp_sat}
BACKENDS = tuple(_BACKENDS)
"""Names that `solve_exact` takes."""

_TRUST = 1e-6
"""How far, relative, a backend's tolerances may lift its bound above the cost of a plan."""


def solve_exact(
    problem: Problem,
    *,
    backend: str = "highs",
    time_limit_s: float | None = None,
    gap: float = 1e-6,
    start: Placement | None = None,
    threads: int = 2,
) -> Solution:
    """Solve `problem` as one mixed-integer program.

    `gap` is (objective − bound) / (objective − what rows that nobody can serve cost). The backend is given half of
    it, so that rounding its integers and routing anew stays within the whole. `start` is a hint, and the answer is
    never worse than it; without one a quick plan is made. Only CP-SAT runs on more than one of `threads`.

    OPTIMAL says that the bound came within `gap`; FEASIBLE that a plan is there with its bound; INFEASIBLE that the
    backend proved the hard rows contradict each other; LIMIT that time ended before any plan; ERROR that the
    backend failed or its plan broke a rule, which `message` names. Every placement returned passed `solvers.check`.
    Where the model of a failover policy is sufficient only, the bound is that of planned failover, solved in turn.

    Raises ValueError for a backend that does not exist, for "cp-sat" where shares may be split, and for a `start`
    that breaks a rule.
    """
    if backend not in _BACKENDS:
        raise ValueError(f"backend {backend!r} is none of {', '.join(BACKENDS)}")
    if start is not None and (broken := violations(problem, start)):
        raise ValueError(f"the start breaks a rule: {broken[0]}")
    begun = time.monotonic()
    looser = planned_instead(problem)
    if looser is None:
        return _solve(problem, backend, time_limit_s, gap, start, threads)
    found = _solve(problem, backend, None if time_limit_s is None else 0.6 * time_limit_s, gap, start, threads)
    left = None if time_limit_s is None else max(time_limit_s - (time.monotonic() - begun), 0.01)
    relaxed = _solve(looser, backend, left, gap, found.placement, threads)
    return bounded_by(found, relaxed, offset=problem.constant_usd, gap=gap)


def _solve(
    problem: Problem, backend: str, time_limit_s: float | None, gap: float, start: Placement | None, threads: int
) -> Solution:
    begun = time.monotonic()
    model = build_model(problem)
    if start is None:
        start = quick(problem, model=model, time_limit_s=None if time_limit_s is None else 0.2 * time_limit_s)
    hint = None if start is None else vector(model, problem, start)
    left = None if time_limit_s is None else max(time_limit_s - (time.monotonic() - begun), 0.01)
    options = {"threads": threads} if backend == "cp-sat" else {}
    answer = _BACKENDS[backend](model, time_limit_s=left, gap=gap / 2, start=hint, **options)
    return _solution(problem, model, answer, start, gap)


def _solution(problem: Problem, model: Model, answer: Answer, start: Placement | None, gap: float) -> Solution:
    if answer.end == End.INFEASIBLE and start is None:
        return Solution(Status.INFEASIBLE, None, np.nan, np.inf, message=answer.message)
    placement, message = _cleaned(problem, model, answer)
    if start is not None and (placement is None or cost_usd(problem, start) < cost_usd(problem, placement)):
        placement = start
    bound = max(answer.bound + model.offset_usd, _floor(problem))
    if placement is None:
        status = Status.LIMIT if answer.end == End.STOPPED and answer.values is None else Status.ERROR
        return Solution(status, None, np.nan, bound, message=message)
    objective = cost_usd(problem, placement)
    status, bound, wrong = verdict(objective, bound, offset=model.offset_usd, floor=_floor(problem), gap=gap)
    return Solution(status, placement, objective, bound, message=wrong or message)


def verdict(objective: float, bound: float, *, offset: float, floor: float, gap: float) -> tuple[Status, float, str]:
    """What a backend's `bound` says of a plan that passed the check: the status, the bound to claim, what is wrong.

    `offset` is paid in any case, `floor` what no plan goes below whatever a backend says.
    """
    size = max(objective - offset, 0.0)
    digits = 1e-12 * max(abs(objective), 1.0)  # what adding floats may lose
    if bound > objective + max(gap, _TRUST) * size + 1e3 * digits:
        # A plan that passed the check stands below the bound, so the backend is wrong and proves nothing.
        return Status.FEASIBLE, floor, f"the backend's bound {bound:.12g} lies above a plan of {objective:.12g}"
    bound = min(bound, objective)
    proven = objective - bound <= gap * size + digits
    return Status.OPTIMAL if proven else Status.FEASIBLE, bound, ""


Found = TypeVar("Found", Solution, RolloutSolution)


def bounded_by(found: Found, relaxed: Found, *, offset: float, gap: float) -> Found:
    """`found` with the bound of a relaxation, where its own model is stricter than the rules and bounds nothing."""
    if relaxed.status == Status.INFEASIBLE:
        return replace(found, status=Status.INFEASIBLE, bound_usd=np.inf, message=relaxed.message)
    if np.isnan(found.objective_usd):
        strict = found.status == Status.INFEASIBLE
        said = "no plan keeps the sufficient model of the failover policy; that none exists is not proven"
        status, message = (Status.LIMIT, said) if strict else (found.status, found.message)
        return replace(found, status=status, bound_usd=relaxed.bound_usd, message=message)
    status, bound, wrong = verdict(found.objective_usd, relaxed.bound_usd, offset=offset, floor=-np.inf, gap=gap)
    return replace(found, status=status, bound_usd=bound, message=wrong or found.message)


def _cleaned(problem: Problem, model: Model, answer: Answer) -> tuple[Placement | None, str]:
    """The backend's plan if it keeps every rule, and what there is to say."""
    if answer.values is None:
        return None, answer.message
    placement = clean(problem, model, answer.values)
    broken = ["no routing fits the integers found"] if placement is None else violations(problem, placement)
    return (None, f"the backend's plan breaks a rule: {broken[0]}") if broken else (placement, answer.message)


def _floor(problem: Problem) -> float:
    """What no plan can go below, whatever a backend says: the rows that nobody can serve, if nothing earns money."""
    rules = problem.rules
    costs = [problem.open_usd, problem.offer_usd, problem.each_replica_usd, problem.pair_usd, problem.unserved_usd]
    costs += [] if rules.jobs is None else [rules.jobs.option_usd]
    costs += [] if rules.moves is None else [rules.moves.usd]
    costs += [] if rules.transit is None else [rules.transit.usd_per_mbps]
    return problem.constant_usd if all((usd >= 0).all() for usd in costs) else -np.inf


def clean(problem: Problem, model: Model, values: Float) -> Placement | None:
    """A backend's values as a placement: integers rounded, unused sites closed, then the shares solved again.

    None when no routing fits the rounded integers.
    """
    at = model.columns
    values = closed_where_empty(problem, model, values)
    if not problem.single_source or problem.rules.reserve is not None:
        return route(problem, model, values)
    values[at.of("unserved")] = 1.0 - np.bincount(problem.pair_demand, values[at.of("share")], problem.demands)
    return placement_of(problem, model, values)


def closed_where_empty(problem: Problem, model: Model, values: Float) -> Float:
    """The values with whole columns rounded, and sites without a server closed where being open costs something."""
    at = model.columns
    values = np.where(model.integer, np.rint(values), values)
    if (problem.open_usd >= 0).all():
        held = np.bincount(problem.offer_site, values[at.of("servers")], problem.sites) > 0
        values[at.of("open")] *= held
    return values
