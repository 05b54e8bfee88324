"""The exact solver: a problem in, a plan with an honest status and bound out."""

import time
from collections.abc import Callable

import numpy as np

from solvers.check import violations
from solvers.exact.backends import Answer, End, solve_highs, solve_scip
from solvers.exact.flow import route
from solvers.exact.model import Model, build_model, vector
from solvers.exact.whole import solve_cp_sat
from solvers.problem import Float, Problem
from solvers.solution import Placement, Solution, Status, cost_usd

_BACKENDS: dict[str, Callable[..., Answer]] = {"highs": solve_highs, "scip": solve_scip, "cp-sat": solve_cp_sat}
BACKENDS = tuple(_BACKENDS)
"""Names that `solve_exact` takes."""


def solve_exact(
    problem: Problem,
    *,
    backend: str = "highs",
    time_limit_s: float | None = None,
    gap: float = 1e-6,
    start: Placement | None = None,
) -> Solution:
    """Solve `problem` as one mixed-integer program.

    `gap` is relative to the objective. The solver is given half of it, so that rounding its integers and routing
    anew stays within the whole. `start` is a hint: the solver may use it, and the answer is never worse than it.

    OPTIMAL says that the bound came within `gap`; FEASIBLE that a plan is there with its bound; INFEASIBLE that the
    backend proved the hard rows contradict each other; LIMIT that time ended before any plan; ERROR that the
    backend failed or its plan broke a rule, which `message` names. Every placement returned passed `solvers.check`.

    Raises ValueError for a backend that does not exist, for "cp-sat" where shares may be split, and for a `start`
    that breaks a rule.
    """
    if backend not in _BACKENDS:
        raise ValueError(f"backend {backend!r} is none of {', '.join(BACKENDS)}")
    if start is not None and (broken := violations(problem, start)):
        raise ValueError(f"the start breaks a rule: {broken[0]}")
    begun = time.monotonic()
    model = build_model(problem)
    hint = None if start is None else vector(model, problem, start)
    left = None if time_limit_s is None else max(time_limit_s - (time.monotonic() - begun), 0.01)
    answer = _BACKENDS[backend](model, time_limit_s=left, gap=gap / 2, start=hint)
    return _solution(problem, model, answer, start, gap)


def _solution(problem: Problem, model: Model, answer: Answer, start: Placement | None, gap: float) -> Solution:
    if answer.end == End.INFEASIBLE:
        if start is not None:
            return Solution(
                Status.ERROR, None, np.nan, -np.inf, message="the backend calls a feasible problem infeasible"
            )
        return Solution(Status.INFEASIBLE, None, np.nan, np.inf, message=answer.message)
    placement, message = None, answer.message
    if answer.values is not None:
        placement = clean(problem, model, answer.values)
        broken = ["no routing fits the integers found"] if placement is None else violations(problem, placement)
        if broken:
            placement, message = None, f"the backend's plan breaks a rule: {broken[0]}"
    if start is not None and (placement is None or _price(problem, start) < _price(problem, placement)):
        placement = start
    if placement is None:
        status = Status.LIMIT if answer.end == End.STOPPED and answer.values is None else Status.ERROR
        return Solution(status, None, np.nan, _floor(problem, answer.bound), message=message)
    objective = _price(problem, placement)
    # The plan is proof that no bound can lie above it; a backend's tolerance can put it there by a hair.
    bound = min(_floor(problem, answer.bound), objective)
    proven = objective - bound <= gap * max(abs(objective), 1e-9)
    return Solution(Status.OPTIMAL if proven else Status.FEASIBLE, placement, objective, bound, message=message)


def _price(problem: Problem, placement: Placement) -> float:
    """The placement's cost; 0 × inf, the unserved of a row that is served because it must be, is no news."""
    with np.errstate(invalid="ignore"):
        return cost_usd(problem, placement)


def _floor(problem: Problem, bound: float) -> float:
    """The bound, or what no plan can go below when the backend has none: the rows that nobody can serve."""
    costs = (problem.open_usd, problem.offer_usd, problem.pair_usd, problem.unserved_usd)
    if all((usd >= 0).all() for usd in costs):
        return max(bound, problem.constant_usd)
    return bound


def clean(problem: Problem, model: Model, values: Float) -> Placement | None:
    """A backend's values as a placement: integers rounded, unused sites closed, then the shares solved again.

    None when no routing fits the rounded integers.
    """
    at = model.columns
    servers = np.rint(values[at.servers : at.replicas]).astype(np.int64)
    replicas = np.rint(values[at.replicas : at.choices]).astype(np.int64)
    opened = np.rint(values[at.open : at.servers]) > 0
    if (problem.open_usd >= 0).all():
        opened &= np.bincount(problem.offer_site, servers, problem.sites) > 0
    if not problem.single_source:
        return route(problem, model, opened, servers, replicas)
    share = np.rint(values[at.share : at.unserved])
    served = np.bincount(problem.pair_demand, share, problem.demands)
    return Placement(opened, servers, replicas, share, np.asarray(1.0 - served, np.float64))
