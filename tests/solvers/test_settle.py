"""Prices of another day: settled, they prove no less, and most of what rows that have shrunk since cost the bound."""

from dataclasses import replace

import numpy as np
import pytest

from solvers.bound import evaluate, lagrangian_bound
from solvers.instances.synthetic import synthetic
from solvers.instances.tiny import random_tiny
from solvers.problem import Problem
from solvers.search.settle import settled


def shrunk(problem: Problem, part: float, every: int) -> Problem:
    """The problem with a part of every so many-th row."""
    times = np.where(np.arange(problem.demands) % every == 0, part, 1.0)
    of_pair = times[problem.pair_demand]
    return replace(
        problem,
        pair_load=problem.pair_load * of_pair,
        pair_usd=problem.pair_usd * of_pair,
        unserved_usd=problem.unserved_usd * times,
        out_mbps=problem.out_mbps * times,
        in_mbps=problem.in_mbps * times,
    )


def test_most_of_what_shrunken_rows_cost_the_bound_comes_back() -> None:
    """Against the bound at prices made for today, with as many sweeps as yesterday's."""
    then = synthetic(sites=60, regions=40, models=3, services=2, slices=1, seed=5)
    now = shrunk(then, 0.7, 20)
    known = lagrangian_bound(then, sweeps=300, cuts=False).certificate
    before, best = evaluate(now, known.multipliers), lagrangian_bound(now, sweeps=300, cuts=False).bound_usd
    after = evaluate(now, settled(now, known).multipliers)
    assert best - after < 0.5 * (best - before)


@pytest.mark.parametrize("seed", range(12))
def test_settled_prices_prove_no_less(seed: int) -> None:
    """Where there is nothing to settle, too."""
    problem = random_tiny(seed)
    known = lagrangian_bound(problem, sweeps=40).certificate
    for today in (problem, shrunk(problem, 0.5, 2)):
        before = evaluate(today, known.multipliers, known.cuts)
        found = settled(today, known)
        assert evaluate(today, found.multipliers, found.cuts) >= before - 1e-9 * abs(before)
