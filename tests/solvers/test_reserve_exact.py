"""N-1 (13) in the exact solver: against enumeration, by hand, and as problems become looser."""

from dataclasses import replace

import numpy as np
import pytest
from rules_enumeration import reserve_optimum_usd
from small_reserve import guarded, sites

from solvers.check import violations
from solvers.exact import solve_exact
from solvers.exact.reserve import planned_instead
from solvers.instances.tiny_reserve import random_reserve
from solvers.problem import Problem
from solvers.rules import NO_RULES, Policy
from solvers.solution import Placement, Status

POLICIES: tuple[Policy, ...] = ("planned", "proportional", "priority")


def _backup(placement: Placement | None) -> np.ndarray:
    assert placement is not None
    assert placement.backup is not None
    return np.asarray(placement.backup.toarray())


@pytest.mark.parametrize("first", range(0, 90, 30))
def test_planned_reserve_costs_the_least_over_every_whole_number_plan(first: int) -> None:
    for seed in range(first, first + 30):
        problem = random_reserve(seed)
        least = reserve_optimum_usd(problem)
        found = solve_exact(problem, gap=1e-9)
        if np.isinf(least):
            assert found.status == Status.INFEASIBLE, seed
            continue
        assert found.placement is not None, (seed, found.message)
        assert found.objective_usd == pytest.approx(least, rel=1e-6, abs=1e-6), seed
        assert found.bound_usd <= least + 1e-6, seed
        assert violations(problem, found.placement) == [], seed


def test_priority_costs_the_least_over_every_order_of_preference_where_domains_lie_apart() -> None:
    for seed in range(16):
        problem = random_reserve(seed, policy="priority", disjoint=True)
        least = reserve_optimum_usd(problem)
        found = solve_exact(problem, gap=1e-9)
        assert (found.status == Status.INFEASIBLE) == bool(np.isinf(least)), seed
        if found.placement is not None:
            assert found.objective_usd == pytest.approx(least, rel=1e-6, abs=1e-6), seed
            assert violations(problem, found.placement) == [], seed


def test_the_random_problems_need_a_reserve_often_and_have_rows_that_nobody_can_back_up() -> None:
    problems = [random_reserve(seed) for seed in range(90)]
    dearer = 0
    for problem in problems[:40]:
        alone = solve_exact(replace(problem, rules=NO_RULES), gap=1e-9)
        dearer += alone.placement is not None and bool(violations(problem, alone.placement))
    assert dearer >= 8
    shared = [p for p in problems if (r := p.rules.reserve) and (r.domain_site.sum(axis=0) > 1).any()]
    exempt = [p for p in problems if (r := p.rules.reserve)
              and r.exempt(p.demands, p.block_site[r.pair_block])[r.domain_site.any(axis=1)].any()]  # fmt: skip
    assert len(shared) >= 8
    assert len(exempt) >= 8


@pytest.mark.parametrize("policy", ["proportional", "priority"])
def test_a_plan_under_another_policy_keeps_it_and_its_bound_holds_for_every_plan(policy: Policy) -> None:
    for seed in range(40):
        problem = random_reserve(seed, policy=policy)
        planned = planned_instead(replace(problem)) or replace(
            problem, rules=replace(problem.rules, reserve=replace(problem.rules.reserve, policy="planned"))
        )
        found, least = solve_exact(problem, gap=1e-9), solve_exact(planned, gap=1e-9)
        if found.placement is None:
            assert found.status in (Status.INFEASIBLE, Status.LIMIT), (seed, found.message)
            assert least.status == Status.INFEASIBLE or found.status == Status.LIMIT, seed
            continue
        assert violations(problem, found.placement) == [], seed
        assert found.objective_usd >= least.objective_usd - 1e-6, seed
        if planned_instead(problem) is not None:
            assert found.bound_usd <= least.objective_usd + 1e-6, seed


def test_the_dearer_site_serves_where_the_cheaper_one_would_need_a_second_site_behind_it() -> None:
    # Alone: site 0 for 10 + 5 + 2 = 17. Site 0 with site 1 behind it: 32. Site 1, which never fails: 18.
    problem = sites(2, domains=[[0]])
    assert solve_exact(replace(problem, rules=NO_RULES)).objective_usd == pytest.approx(17)
    found = solve_exact(problem)
    assert found.objective_usd == pytest.approx(18)
    assert found.placement is not None
    assert found.placement.servers.tolist() == [0, 1]


