"""The best shares for servers and replicas that are already decided: a linear program."""

from dataclasses import replace

import numpy as np

from solvers.exact.backends import End, solve_glop
from solvers.exact.model import Model, build_model
from solvers.problem import Bool, Float, Int, Problem
from solvers.solution import Placement


def best_flow(problem: Problem, opened: Bool, servers: Int, replicas: Int) -> Placement | None:
    """The cheapest shares of `problem` with sites, servers and replicas as given (P, O, B); None if there are none.

    Only rows 1, 4, 9 and 12 are left to keep; the caller answers for the integers.
    """
    return route(problem, build_model(problem), opened, servers, replicas)


def route(problem: Problem, model: Model, opened: Bool, servers: Int, replicas: Int) -> Placement | None:
    """`best_flow` on a model that is built already."""
    at = model.columns
    fixed = np.zeros(at.count)
    fixed[at.open : at.servers] = opened
    fixed[at.servers : at.replicas] = servers
    fixed[at.replicas : at.choices] = replicas
    free = np.flatnonzero(
        np.concatenate(
            [np.zeros(at.share, np.bool_), replicas[problem.pair_block] > 0, np.isfinite(problem.unserved_usd)]
        )
    )
    if not len(free):
        return None if problem.demands else _placement(problem, model, fixed)
    answer = solve_glop(_reduced(model, fixed, free))
    if answer.end != End.DONE or answer.values is None:
        return None
    fixed[free] = answer.values
    return _placement(problem, model, fixed)


def _reduced(model: Model, fixed: Float, free: Int) -> Model:
    """The model with only the columns in `free`, the others standing at `fixed`."""
    touched = model.matrix[:, free]
    row = np.flatnonzero(np.diff(touched.indptr))
    matrix = touched[row]
    moved = (model.matrix @ fixed)[row]
    return replace(
        model,
        cost=model.cost[free],
        lower=model.lower[free],
        upper=np.ones(len(free)),
        integer=np.zeros(len(free), np.bool_),
        matrix=matrix,
        row_lower=model.row_lower[row] - moved,
        row_upper=model.row_upper[row] - moved,
        row_scale=model.row_scale[row],
    )


def _placement(problem: Problem, model: Model, values: Float) -> Placement:
    """Columns as a placement, with the last digits of the simplex taken off: shares in 0..1, rows summing to 1."""
    at = model.columns
    share = np.clip(values[at.share : at.unserved], 0.0, 1.0)
    share[share < 1e-11] = 0.0
    served = np.bincount(problem.pair_demand, share, problem.demands)
    must = np.isinf(problem.unserved_usd)
    # A row that must be served, or is served a hair too often, is brought to exactly 1 by its shares.
    divisor = np.where(must & (served > 0), served, np.maximum(served, 1.0))
    share /= divisor[problem.pair_demand]
    unserved = np.where(must, 0.0, np.clip(1.0 - np.minimum(served, 1.0), 0.0, 1.0))
    return Placement(
        open=values[at.open : at.servers] > 0.5,
        servers=np.rint(values[at.servers : at.replicas]).astype(np.int64),
        replicas=np.rint(values[at.replicas : at.choices]).astype(np.int64),
        share=share,
        unserved=unserved,
    )
