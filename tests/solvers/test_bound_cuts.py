"""Rounding cuts: any prices on any cuts prove a bound; the compiled sweep is the formula; one worked out by hand."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from small import two_rows, two_sites

from solvers.bound import evaluate
from solvers.bound.reference import reference_bound
from solvers.instances.tiny import random_tiny
from solvers.instances.tiny_ruled import following
from solvers.problem import Problem
from solvers.solution import Cuts, Multipliers

sys.path.insert(0, str(Path(__file__).parent))
from enumeration import optimum_usd
from test_lagrangian import draw


def draw_cuts(problem: Problem, seed: int) -> Cuts:
    """Any cuts at all: rows of any models and slices, any weights and units, any blocks whose pairs have loads."""
    rng = np.random.default_rng(seed)
    empty = np.unique(problem.pair_block[problem.pair_load <= 0])
    allowed = np.setdiff1d(np.arange(problem.blocks), empty)
    units, rows, weights, blocks = [], [], [], []
    for _ in range(int(rng.integers(1, 4))):
        row = np.flatnonzero(rng.random(problem.demands) < 0.7)
        weight, unit = rng.uniform(0.1, 2.5, len(row)), float(rng.uniform(0.2, 2))
        if len(row) and 0.01 < weight.sum() / unit % 1 < 0.99:
            units.append(unit)
            rows.append(row)
            weights.append(weight)
            blocks.append(allowed[rng.random(len(allowed)) < 0.7])
    return Cuts(
        np.array(units),
        np.cumsum([0, *map(len, rows)]),
        np.concatenate([*rows, np.empty(0)]).astype(np.int64),
        np.concatenate([*weights, np.empty(0)]),
        np.cumsum([0, *map(len, blocks)]),
        np.concatenate([*blocks, np.empty(0)]).astype(np.int64),
    )


def priced(problem: Problem, cuts: Cuts, seed: int) -> Multipliers:
    rng = np.random.default_rng(seed)
    return replace(draw(problem, seed), cut_usd=rng.exponential(4, cuts.count) * (rng.random(cuts.count) < 0.8))


@pytest.mark.parametrize("seed", range(150))
def test_any_prices_on_any_cuts_prove_a_bound_below_the_optimum(seed: int) -> None:
    problem = random_tiny(seed, replica_price=seed % 2 == 0)
    optimum = optimum_usd(problem)
    for k in range(4):
        cuts = draw_cuts(problem, 31 * seed + k)
        bound = evaluate(problem, priced(problem, cuts, 1000 * seed + k), cuts, threads=1)
        assert bound <= optimum + 1e-7 * max(1, abs(optimum))


@pytest.mark.parametrize("seed", range(150))
def test_the_compiled_sweep_with_cuts_is_the_formula(seed: int) -> None:
    problem = random_tiny(seed, replica_price=seed % 2 == 0)
    for k, which in enumerate((None, np.arange(problem.blocks) % 2 == 0, np.zeros(problem.blocks, bool))):
        split = following(problem, which)
        cuts = draw_cuts(split, 31 * seed + k)
        multipliers = priced(split, cuts, 77 * seed + k)
        assert evaluate(split, multipliers, cuts, threads=1) == pytest.approx(
            reference_bound(split, multipliers, cuts), rel=1e-9, abs=1e-7
        )


def test_a_cut_pays_for_the_second_replica() -> None:
    """Two sites with nothing to open, one row each of 0.75 replicas that both sites may serve at no cost.

    Servers of one GPU cost 8, a pair costs nothing: two servers stand, 16. Without cuts a price of 6 a row, that is 8 a
    replica, lets no site earn: 12. The cut y_0 + y_1 >= ⌈1.5⌉ = 2 at a price of 8 pays for every server, and prices of
    0 are then the best for the rows once they include δ = 8·0.75/0.5 = 12: 8·2 + 24 − 24 = 16.
    """
    problem = two_rows()
    cuts = Cuts(np.ones(1), np.array([0, 2]), np.array([0, 1]), np.full(2, 0.75), np.array([0, 2]), np.array([0, 1]))
    without = Multipliers(np.full(2, 6.0), np.zeros((2, 1)), np.zeros((2, 1)), np.zeros(0))
    assert evaluate(problem, without) == pytest.approx(12.0)
    assert evaluate(problem, replace(without, demand_usd=np.full(2, 12.0), cut_usd=np.full(1, 8.0)), cuts) == 16.0
    assert optimum_usd(problem) == pytest.approx(16.0)


def test_a_cut_that_rounds_nothing_is_refused() -> None:
    problem = two_sites()
    whole = Cuts(np.full(1, 0.5), np.array([0, 1]), np.zeros(1, np.int64), np.full(1, 0.5), np.array([0, 0]))
    prices = Multipliers(np.ones(1), np.zeros((2, 1)), np.zeros((2, 1)), np.zeros(0), cut_usd=np.ones(1))
    with pytest.raises(ValueError, match="whole number"):
        evaluate(problem, prices, whole)
    weightless = replace(problem, pair_load=np.zeros(2))
    some = replace(whole, weight=np.full(1, 0.3), block_first=np.array([0, 1]), block=np.zeros(1, np.int64))
    with pytest.raises(ValueError, match="without load"):
        evaluate(weightless, prices, some)