def test_two_domains_share_one_spare_replica_and_one_domain_of_both_sites_needs_two() -> None:
    # Two homes for 17 each, and site 2 with one server for 15, or with two for 20.
    apart = solve_exact(guarded())
    assert apart.objective_usd == pytest.approx(2 * 17 + 15)
    assert apart.placement is not None
    assert apart.placement.servers.tolist() == [1, 1, 1]
    assert _backup(apart.placement).tolist() == [[1.0, 0.0], [0.0, 1.0]]
    together = solve_exact(guarded(together=True))
    assert together.objective_usd == pytest.approx(2 * 17 + 20)
    assert together.placement is not None
    assert together.placement.servers.tolist() == [1, 1, 2]


def test_planned_failover_splits_a_loss_that_priority_has_to_send_to_one_place() -> None:
    # Two replicas at site 0, one each at sites 1 and 2: split, 10 + 10 + 2 and 15 + 15 = 52. To one place at most a
    # half can go, so a half is served: 15 + 1, 15, and 50 for the rest.
    at_home = {
        "pair_demand": np.array([0]), "pair_block": np.array([0]), "pair_load": np.array([2.0]),
        "pair_usd": np.array([2.0]), "offer_max": np.array([2, 1, 1]), "reserve": {"pair_load": np.full(3, 2.0)},
    }  # fmt: skip
    planned = solve_exact(sites(3, domains=[[0]], **at_home))
    assert planned.objective_usd == pytest.approx(52)
    assert _backup(planned.placement) == pytest.approx(np.array([[0, 0.5, 0.5]]))
    priority = solve_exact(sites(3, policy="priority", domains=[[0]], **at_home))
    assert priority.status == Status.OPTIMAL
    assert priority.objective_usd == pytest.approx(81)
    assert sorted(_backup(priority.placement)[0]) == pytest.approx([0, 0, 0.5])


def test_the_second_choice_takes_over_only_where_the_first_has_failed() -> None:
    # The row must be served, by sites 0 and 1 (half each, for their servers are too small). Sites 2 and 3 serve
    # nobody. Site 2 fails together with site 1. So site 2 may come first and 3 second, or 3 stands for both.
    halves = {
        "pair_demand": np.array([0, 0]), "pair_block": np.array([0, 1]), "pair_load": np.full(2, 2.0),
        "pair_usd": np.full(2, 2.0), "offer_max": np.array([1, 1, 1, 1]),
        "unserved_usd": np.array([np.inf]),
        "reserve": {"pair_demand": np.zeros(2, np.int64), "pair_block": np.array([2, 3]), "pair_load": np.full(2, 2.0)},
    }  # fmt: skip
    found = solve_exact(sites(4, policy="priority", domains=[[0], [1, 2]], **halves))
    # Site 3 alone is enough for either loss: 3 · 15 + 2.
    assert found.objective_usd == pytest.approx(47)
    assert _backup(found.placement).tolist() == [[0, 0.5], [0, 0.5]]
    # Site 3 fails with site 0 instead: no site outlives both, 2 comes for one loss and 3 for the other.
    both = solve_exact(sites(4, policy="priority", domains=[[0, 3], [1, 2]], **halves))
    assert both.objective_usd == pytest.approx(62)
    assert _backup(both.placement).tolist() == [[0.5, 0], [0, 0.5]]


def test_proportional_failover_loads_the_survivors_by_their_own_shares() -> None:
    # One replica carries the row. Sites 0 and 1 fail, each alone, so both must stand and both serve: 30, and the row
    # costs 2 at site 0. A level lets nine tenths fail, so 0.9·2 + 0.1·3 = 2.1; planned failover would serve all at
    # site 0 for 2.
    problem = sites(2, policy="proportional", domains=[[0], [1]],
                    pair_load=np.ones(2), reserve={"pair_load": np.ones(2)})  # fmt: skip
    found = solve_exact(problem)
    assert found.objective_usd == pytest.approx(32.1)
    assert found.bound_usd == pytest.approx(32.0)
    assert found.status == Status.FEASIBLE
    assert found.placement is not None
    assert found.placement.share == pytest.approx(np.array([0.9, 0.1]))
    assert _backup(found.placement) == pytest.approx(np.array([[0.0, 0.9], [0.1, 0.0]]))


