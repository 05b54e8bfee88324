"""Roll-outs at scale keep every rule within and between the periods, and cost no less than what is proved."""

from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from small import one_of_each
from thorough import seeds

from solvers.check import violations
from solvers.exact.rollout import solve_rollout_exact
from solvers.instances.synthetic import synthetic
from solvers.instances.tiny_rollout import random_rollout
from solvers.problem import Problem
from solvers.rollout import Rollout, one_period, rollout_violations
from solvers.rules import Spread, Total
from solvers.search import refused_at_scale, solve_rollout_scale, solve_scale
from solvers.search.chain import stage_of


def two_periods(problem: Problem, factor: float = 2.0, **changes: object) -> Rollout:
    """The problem, then the same with `factor` times the demand; what is bought stays and counts as an install."""
    more = replace(problem, pair_load=problem.pair_load * factor, unserved_usd=problem.unserved_usd * factor)
    every = np.ones(problem.offers, np.bool_)
    off = np.full(2, np.inf)
    rollout = Rollout((problem, more), np.array([1.0, 3.0]), every, every, np.ones(problem.offers), off, off)
    return replace(rollout, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("first", seeds(range(0, 45, 15), range(0, 30, 15)))
def test_plans_keep_every_rule_and_stand_between_what_is_proved_and_the_optimum(first: int) -> None:
    for seed in range(first, first + 15):
        rollout = random_rollout(seed)
        exact = solve_rollout_exact(rollout, time_limit_s=20)
        found = solve_rollout_scale(rollout, work=8, sweeps=60)
        assert found.bound_usd <= exact.objective_usd + 1e-6 * abs(exact.objective_usd) or exact.placements is None
        if found.placements is None:
            continue
        for problem, plan in zip(rollout.periods, found.placements, strict=True):
            assert violations(problem, plan) == [], seed
        assert rollout_violations(rollout, found.placements) == [], seed
        assert found.objective_usd >= exact.bound_usd - 1e-6 * abs(exact.bound_usd), seed


def test_most_roll_outs_that_have_a_plan_get_one_within_a_tenth_of_the_optimum() -> None:
    near, count = 0, 0
    for seed in seeds(range(100, 130), range(100, 116)):
        exact = solve_rollout_exact(random_rollout(seed), time_limit_s=20)
        if exact.placements is None:
            continue
        count += 1
        found = solve_rollout_scale(random_rollout(seed), work=8, sweeps=60)
        near += found.placements is not None and found.objective_usd <= 1.1 * exact.objective_usd + 1e-6
    assert near >= 0.75 * count


def test_one_period_without_rules_is_what_the_search_gives() -> None:
    problem = synthetic(30, 20, 3, seed=5, stock=0.6, slices=2)
    alone = solve_scale(problem, work=3, sweeps=80)
    found = solve_rollout_scale(one_period(problem), work=3, sweeps=80)
    assert alone.placement is not None and found.placements is not None
    assert found.placements[0].share.tobytes() == alone.placement.share.tobytes()
    assert found.placements[0].servers.tobytes() == alone.placement.servers.tobytes()
    assert (found.objective_usd, found.bound_usd) == (alone.objective_usd, alone.bound_usd)


def test_the_same_work_gives_the_same_bytes() -> None:
    rollout = two_periods(synthetic(20, 15, 3, seed=2, slices=2))
    one, two = (solve_rollout_scale(rollout, work=8, sweeps=60, seed=3) for _ in range(2))
    assert one.placements is not None and two.placements is not None
    for a, b in zip(one.placements, two.placements, strict=True):
        assert a.share.tobytes() == b.share.tobytes()
        assert a.servers.tobytes() == b.servers.tobytes()


def test_servers_are_bought_in_the_first_period_that_needs_them_and_stay() -> None:
    """Half a replica, then two and a half: one server of 5, then three; opening is 10, serving 2."""
    found = solve_rollout_scale(two_periods(one_of_each(), 5.0), work=2, sweeps=40)
    assert found.placements is not None
    assert [plan.servers.tolist() for plan in found.placements] == [[1], [3]]
    assert found.objective_usd == pytest.approx((1 * (10 + 5 + 2) + 3 * (10 + 15 + 2)) / 4)
    assert found.bound_usd == pytest.approx(found.objective_usd, rel=0.05)


def test_servers_come_early_where_installs_are_few() -> None:
    """Three servers are needed in the second period and two may be set up in it: the backward way buys one more before,
    the forward way leaves a part unserved."""
    rollout = two_periods(one_of_each(), 5.0, installs=np.array([2.0, 1.0]))
    found = solve_rollout_scale(rollout, work=8, sweeps=40)
    assert found.placements is not None
    assert [plan.servers.tolist() for plan in found.placements] == [[2], [3]]


def test_what_is_banned_later_is_not_bought_now() -> None:
    problem = one_of_each()
    rollout = two_periods(problem)
    banned = replace(rollout.periods[1], limit_matrix=sp.csr_matrix([[1.0]]), limit_rhs=np.zeros(1))
    found = solve_rollout_scale(replace(rollout, periods=(problem, banned)), work=2, sweeps=40)
    assert found.placements is not None
    assert [plan.servers.tolist() for plan in found.placements] == [[0], [0]]


def test_what_a_later_budget_cannot_pay_is_not_bought_now() -> None:
    """A site, a server and the row cost 10 + 5 + 2; the second period may spend 12, and what is bought stays."""
    problem = one_of_each()
    rollout = two_periods(problem, 1.0)
    poorer = replace(rollout.periods[1], monthly_budget_usd=12.0)
    found = solve_rollout_scale(replace(rollout, periods=(problem, poorer)), work=2, sweeps=40)
    assert found.placements is not None
    assert [plan.servers.tolist() for plan in found.placements] == [[0], [0]]
    assert stage_of(rollout, 0).problem is problem
    before = np.zeros(1, np.int64)
    assert stage_of(replace(rollout, periods=(problem, poorer)), 0, before).problem.monthly_budget_usd == 12.0
    assert stage_of(replace(rollout, periods=(problem, poorer)), 0, before, before).problem.monthly_budget_usd == np.inf


def test_a_start_that_is_near_enough_is_the_answer() -> None:
    rollout = two_periods(synthetic(20, 15, 3, seed=2))
    first = solve_rollout_scale(rollout, work=4, sweeps=60)
    assert first.placements is not None
    again = solve_rollout_scale(rollout, gap=0.5, work=4, sweeps=60, start=first.placements)
    assert again.placements is first.placements
    assert again.work == 0


def test_a_start_is_never_made_worse() -> None:
    rollout = two_periods(synthetic(20, 15, 3, seed=2))
    first = solve_rollout_scale(rollout, work=8, sweeps=60)
    again = solve_rollout_scale(rollout, work=1, sweeps=60, start=first.placements)
    assert again.objective_usd <= first.objective_usd


def test_rules_that_the_search_cannot_keep_are_refused_by_name() -> None:
    problem = one_of_each()
    spread = Spread(np.array([0.5]), np.array([1]))
    ruled = replace(
        problem, rules=replace(problem.rules, spread=spread, totals=(Total("carbon", offer=np.ones(1), most=1.0),))
    )
    assert refused_at_scale(one_period(ruled)) == ("carbon", "min_share, max_sites")
    with pytest.raises(ValueError, match="carbon, min_share, max_sites"):
        solve_rollout_scale(one_period(ruled))
