"""The bound where replicas follow the slices, and prices of rows over servers that cost nothing."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from small import one_of_each

from solvers.bound import evaluate, lagrangian_bound
from solvers.bound.reference import reference_bound
from solvers.exact import solve_exact
from solvers.instances.tiny import random_tiny
from solvers.instances.tiny_ruled import following, random_ruled

sys.path.insert(0, str(Path(__file__).parent))
from test_lagrangian import draw


@pytest.mark.parametrize("seed", range(80))
def test_the_compiled_sweep_is_the_formula_where_replicas_follow_the_slices(seed: int) -> None:
    problem = random_tiny(seed, replica_price=seed % 2 == 0)
    for k, which in enumerate((None, np.arange(problem.blocks) % 2 == 0)):
        split = following(problem, which)
        multipliers = draw(split, 77 * seed + k)
        assert evaluate(split, multipliers, threads=1) == pytest.approx(
            reference_bound(split, multipliers), rel=1e-9, abs=1e-7
        )


@pytest.mark.parametrize("seed", range(40))
def test_following_the_slices_never_raises_a_bound(seed: int) -> None:
    problem = random_tiny(seed)
    multipliers = draw(problem, seed)
    free, tied = (evaluate(p, multipliers, threads=1) for p in (following(problem), problem))
    assert free <= tied + 1e-7 * max(1.0, abs(tied))


@pytest.mark.parametrize("seed", range(40))
def test_the_bound_stays_below_the_optimum_where_replicas_follow_the_slices(seed: int) -> None:
    problem = random_ruled(seed, ["following"])
    exact = solve_exact(problem, time_limit_s=20)
    if exact.placement is not None:
        found = lagrangian_bound(problem, sweeps=150, threads=1)
        assert found.bound_usd <= exact.objective_usd + 1e-7 * max(1.0, abs(exact.objective_usd))


def test_a_row_over_servers_that_cost_nothing_gets_a_price() -> None:
    """Three servers that cost nothing could stand and one may: the row that is not served is worth 98 of the bound.

    Two rows of one replica each, of which the one server can take one: 2 + 100, less what opening does not cost.
    """
    problem = one_of_each(
        open_usd=np.zeros(1),
        offer_usd=np.zeros(1),
        demand_model=np.zeros(2, np.int64),
        demand_slice=np.zeros(2, np.int64),
        unserved_usd=np.full(2, 100.0),
        out_mbps=np.zeros(2),
        in_mbps=np.zeros(2),
        pair_demand=np.array([0, 1]),
        pair_block=np.array([0, 0]),
        pair_load=np.ones(2),
        pair_usd=np.full(2, 2.0),
        limit_matrix=sp.csr_matrix([[1.0]]),
        limit_rhs=np.ones(1),
    )
    without = replace(problem, limit_rhs=np.full(1, np.inf))
    assert lagrangian_bound(without, sweeps=400).bound_usd == pytest.approx(4.0, rel=0.02)
    assert lagrangian_bound(problem, sweeps=400).bound_usd == pytest.approx(102.0, rel=0.02)
