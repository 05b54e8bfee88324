"""Plans of the search keep every rule, never beat the optimum, and are the same again."""

import numpy as np
import pytest
from enumeration import optimum_usd

from solvers.check import violations
from solvers.instances.synthetic import synthetic
from solvers.instances.tiny import random_tiny
from solvers.search import solve_scale
from solvers.solution import Status


@pytest.mark.parametrize("first", range(0, 120, 20))
def test_a_plan_of_a_tiny_problem_keeps_every_rule_and_costs_no_less_than_the_optimum(first: int) -> None:
    for seed in range(first, first + 20):
        problem = random_tiny(seed, single_source=False)
        least = optimum_usd(problem)
        found = solve_scale(problem, work=2, sweeps=100)
        if found.placement is None:
            assert found.status == Status.LIMIT, (seed, found.message)
            continue
        assert violations(problem, found.placement) == [], seed
        assert found.objective_usd >= least - 1e-6 * max(1, least), seed
        assert found.bound_usd <= least + 1e-6 * max(1, least), seed


def test_most_plans_of_tiny_problems_are_optimal() -> None:
    hits, count = 0, 0
    for seed in range(200, 260):
        problem = random_tiny(seed, single_source=False)
        least = optimum_usd(problem)
        if np.isinf(least):
            continue
        count += 1
        found = solve_scale(problem, work=2, sweeps=100)
        hits += found.placement is not None and found.objective_usd <= least + 1e-6 * max(1, least)
    print(hits,count)
    assert hits >= 0.8 * count
