"""The baseline: what a planner without an optimiser does."""

import numpy as np

from solvers.check import violations
from solvers.problem import Problem
from solvers.search.ground import ground_of
from solvers.search.moves import assign, construct
from solvers.search.reference import refer
from solvers.search.snapshot import snapshot, to_placement, unserved_share
from solvers.search.state import empty_state, new_work
from solvers.solution import Multipliers, Solution, Status, cost_usd


def greedy(problem: Problem) -> Solution:
    """Open sites one by one, those first that are the cheapest for most demand, and fill each with all it can serve.

    There is no bound and no second thought. LIMIT when a row that must be served is left over; raises ValueError for a
    single-source problem.
    """
    if problem.single_source:
        raise ValueError("the greedy plan splits rows; a single-source problem is for solve_exact")
    zeros = np.zeros((problem.sites, max(problem.slices, 1)))
    free = Multipliers(np.zeros(problem.demands), zeros, zeros, np.zeros(len(problem.limit_rhs)))
    ground, sizes = ground_of(problem, free)
    state, work = empty_state(ground), new_work(ground, sizes)
    assign(refer(work), unserved_share(ground, state), np.ones(problem.demands, np.bool_))
    work.room[:] = problem.limit_rhs
    work.money[1] = problem.monthly_budget_usd
    order = np.lexsort((np.arange(problem.sites), -_loved(problem, ground.penalty))).astype(np.int64)
    construct(refer(ground), refer(state), refer(work), ground.penalty, order, np.array([np.inf]), 0)
    placement = to_placement(problem, snapshot(ground, state))
    if (placement.unserved[np.isinf(problem.unserved_usd)] > 0).any():
        return Solution(Status.LIMIT, None, np.nan, -np.inf, message="a row that must be served is left over")
    if broken := violations(problem, placement):
        return Solution(Status.ERROR, None, np.nan, -np.inf, message="; ".join(broken))
    with np.errstate(invalid="ignore"):  # nothing unserved of a row that must be served: 0 × inf
        return Solution(Status.FEASIBLE, placement, cost_usd(problem, placement), -np.inf)


def _loved(problem: Problem, penalty: np.ndarray) -> np.ndarray:
    """How much demand, by penalty, has its cheapest pair at every site (P)."""
    order = np.lexsort((problem.pair_usd, problem.pair_demand))
    row = problem.pair_demand[order]
    first = np.ones(len(row), bool)
    first[1:] = row[1:] != row[:-1]
    cheapest = order[first]
    return np.bincount(problem.pair_site[cheapest], penalty[problem.pair_demand[cheapest]], minlength=problem.sites)
