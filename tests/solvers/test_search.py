"""Plans of the search keep every rule, never beat the optimum, and are the same again."""

from dataclasses import replace

import numpy as np
import pytest
from enumeration import optimum_usd
from small import one_of_each
from thorough import seeds

from solvers.check import violations
from solvers.instances.synthetic import synthetic
from solvers.instances.tiny import random_tiny
from solvers.search import greedy, net_gap, solve_scale
from solvers.search.flow import reroute
from solvers.solution import Status, cost_usd


@pytest.mark.parametrize("replica_price", [False, True])
@pytest.mark.parametrize("first", seeds(range(0, 120, 20), range(0, 60, 20)))
def test_a_plan_of_a_tiny_problem_keeps_every_rule_and_costs_no_less_than_the_optimum(
    first: int, replica_price: bool
) -> None:
    for seed in range(first, first + 20):
        problem = random_tiny(seed, single_source=False, replica_price=replica_price)
        least = optimum_usd(problem)
        found = solve_scale(problem, work=2, sweeps=100)
        if found.placement is None:
            assert found.status == Status.LIMIT, (seed, found.message)
            continue
        assert violations(problem, found.placement) == [], seed
        assert found.objective_usd >= least - 1e-6 * max(1, least), seed
        assert found.bound_usd <= least + 1e-6 * max(1, least), seed


@pytest.mark.parametrize("replica_price", [False, True])
def test_most_plans_of_tiny_problems_are_optimal(replica_price: bool) -> None:
    hits, count = 0, 0
    for seed in seeds(range(200, 260), range(200, 230)):
        problem = random_tiny(seed, single_source=False, replica_price=replica_price)
        least = optimum_usd(problem)
        if np.isinf(least):
            continue
        count += 1
        found = solve_scale(problem, work=2, sweeps=100)
        hits += found.placement is not None and found.objective_usd <= least + 1e-6 * max(1, least)
    assert hits >= 0.8 * count


@pytest.mark.parametrize(
    ("slices", "stock", "uplink"), [(1, np.inf, np.inf), (2, 0.6, np.inf), (1, np.inf, 0.5), (2, 0.4, 0.4)]
)
def test_a_plan_with_scarce_servers_and_thin_links_keeps_every_rule(slices: int, stock: float, uplink: float) -> None:
    problem = synthetic(30, 20, 3, seed=5, slices=slices, stock=stock, uplink_mbps_per_gpu=uplink)
    found = solve_scale(problem, work=3, sweeps=150)
    assert found.placement is not None, found.message
    assert violations(problem, found.placement) == []
    assert problem.constant_usd <= found.bound_usd <= found.objective_usd


@pytest.mark.parametrize("sweeps", [60, 1_000_000])
def test_a_run_cut_off_by_time_is_repeated_by_its_work_and_sweeps(sweeps: int) -> None:
    """Time ends the search in one run, and the bound as well in the other."""
    problem = synthetic(30, 20, 3, seed=6, stock=0.8)
    timed = solve_scale(problem, time_limit_s=3.0, sweeps=sweeps)
    assert timed.sweeps == 60 or sweeps > timed.sweeps > 0
    again = solve_scale(problem, work=timed.work, sweeps=sweeps, stop=timed.sweeps)
    assert again.bound_usd == timed.bound_usd
    assert timed.work > 0
    assert timed.placement is not None and again.placement is not None
    assert timed.objective_usd == again.objective_usd
    assert timed.placement.share.tobytes() == again.placement.share.tobytes()
    assert timed.placement.servers.tobytes() == again.placement.servers.tobytes()


def test_the_accounts_of_the_search_are_the_cost_of_its_plan() -> None:
    """What the kernels add up site by site is what `cost_usd` makes of the plan."""
    for seed in range(40):
        problem = random_tiny(seed, single_source=False, replica_price=True)
        found = solve_scale(problem, work=1, sweeps=50)
        if found.placement is not None:
            assert found.trace[-1][1] == pytest.approx(cost_usd(problem, found.placement), rel=1e-9, abs=1e-9), seed


@pytest.mark.parametrize(("usd", "served"), [(0.0, 1.0), (80.0, 1.0), (84.0, 0.0)])
def test_a_replica_stands_only_where_it_is_worth_its_price(usd: float, served: float) -> None:
    """Serving saves 100 - 10 - 5 - 2 = 83 a month."""
    found = solve_scale(one_of_each(replica_usd=np.array([usd])), work=1, sweeps=50)
    assert found.placement is not None
    assert found.placement.share.tolist() == [served]


def test_a_given_plan_is_never_made_worse() -> None:
    problem = synthetic(30, 20, 3, seed=7)
    first = greedy(problem)
    assert first.placement is not None
    found = solve_scale(problem, start=first.placement, work=4, sweeps=100)
    assert found.objective_usd <= first.objective_usd


def test_servers_that_nothing_needs_are_given_back_when_shares_are_routed() -> None:
    problem = synthetic(30, 20, 3, seed=5)
    plan = solve_scale(problem, work=3, sweeps=150).placement
    assert plan is not None
    servers = plan.servers.copy()
    idle = np.flatnonzero(~plan.open[problem.offer_site] & (problem.offer_max > 0))[0]
    servers[idle] = 1
    opened = np.bincount(problem.offer_site, servers, minlength=problem.sites) > 0
    routed = reroute(problem, replace(plan, servers=servers, open=opened))
    assert routed is not None and routed.servers[idle] == 0 and not routed.open[problem.offer_site[idle]]
    assert violations(problem, routed) == []
    assert cost_usd(problem, routed) <= cost_usd(problem, plan) * (1 + 1e-9)


def test_the_search_beats_the_greedy_plan_and_both_keep_every_rule() -> None:
    problem = synthetic(40, 30, 4, seed=8)
    plain = greedy(problem)
    assert plain.placement is not None
    assert violations(problem, plain.placement) == []
    found = solve_scale(problem, work=8, sweeps=200)
    assert found.objective_usd < 0.97 * plain.objective_usd


def test_the_gap_of_a_synthetic_world_closes_below_four_percent() -> None:
    problem = synthetic(40, 30, 3, seed=0)
    found = solve_scale(problem, gap=0.03, work=200)
    assert net_gap(found.objective_usd, found.bound_usd, problem.constant_usd) <= 0.04


def test_a_single_source_problem_is_refused() -> None:
    with pytest.raises(ValueError, match="single-source"):
        solve_scale(random_tiny(3, single_source=True))
