"""The safety net of N-1: a plan that keeps the rule passes, and each way of breaking it is caught."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from small_reserve import guarded, sites

from solvers.check import violations
from solvers.check.reserve import reserve_violations
from solvers.exact import solve_exact
from solvers.problem import Problem
from solvers.rules import NO_RULES, Policy
from solvers.solution import Placement


def _plan(problem: Problem, share: list[float], backup: list[list[float]], servers: list[int]) -> Placement:
    """A plan of one replica a server, sites open where they hold one."""
    count = np.array(servers, np.int64)
    served = np.bincount(problem.pair_demand, share, problem.demands)
    return Placement(count > 0, count, count, np.array(share), 1.0 - served, backup=sp.csr_matrix(np.array(backup)))


def _broken(problem: Problem, share: list[float], backup: list[list[float]], servers: list[int]) -> str:
    return "; ".join(violations(problem, _plan(problem, share, backup, servers)))


GOOD = ([1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]], [1, 1, 1])


def test_a_shared_spare_replica_keeps_the_rule() -> None:
    assert _broken(guarded(), *GOOD) == ""


@pytest.mark.parametrize(
    ("share", "backup", "servers", "said"),
    [
        ([1.0, 1.0], [[0.9, 0.0], [0.0, 1.0]], [1, 1, 1], "domain 0: less backup than loss"),
        ([1.0, 0.5], [[1.0, 0.0], [0.0, 0.6]], [1, 1, 1], "domain 1: more backup than loss"),
        ([1.0, 1.0], [[1.0, 0.1], [0.0, 1.0]], [1, 1, 2], "domain 0: more backup than loss"),
        ([1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]], [1, 1, 0], "domain 0: backup at a closed site"),
        ([1.0, 1.0], [[1.0, 0.0], [0.0, 1.0]], [1, 1, 0], "linking (5) of backup"),
        ([1.0, 1.0], [[1.5, -0.5], [0.0, 1.0]], [1, 1, 2], "backup share below 0"),
    ],
)
def test_a_broken_reserve_is_named_with_its_domain(
    share: list[float], backup: list[list[float]], servers: list[int], said: str
) -> None:
    assert said in _broken(guarded(), share, backup, servers)


def test_reserve_for_both_sites_at_once_needs_room_for_both() -> None:
    problem = guarded(together=True)
    backup = [[1.0, 1.0]]
    assert _broken(problem, [1.0, 1.0], backup, [1, 1, 2]) == ""
    assert "domain 0: replica capacity (4) in slice 0" in _broken(problem, [1.0, 1.0], backup, [1, 1, 1])


def test_what_survives_counts_beside_the_backup() -> None:
    problem = sites(2, domains=[[0]], pair_load=np.ones(2), reserve={"pair_load": np.ones(2)})
    assert _broken(problem, [0.5, 0.5], [[0.0, 0.5]], [1, 1]) == ""
    heavy = replace(problem, capacity_factor=0.9)
    assert "replica capacity" in _broken(heavy, [0.5, 0.5], [[0.0, 0.5]], [1, 1])


@pytest.mark.parametrize("way", ["uplink", "downlink"])
def test_a_survivor_does_not_send_or_receive_more_than_its_link(way: str) -> None:
    flow = {"uplink": "out_mbps", "downlink": "in_mbps"}[way]
    problem = sites(2, domains=[[0]], **{flow: np.array([8.0]), f"{way}_mbps": np.array([np.inf, 6.0])})
    assert _broken(problem, [0.75, 0.0], [[0.0, 0.75]], [1, 1]) == ""
    assert f"{way} (9) in slice 0" in _broken(problem, [0.8, 0.0], [[0.0, 0.8]], [1, 1])


def test_backup_where_the_domain_has_failed_does_not_count() -> None:
    assert "at a site that has failed" in _broken(sites(2, domains=[[0]]), [1.0, 0.0], [[1.0, 0.0]], [1, 1])


def test_an_exempt_row_has_no_backup_and_needs_none() -> None:
    nobody = {"pair_demand": np.array([0]), "pair_block": np.array([0]), "pair_load": np.array([0.5])}
    problem = sites(2, domains=[[0]], reserve=nobody)
    assert _broken(problem, [1.0, 0.0], [[0.0]], [1, 0]) == ""


def test_a_plan_without_backup_shares_loses_what_fails() -> None:
    problem = guarded()
    plan = replace(_plan(problem, *GOOD), backup=None)
    assert any("less backup than loss" in line for line in reserve_violations(problem, plan))


def test_backup_shares_of_a_wrong_shape_or_value_are_refused() -> None:
    problem = guarded()
    plan = _plan(problem, *GOOD)
    assert "shape" in reserve_violations(problem, replace(plan, backup=sp.csr_matrix((1, 2))))[0]
    nan = sp.csr_matrix(np.array([[np.nan, 0.0], [0.0, 1.0]]))
    assert "not finite" in reserve_violations(problem, replace(plan, backup=nan))[0]


def test_backup_shares_that_no_rule_asks_for_are_named() -> None:
    problem = guarded()
    plan = _plan(problem, *GOOD)
    assert "without a rule" in reserve_violations(replace(problem, rules=NO_RULES), plan)[0]


def test_proportional_backup_follows_the_shares_that_survive() -> None:
    problem = sites(3, policy="proportional", domains=[[0]])
    assert _broken(problem, [0.2, 0.6, 0.2], [[0.0, 0.15, 0.05]], [1, 1, 1]) == ""
    assert "not in proportion" in _broken(problem, [0.2, 0.6, 0.2], [[0.0, 0.1, 0.1]], [1, 1, 1])


def test_a_survivor_that_may_not_back_up_breaks_proportional_failover() -> None:
    only_1 = {"pair_demand": np.array([0]), "pair_block": np.array([1]), "pair_load": np.array([0.5])}
    problem = sites(3, policy="proportional", domains=[[0]], reserve=only_1)
    assert _broken(problem, [0.2, 0.8, 0.0], [[0.2]], [1, 1, 0]) == ""
    assert "may not back up" in _broken(problem, [0.2, 0.6, 0.2], [[0.2]], [1, 1, 1])


def test_priority_sends_a_loss_to_one_place() -> None:
    problem = sites(3, policy="priority", domains=[[0]])
    assert _broken(problem, [1.0, 0.0, 0.0], [[0.0, 0.0, 1.0]], [1, 1, 1]) == ""
    assert "several pairs" in _broken(problem, [1.0, 0.0, 0.0], [[0.0, 0.5, 0.5]], [1, 1, 1])


def test_priority_has_one_order_over_all_domains() -> None:
    problem = sites(4, policy="priority", domains=[[0], [1]])
    shares = [0.5, 0.5, 0.0, 0.0]
    assert _broken(problem, shares, [[0, 0, 0.5, 0], [0, 0, 0.5, 0]], [1, 1, 1, 1]) == ""
    # Site 1 first, and site 2 where site 1 fails.
    assert _broken(problem, shares, [[0, 0.5, 0, 0], [0, 0, 0.5, 0]], [1, 1, 1, 1]) == ""
    # Sites 2 and 3 stand both times: one of them would have to be preferred each time.
    assert "no one order" in _broken(problem, shares, [[0, 0, 0.5, 0], [0, 0, 0, 0.5]], [1, 1, 1, 1])


def test_preferences_that_run_in_a_circle_are_no_order() -> None:
    # Each domain takes one site away, so no two failures contradict each other; but 1 comes before 2, 2 before 0 …
    problem = sites(3, policy="priority", domains=[[0], [1], [2]], pair_usd=np.full(3, 2.0))
    third = 1 / 3
    circle = [[0, third, 0], [0, 0, third], [third, 0, 0]]
    assert "no one order" in _broken(problem, [third] * 3, circle, [1, 1, 1])
    assert _broken(problem, [third] * 3, [[0, third, 0], [third, 0, 0], [third, 0, 0]], [1, 1, 1]) == ""


@pytest.mark.parametrize("policy", ["planned", "proportional", "priority"])
def test_a_plan_of_the_solver_fails_once_any_of_its_backup_is_taken_away(policy: Policy) -> None:
    problem = sites(3, policy=policy, domains=[[0], [1], [2]], pair_load=np.ones(3), reserve={"pair_load": np.ones(3)})
    plan = solve_exact(problem).placement
    assert plan is not None
    assert plan.backup is not None
    assert violations(problem, plan) == []
    assert plan.backup.nnz > 0
    for entry in range(plan.backup.nnz):
        less = plan.backup.copy()
        less.data[entry] *= 0.9
        assert violations(problem, replace(plan, backup=less)) != []
