"""Every vector of multipliers proves a bound; the compiled sweep is the formula; good multipliers beat the LP."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from solvers.bound import evaluate, lagrangian_bound
from solvers.bound.evaluate import Evaluator
from solvers.bound.layout import layout_of
from solvers.bound.reference import reference_bound
from solvers.exact.backends import solve_highs
from solvers.exact.model import build_model
from solvers.instances.synthetic import synthetic
from solvers.instances.tiny import random_tiny
from solvers.instances.tiny_ruled import following
from solvers.problem import Problem
from solvers.solution import Multipliers

sys.path.insert(0, str(Path(__file__).parent))
from enumeration import optimum_usd


def draw(problem: Problem, seed: int) -> Multipliers:
    """Any multipliers at all: some far too high, some zero, prices only on rows that exist."""
    rng = np.random.default_rng(seed)
    shape = (problem.sites, max(problem.slices, 1))

    def prices(limit: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
        wild = rng.exponential(2, size) * (rng.random(size) < 0.5)
        return np.where(np.isfinite(limit.reshape(-1, *[1] * (len(size) - 1))), wild, 0.0)

    return Multipliers(
        rng.exponential(30, problem.demands) * rng.choice([-0.1, 0, 1, 3], problem.demands),
        prices(problem.uplink_mbps, shape),
        prices(problem.downlink_mbps, shape),
        prices(problem.limit_rhs, (len(problem.limit_rhs),)),
        float(rng.exponential(0.5)) if np.isfinite(problem.monthly_budget_usd) else 0.0,
    )


@pytest.mark.parametrize("seed", range(150))
def test_any_multipliers_prove_a_bound_below_the_optimum(seed: int) -> None:
    problem = random_tiny(seed, replica_price=seed % 3 == 0)
    optimum = optimum_usd(problem)
    for k in range(4):
        assert evaluate(problem, draw(problem, 1000 * seed + k), threads=1) <= optimum + 1e-7 * max(1, abs(optimum))


@pytest.mark.parametrize("seed", range(150))
def test_the_compiled_sweep_is_the_formula(seed: int) -> None:
    problem = random_tiny(seed, replica_price=seed % 3 > 0)
    for k in range(3):
        multipliers = draw(problem, 77 * seed + k)
        assert evaluate(problem, multipliers, threads=1) == pytest.approx(
            reference_bound(problem, multipliers), rel=1e-9, abs=1e-7
        )


@pytest.mark.parametrize("seed", range(60))
def test_the_ascent_ends_below_the_optimum_and_near_it_where_little_is_relaxed(seed: int) -> None:
    problem = random_tiny(seed, single_source=False, replica_price=seed % 2 == 0)
    optimum = optimum_usd(problem)
    if not np.isfinite(optimum):
        return
    result = lagrangian_bound(problem, sweeps=300, threads=1)
    assert result.bound_usd <= optimum + 1e-7 * max(1, optimum)
    assert evaluate(problem, result.multipliers, result.certificate.cuts, threads=1) == pytest.approx(
        result.bound_usd, rel=1e-12
    )


def test_one_thread_and_two_give_the_same_bytes() -> None:
    problem = synthetic(30, 20, 3, seed=4, slices=2)
    one, two = (lagrangian_bound(problem, sweeps=460, threads=n, shares=True) for n in (1, 2))
    assert one.bound_usd == two.bound_usd
    assert one.certificate.cuts.count > 0
    for values in ("demand_usd", "cut_usd"):
        assert getattr(one.multipliers, values).tobytes() == getattr(two.multipliers, values).tobytes()
    assert one.mean_shares.tobytes() == two.mean_shares.tobytes()


@pytest.mark.parametrize("seed", range(3))
def test_the_bound_beats_the_linear_relaxation_where_large_servers_are_not_scarce(seed: int) -> None:
    problem = synthetic(12, 10, 2, seed=seed, sizes=2, points=2)
    relaxed = solve_highs(build_model(problem), time_limit_s=60.0, gap=0.0, relaxed=True)
    assert relaxed.values is not None
    linear = float(build_model(problem).cost @ relaxed.values)
    assert lagrangian_bound(problem, sweeps=600).bound_usd > linear


def test_a_stock_of_nothing_is_as_if_the_offer_did_not_exist() -> None:
    problem = synthetic(12, 10, 2, seed=1)
    nothing = replace(
        problem,
        limit_matrix=sp.csr_matrix((problem.offer_site == 0).astype(float)[None, :]),
        limit_rhs=np.zeros(1),
    )
    without = replace(problem, offer_max=np.where(problem.offer_site == 0, 0, problem.offer_max))
    banned, absent = (lagrangian_bound(p, sweeps=200).bound_usd for p in (nothing, without))
    assert banned == pytest.approx(absent, rel=1e-9)


@pytest.mark.parametrize("seed", range(100))
def test_sites_that_are_ruled_out_early_do_not_change_the_bound(seed: int) -> None:
    problem = random_tiny(seed, replica_price=seed % 2 == 0)
    for k, which in enumerate((np.zeros(problem.blocks, bool), None)):
        split = following(problem, which)
        multipliers = draw(split, 77 * seed + k)
        layout = layout_of(split)
        with Evaluator(layout, 1) as quick, Evaluator(layout, 1, exact=True) as exact:
            one, two = quick.sweep(multipliers), exact.sweep(multipliers)
        assert one.bound_usd == pytest.approx(two.bound_usd, rel=1e-12, abs=1e-9)
        assert (one.answer.profit >= two.answer.profit - 1e-9).all()
        assert (one.open == two.open).all()


def test_values_of_many_pairs_are_rounded_down(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = synthetic(30, 20, 3, seed=4, slices=2)
    monkeypatch.setattr("solvers.bound.layout.MANY_PAIRS", 0)
    short = layout_of(problem).structure
    monkeypatch.undo()
    full = layout_of(problem).structure
    for name in ("pair_load", "pair_usd"):
        less, value = getattr(short, name), getattr(full, name)
        assert less.dtype == np.float32
        assert (less <= value).all()
        np.testing.assert_allclose(less, value, rtol=2e-7)
