"""The best shares where all whole numbers are already decided: a linear program."""

from dataclasses import replace

import numpy as np

from solvers.exact.backends import End, solve_glop
from solvers.exact.model import Model, Program, build_model
from solvers.exact.values import decided, placement_of
from solvers.problem import Bool, Float, Int, Problem
from solvers.solution import Placement


def best_flow(problem: Problem, opened: Bool, servers: Int, replicas: Int) -> Placement | None:
    """The cheapest shares of `problem` with sites, servers and replicas as given (P, O, B); None if there are none.

    Only rows 1, 4, 9 and 12 are left to keep; the caller answers for the integers. Of the further rules it keeps the
    plain peak, moves and totals. Jobs, sites of a row and slices left out are whole numbers, too: raises ValueError
    for a problem with them, whose plans `route` takes.
    """
    model = build_model(problem)
    for name in ("job", "uses", "left_out"):
        if model.columns.kind(name).count:
            raise ValueError(f"the flow program cannot decide columns of the kind {name!r}")
    return route(problem, model, decided(model, opened, servers, replicas))


def route(problem: Problem, model: Model, values: Float) -> Placement | None:
    """The cheapest plan whose whole columns are those of `values` (M); None if there is none."""
    best = best_free(model, values, free_to_route(problem, model, values))
    return None if best is None else placement_of(problem, model, best)


def free_to_route(problem: Problem, model: Model, values: Float) -> Bool:
    """The columns that a flow program decides when the whole ones are those of `values`, M."""
    at = model.columns
    free = ~model.integer
    free[at.of("share")] &= np.rint(values[at.of("replicas")])[problem.pair_block] > 0
    free[at.of("unserved")] = np.isfinite(problem.unserved_usd)
    return free


def best_free(model: Program, values: Float, free: Bool) -> Float | None:
    """The best values of the `free` columns, whole ones being those of `values` and the others 0; None if none fit."""
    fixed = np.where(model.integer, np.rint(values), 0.0)
    columns = np.flatnonzero(free)
    if not len(columns):
        return fixed if (model.matrix @ fixed >= model.row_lower - 1e-9).all() else None
    answer = solve_glop(_reduced(model, fixed, columns))
    if answer.end != End.DONE or answer.values is None:
        return None
    fixed[columns] = answer.values
    return fixed


def _reduced(model: Program, fixed: Float, free: Int) -> Program:
    """The model with only the columns in `free`, the others standing at `fixed`."""
    touched = model.matrix[:, free]
    row = np.flatnonzero(np.diff(touched.indptr))
    matrix = touched[row]
    moved = (model.matrix @ fixed)[row]
    return replace(
        model,
        cost=model.cost[free],
        lower=model.lower[free],
        upper=np.maximum(model.upper[free], 1.0),  # a share's own upper bound is only a cut
        integer=np.zeros(len(free), np.bool_),
        matrix=matrix,
        row_lower=model.row_lower[row] - moved,
        row_upper=model.row_upper[row] - moved,
        row_scale=model.row_scale[row],
    )
