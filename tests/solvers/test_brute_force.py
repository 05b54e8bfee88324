"""The exact solver against the enumeration of every whole-number plan."""

import numpy as np
import pytest
from enumeration import optimum_usd
from thorough import seeds

from solvers.check import violations
from solvers.exact import solve_exact
from solvers.instances.tiny import random_tiny
from solvers.solution import Status


@pytest.mark.parametrize("first", seeds(range(0, 240, 40), range(0, 120, 40)))
def test_the_exact_optimum_is_the_least_over_every_whole_number_plan(first: int) -> None:
    for seed in range(first, first + 40):
        problem = random_tiny(seed)
        least = optimum_usd(problem)
        found = solve_exact(problem, gap=1e-9)
        if np.isinf(least):
            assert found.status == Status.INFEASIBLE, seed
            continue
        assert found.placement is not None, (seed, found.message)
        assert found.objective_usd == pytest.approx(least, rel=1e-6, abs=1e-6), seed
        assert found.bound_usd <= least + 1e-6, seed
        assert violations(problem, found.placement) == [], seed


def test_replicas_that_cost_something_are_counted_whole() -> None:
    for seed in range(4000, 4060):
        problem = random_tiny(seed, replica_price=True)
        least = optimum_usd(problem)
        found = solve_exact(problem, gap=1e-9)
        assert (found.status == Status.INFEASIBLE) == bool(np.isinf(least)), seed
        if found.placement is not None:
            assert found.objective_usd == pytest.approx(least, rel=1e-6, abs=1e-6), seed
            assert violations(problem, found.placement) == [], seed


@pytest.mark.parametrize("single_source", [False, True])
def test_splitting_rows_and_serving_them_whole_both_match_the_enumeration(single_source: bool) -> None:
    for seed in range(1000, 1040):
        problem = random_tiny(seed, single_source=single_source)
        least = optimum_usd(problem)
        found = solve_exact(problem, gap=1e-9)
        assert (found.status == Status.INFEASIBLE) == bool(np.isinf(least)), seed
        if found.placement is not None:
            assert found.objective_usd == pytest.approx(least, rel=1e-6, abs=1e-6), seed


def test_two_solvers_agree_on_every_small_problem() -> None:
    for seed in range(2000, 2080):
        problem = random_tiny(seed)
        highs, scip = (solve_exact(problem, backend=name, gap=1e-9) for name in ("highs", "scip"))
        assert highs.status == scip.status, seed
        if highs.placement is not None:
            assert highs.objective_usd == pytest.approx(scip.objective_usd, rel=1e-6, abs=1e-6), seed


def test_the_random_problems_hold_every_rule_of_the_problem_now_and_then() -> None:
    problems = [random_tiny(seed) for seed in range(240)]
    seen = {
        "several slices": [p.slices > 1 for p in problems],
        "a replica of two GPUs or more": [(p.shape_quarters[p.block_shape] >= 8).any() for p in problems],
        "a fraction of a GPU": [(p.shape_quarters[p.block_shape] < 4).any() for p in problems],
        "exclusive operating points": [
            len(np.unique(p.block_choice)) < p.blocks and (p.block_choice >= 0).all() for p in problems
        ],
        "an uplink": [np.isfinite(p.uplink_mbps).any() for p in problems],
        "a row of stock": [np.isfinite(p.limit_rhs).any() and p.limit_matrix.nnz > 0 for p in problems],
        "a budget": [np.isfinite(p.monthly_budget_usd) for p in problems],
        "a row that must be served": [np.isinf(p.unserved_usd).any() for p in problems],
        "a row that nobody can serve": [p.unservable.any() for p in problems],
        "no load": [p.pairs > 0 and (p.pair_load == 0).all() for p in problems],
        "a limit that is off": [np.isinf(p.site_limit).any() for p in problems],
        "single source": [p.single_source for p in problems],
    }
    assert {what: sum(map(bool, found)) for what, found in seen.items() if sum(map(bool, found)) < 8} == {}
