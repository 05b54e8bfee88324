"""A plan of yesterday on the problem of today: repaired to keep every rule, kept where nothing changed, soon good."""

from dataclasses import replace

import numpy as np
import pytest
from small import one_of_each, two_blocks, two_sites

from solvers.check import violations
from solvers.instances.synthetic import synthetic
from solvers.instances.tiny import random_tiny
from solvers.problem import Problem
from solvers.search import net_gap, solve_scale
from solvers.search.repair import repair
from solvers.search.snapshot import to_placement
from solvers.solution import Placement


def served(share: float, servers: int = 1, replicas: int = 1) -> Placement:
    """A plan of the problem with one of each."""
    return Placement(
        np.array([servers > 0]), np.array([servers]), np.array([replicas]), np.array([share]), np.array([1 - share])
    )


def test_a_plan_that_still_fits_is_kept_as_it_is() -> None:
    found = repair(one_of_each(), served(1.0))
    assert (found.shot.servers.tolist(), found.shot.replicas.tolist(), found.shot.share.tolist()) == ([1], [1], [1.0])
    assert not found.touched.any()


def test_shares_are_cut_to_what_the_replicas_carry() -> None:
    """A row of 1.25 replicas on one: four fifths stay."""
    found = repair(one_of_each(pair_load=np.array([1.25])), served(1.0))
    assert found.shot.share == pytest.approx([0.8])
    assert found.touched.all()


def test_shares_are_cut_to_what_the_links_carry() -> None:
    """Half of 8 Mbit/s."""
    found = repair(one_of_each(out_mbps=np.array([8.0]), uplink_mbps=np.array([4.0])), served(1.0))
    assert found.shot.share == pytest.approx([0.5])


def test_servers_that_no_longer_fit_take_their_replicas_and_shares_along() -> None:
    found = repair(one_of_each(site_limit=np.array([[1.0]])), served(1.0, servers=2, replicas=2))
    assert (found.shot.servers.tolist(), found.shot.replicas.tolist(), found.shot.share.tolist()) == ([1], [1], [1.0])
    gone = repair(one_of_each(offer_max=np.array([0])), served(1.0))
    assert (gone.shot.servers.tolist(), gone.shot.replicas.tolist(), gone.shot.share.tolist()) == ([0], [0], [])


def test_of_the_servers_of_a_scarce_kind_the_dearest_go() -> None:
    problem = two_sites(offer_usd=np.array([5.0, 6.0]), limit_matrix=np.ones((1, 2)), limit_rhs=np.array([1.0]))
    problem = replace(problem, limit_matrix=two_sites().limit_matrix.__class__(np.ones((1, 2))))
    plan = Placement(np.ones(2, bool), np.array([1, 1]), np.array([1, 1]), np.array([0.5, 0.5]), np.zeros(1))
    assert repair(problem, plan).shot.servers.tolist() == [1, 0]


def test_of_blocks_that_now_exclude_each_other_one_stays() -> None:
    plan = Placement(np.ones(1, bool), np.array([3]), np.array([1, 2]), np.array([0.5, 0.5]), np.zeros(1))
    assert repair(two_blocks(block_choice=np.array([0, 0])), plan).shot.replicas.tolist() == [0, 2]


def test_a_repaired_plan_keeps_every_rule_of_a_problem_that_has_changed() -> None:
    """Plans of random problems, whose limits, loads, links and stocks then shrink or grow at random."""
    broken = 0
    for seed in range(150):
        old = replace(random_tiny(seed, single_source=False, replica_price=True), monthly_budget_usd=np.inf)
        old = replace(old, unserved_usd=np.where(np.isfinite(old.unserved_usd), old.unserved_usd, 90.0))
        plan = solve_scale(old, work=1, sweeps=20).placement
        assert plan is not None
        new = _changed(old, np.random.default_rng(seed))
        broken += bool(violations(new, plan))
        assert violations(new, to_placement(new, repair(new, plan).shot)) == [], seed
    assert broken > 50


def _changed(problem: Problem, draw: np.random.Generator) -> Problem:
    return replace(
        problem,
        pair_load=problem.pair_load * draw.uniform(0.7, 1.6, problem.pairs),
        offer_max=np.maximum(problem.offer_max - draw.integers(0, 2, problem.offers), 0),
        block_max=np.maximum(problem.block_max - draw.integers(0, 2, problem.blocks), 0),
        site_limit=problem.site_limit * draw.uniform(0.5, 1.2, problem.site_limit.shape),
        uplink_mbps=problem.uplink_mbps * draw.uniform(0.5, 1.2, problem.sites),
        downlink_mbps=problem.downlink_mbps * draw.uniform(0.5, 1.2, problem.sites),
        limit_rhs=problem.limit_rhs * draw.uniform(0.4, 1.1, len(problem.limit_rhs)),
    )


def _next_day(problem: Problem, plan: Placement) -> tuple[Problem, Placement]:
    """A hundredth of the rows asks for more, ten pairs are gone, and so is the site with the fewest replicas."""
    draw = np.random.default_rng(3)
    used = np.bincount(problem.block_site, plan.replicas, minlength=problem.sites)
    gone = int(np.argmin(np.where(plan.open, used, np.inf)))
    rows = draw.choice(problem.demands, max(problem.demands // 100, 1), replace=False)
    kept = np.ones(problem.pairs, bool)
    kept[draw.choice(np.flatnonzero(plan.share > 0), 10, replace=False)] = False
    grown = np.where(np.isin(problem.pair_demand, rows), 1.3, 1.0)
    new = replace(
        problem,
        offer_max=np.where(problem.offer_site == gone, 0, problem.offer_max),
        pair_demand=problem.pair_demand[kept],
        pair_block=problem.pair_block[kept],
        pair_load=(problem.pair_load * grown)[kept],
        pair_usd=(problem.pair_usd * grown)[kept],
    )
    return new, replace(plan, share=plan.share[kept])


def test_a_tenth_of_the_rounds_restores_the_gap_after_a_small_change_and_moves_little() -> None:
    problem = synthetic(40, 30, 4, seed=8)
    old = solve_scale(problem, work=40, sweeps=200)
    assert old.placement is not None
    new, start = _next_day(problem, old.placement)
    assert violations(new, start)
    warm = solve_scale(new, work=4, sweeps=200, start=start)
    cold = solve_scale(new, work=4, sweeps=200)
    assert warm.placement is not None and cold.placement is not None
    assert violations(new, warm.placement) == []
    old_gap = net_gap(old.objective_usd, old.bound_usd, problem.constant_usd)
    warm_gap = net_gap(warm.objective_usd, warm.bound_usd, new.constant_usd)
    assert warm_gap <= old_gap + 0.01
    warm_moves = np.abs(warm.placement.replicas - start.replicas).sum()
    cold_moves = np.abs(cold.placement.replicas - start.replicas).sum()
    assert warm_moves <= 0.5 * cold_moves
