"""N-1 at scale: every failure replayed by arithmetic, the cost never below what is proved, and near the optimum."""

from dataclasses import replace

import numpy as np
import pytest
from small import two_rows

from solvers.check import violations
from solvers.exact import solve_exact
from solvers.instances.tiny_reserve import random_reserve
from solvers.problem import Problem
from solvers.rollout import one_period
from solvers.rules import Reserve, Rules
from solvers.search import solve_rollout_scale
from solvers.solution import Placement, Status


def planned(problem: Problem) -> Placement | None:
    found = solve_rollout_scale(one_period(problem), work=2, sweeps=60)
    return None if found.placements is None else found.placements[0]


def replayed(problem: Problem, plan: Placement) -> list[str]:
    """What goes wrong when every domain fails once, row by row and block by block, in plain loops."""
    reserve = problem.rules.reserve
    assert reserve is not None and plan.backup is not None
    wrong = []
    site = problem.block_site[reserve.pair_block]
    for e in range(reserve.domains):
        down = reserve.domain_site[e]
        taken = plan.backup[[e]].toarray()[0]
        load = np.zeros((problem.blocks, problem.slices))
        for n in np.flatnonzero(plan.share):
            if not down[problem.pair_site[n]]:
                slice_ = problem.demand_slice[problem.pair_demand[n]]
                load[problem.pair_block[n], slice_] += problem.pair_load[n] * plan.share[n]
        for z in np.flatnonzero(taken):
            if down[site[z]] or taken[z] < 0:
                wrong.append(f"domain {e}: backup pair {z} is down")
            load[reserve.pair_block[z], problem.demand_slice[reserve.pair_demand[z]]] += reserve.pair_load[z] * taken[z]
        if (load > problem.capacity_factor * plan.replicas[:, None] + 1e-9).any():
            wrong.append(f"domain {e}: a block is full")
        for i in range(problem.demands):
            able = (reserve.pair_demand == i) & ~down[site]
            lost = plan.share[(problem.pair_demand == i) & down[problem.pair_site]].sum() if able.any() else 0.0
            if abs(taken[reserve.pair_demand == i].sum() - lost) > 1e-9:
                wrong.append(f"domain {e}: row {i} loses {lost}")
    return wrong


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_every_domain_may_fail_and_no_plan_is_cheaper_than_what_is_proved(first: int) -> None:
    for seed in range(first, first + 20):
        problem = random_reserve(seed)
        exact = solve_exact(problem, time_limit_s=20)
        found = solve_rollout_scale(one_period(problem), work=2, sweeps=60)
        if found.placements is None:
            assert exact.placement is None, (seed, found.message)
            continue
        plan = found.placements[0]
        assert replayed(problem, plan) == [], seed
        assert violations(problem, plan) == [], seed
        assert found.objective_usd >= exact.bound_usd - 1e-6 * abs(exact.bound_usd), seed
        assert found.bound_usd <= exact.objective_usd + 1e-6 * abs(exact.objective_usd), seed


def test_plans_of_tiny_problems_are_within_a_hundredth_of_the_optimum_on_average() -> None:
    ratios = []
    for seed in range(100, 160):
        problem = random_reserve(seed)
        exact = solve_exact(problem, time_limit_s=20)
        found = solve_rollout_scale(one_period(problem), work=2, sweeps=60)
        if found.placements is not None and exact.placement is not None:
            ratios.append(found.objective_usd / max(exact.objective_usd, 1e-9))
    assert len(ratios) > 40
    assert np.mean(ratios) < 1.01


def twins(**changes: object) -> Problem:
    """Two sites that are alike, each failing by itself; a row for each, half a replica large, its own site cheaper."""
    problem = two_rows(offer_usd=np.full(2, 5.0), pair_load=np.full(4, 0.5), pair_usd=np.array([1.0, 2.0, 2.0, 1.0]))
    reserve = Reserve(np.eye(2, dtype=bool), problem.pair_demand, problem.pair_block, problem.pair_load)
    return replace(problem, rules=Rules(reserve=reserve), **changes)


def test_a_reserve_is_shared_between_domains() -> None:
    """Each site has half a replica idle, which is what the other one loses: nothing has to be bought."""
    problem = twins()
    plan = planned(problem)
    assert plan is not None
    assert plan.servers.tolist() == [1, 1]
    assert plan.unserved.sum() == 0


def test_what_nobody_can_take_over_is_exempt() -> None:
    """Without a backup pair for row 1 one server is enough for both rows at site 1 only if row 0 can go to site 0."""
    problem = twins()
    reserve = problem.rules.reserve
    assert reserve is not None
    nobody = replace(
        reserve, pair_demand=np.zeros(0, np.int64), pair_block=np.zeros(0, np.int64), pair_load=np.zeros(0)
    )
    plan = planned(replace(problem, rules=Rules(reserve=nobody)))
    assert plan is not None
    assert plan.servers.sum() == 1


def test_the_price_of_the_reserve_is_told() -> None:
    """One server serves both rows for 8; with a twin that may take over it is 5 more, less the 1 saved on the way."""
    found = solve_rollout_scale(one_period(twins()), work=2, sweeps=60)
    assert found.objective_usd == pytest.approx(12.0)
    assert found.before_reserve_usd == pytest.approx(8.0)


def test_other_ways_of_failing_over_are_refused_by_name() -> None:
    problem = twins()
    reserve = problem.rules.reserve
    assert reserve is not None
    other = replace(problem, rules=Rules(reserve=replace(reserve, policy="priority")))
    with pytest.raises(ValueError, match="priority"):
        solve_rollout_scale(one_period(other), work=1, sweeps=20)


def test_a_row_that_must_be_served_and_cannot_be_backed_up_leaves_no_plan() -> None:
    problem = twins(unserved_usd=np.full(2, np.inf), offer_max=np.array([1, 0]))
    found = solve_rollout_scale(one_period(problem), work=1, sweeps=20)
    assert found.status is Status.LIMIT
    assert "(13)" in found.message
