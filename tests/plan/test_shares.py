"""Shares as parts per billion."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from placement.plan.shares import parts_per_billion
from solvers.instances.tiny import random_tiny
from solvers.solution import Placement

BILLION = 10**9


@given(st.integers(0, 30), st.integers(0, 2**32 - 1), st.floats(0, 0.3))
def test_parts_per_billion_sum_to_a_billion_in_every_row(seed: int, noise: int, dust: float) -> None:
    problem = random_tiny(seed)
    rng = np.random.default_rng(noise)
    weight = rng.random(problem.pairs) * (rng.random(problem.pairs) > dust)
    left = rng.random(problem.demands) * (rng.random(problem.demands) > 0.5)
    left[problem.unservable] = 1.0
    total = np.bincount(problem.pair_demand, weight, problem.demands) + left
    left = np.where(total == 0, 1.0, left)
    total = np.where(total == 0, 1.0, total)
    share, unserved = weight / total[problem.pair_demand], left / total
    empty = np.empty(0, np.int64)
    placement = Placement(np.empty(0, np.bool_), empty, empty, share, unserved)
    routed_ppb, left_ppb = parts_per_billion(problem, placement)
    summed = np.bincount(problem.pair_demand, routed_ppb, problem.demands).astype(np.int64) + left_ppb
    assert (summed == BILLION).all()
    assert (routed_ppb >= 0).all() and (left_ppb >= 0).all()
    entries = np.bincount(problem.pair_demand, minlength=problem.demands) + 1
    assert (np.abs(routed_ppb - share * BILLION) <= entries[problem.pair_demand] + 1).all()
    assert (np.abs(left_ppb - unserved * BILLION) <= entries + 1).all()
    assert not routed_ppb[share == 0].any()