def test_proportional_failover_splits_a_loss_in_the_ratio_of_what_survives() -> None:
    # One server each: sites 0, 1 and 2 could carry 0.4, 0.6 and 0.2 of the row, and what 0 loses the others must carry
    # beside their own, 0.8 in all. Site 0 is cheapest, so it serves 0.4; the others take over in the ratio 3 : 1 of
    # their servers. Level 1/2 fits exactly: each survivor keeps room for as much again.
    problem = sites(
        3, policy="proportional", domains=[[0]], pair_load=np.array([2.5, 1 / 0.6, 5.0]),
        pair_usd=np.array([0.0, 1.0, 1.0]), offer_max=np.ones(3, np.int64), open_usd=np.zeros(3),
        offer_usd=np.zeros(3), reserve={"pair_load": np.array([2.5, 1 / 0.6, 5.0])},
    )  # fmt: skip
    found = solve_exact(problem)
    assert found.placement is not None
    share, backup = found.placement.share, _backup(found.placement)[0]
    assert share.sum() == pytest.approx(0.8)
    assert share == pytest.approx(np.array([0.4, 0.3, 0.1]))
    assert backup == pytest.approx(np.array([0.0, 0.3, 0.1]))


def test_a_row_that_nobody_outside_could_take_over_is_served_without_reserve() -> None:
    nobody = {"pair_demand": np.array([0]), "pair_block": np.array([0]), "pair_load": np.array([0.5])}
    for policy in POLICIES:
        found = solve_exact(sites(2, policy=policy, domains=[[0]], reserve=nobody))
        assert found.objective_usd == pytest.approx(17)
        assert _backup(found.placement).tolist() == [[0.0]]


def test_backup_counts_in_the_uplink_of_the_survivor() -> None:
    # Site 1 has room for three quarters of the 8 Mbit/s: alone it serves 0.75 and leaves 25; as reserve it lets site 0
    # serve three quarters. Only sites 0 and 1 together give nothing more: what survives of either is 6 Mbit/s.
    problem = sites(2, domains=[[0]], out_mbps=np.array([8.0]), uplink_mbps=np.array([np.inf, 6.0]))
    found = solve_exact(problem)
    assert found.objective_usd == pytest.approx(15 + 0.75 * 3 + 25)
    unlimited = solve_exact(replace(problem, uplink_mbps=np.full(2, np.inf)))
    assert unlimited.objective_usd == pytest.approx(18)


def _without_a_domain(problem: Problem) -> Problem:
    reserve = problem.rules.reserve
    assert reserve is not None
    return replace(problem, rules=replace(problem.rules, reserve=replace(reserve, domain_site=reserve.domain_site[1:])))


def test_reserve_never_makes_a_plan_cheaper_and_fewer_domains_or_more_stock_never_dearer() -> None:
    for seed in range(100, 130):
        problem = random_reserve(seed)
        usd = _usd(problem)
        assert _usd(replace(problem, rules=NO_RULES)) <= usd + 1e-6, seed
        assert _usd(_without_a_domain(problem)) <= usd + 1e-6, seed
        assert _usd(replace(problem, limit_rhs=problem.limit_rhs + 2)) <= usd + 1e-6, seed


def _usd(problem: Problem) -> float:
    found = solve_exact(problem, gap=1e-9)
    assert found.status in (Status.OPTIMAL, Status.INFEASIBLE)
    return np.inf if found.placement is None else found.objective_usd


def test_a_problem_whose_rows_are_served_whole_gets_its_reserve_too() -> None:
    problem = replace(guarded(), single_source=True)
    found = solve_exact(problem)
    assert found.objective_usd == pytest.approx(49)
    assert found.placement is not None
    assert violations(problem, found.placement) == []


def test_scip_and_highs_agree_on_every_policy() -> None:
    for policy in POLICIES:
        for seed in range(200, 210):
            problem = random_reserve(seed, policy=policy)
            highs, scip = (solve_exact(problem, backend=name, gap=1e-9) for name in ("highs", "scip"))
            assert highs.status == scip.status, (policy, seed)
            if highs.placement is not None:
                assert highs.objective_usd == pytest.approx(scip.objective_usd, rel=1e-6, abs=1e-6), (policy, seed)


@pytest.mark.parametrize("policy", POLICIES)
def test_a_plan_is_a_start_for_its_own_problem(policy: Policy) -> None:
    for seed in range(20):
        problem = random_reserve(seed, policy=policy)
        found = solve_exact(problem, gap=1e-9)
        if found.placement is not None:
            again = solve_exact(problem, gap=1e-9, start=found.placement)
            assert again.objective_usd == pytest.approx(found.objective_usd, rel=1e-6, abs=1e-6), seed
