"""Following slices, jobs, pins, moves and transit at scale: kept, never better than proved, near the optimum."""

from dataclasses import replace

import numpy as np
import pytest
from small import one_of_each

from solvers.check import violations
from solvers.exact import solve_exact
from solvers.instances.tiny_ruled import random_ruled
from solvers.problem import ProblemError
from solvers.relax import base_problem, slice_weights
from solvers.rollout import one_period
from solvers.rules import Jobs, Moves, Pins, Rules, Transit
from solvers.search import refused_at_scale, solve_rollout_scale
from solvers.solution import Placement


@pytest.mark.parametrize("names", ["following", "jobs", "moves", "pins", "transit", "following jobs moves"])
def test_plans_keep_the_rules_and_stand_between_what_is_proved_and_the_optimum(names: str) -> None:
    missed = near = count = 0
    for seed in range(25):
        problem = random_ruled(seed, names.split())
        rollout = one_period(problem)
        if refused_at_scale(rollout):
            continue
        exact = solve_exact(problem, time_limit_s=20)
        found = solve_rollout_scale(rollout, work=2, sweeps=60)
        if exact.placement is None:
            assert found.placements is None, seed
            continue
        count += 1
        assert found.bound_usd <= exact.bound_usd + 1e-6 * max(1, abs(exact.bound_usd)), seed
        if found.placements is None:
            missed += 1
            continue
        assert violations(problem, found.placements[0]) == [], seed
        assert found.objective_usd >= exact.bound_usd - 1e-6 * abs(exact.bound_usd), seed
        near += found.objective_usd <= 1.15 * exact.objective_usd + 1e-6
    assert missed <= 0.2 * count
    assert near >= 0.75 * count


def only(problem_rules: Rules, **changes: object) -> Placement:
    problem = replace(one_of_each(**changes), rules=problem_rules)
    found = solve_rollout_scale(one_period(problem), work=1, sweeps=30)
    assert found.placements is not None, found.message
    return found.placements[0]


def test_a_gang_stands_beside_the_replicas() -> None:
    """One server holds the replica; a gang of one GPU needs a second, and 8 quarters of gang a third."""
    jobs = Jobs(1, np.array([0]), np.array([0]), np.array([0]), np.array([4]), np.array([[True]]), np.array([3.0]))
    assert only(Rules(jobs=jobs)).servers.tolist() == [2]


def test_a_job_that_finds_no_server_takes_the_place_of_replicas() -> None:
    jobs = Jobs(1, np.array([0]), np.array([0]), np.array([0]), np.array([4]), np.array([[True]]), np.array([3.0]))
    plan = only(Rules(jobs=jobs), offer_max=np.array([1]))
    assert plan.servers.tolist() == [1]
    assert plan.unserved.tolist() == [1.0]


def test_pins_add_and_take_away_replicas() -> None:
    pin = (np.array([0]), np.array([0]))
    assert only(Rules(pins=Pins(np.array([2]), np.array([3]), *pin))).replicas.tolist() == [2]
    assert only(Rules(pins=Pins(np.array([0]), np.array([0]), *pin))).replicas.tolist() == [0]


def test_replicas_are_added_only_where_they_are_worth_their_move() -> None:
    """Serving saves 100 - 17 = 83 a month."""
    cheap, dear = (Moves(np.array([0]), np.array([usd])) for usd in (80.0, 90.0))
    assert only(Rules(moves=cheap)).replicas.tolist() == [1]
    assert only(Rules(moves=dear)).replicas.tolist() == [0]
    assert only(Rules(moves=Moves(np.array([0]), np.array([0.0]), most=0.0))).replicas.tolist() == [0]


def test_slices_that_can_be_left_out_count_nothing_in_the_relaxed_transit() -> None:
    """Shares 0.04, 0.32, 0.64; 5 % of the day is free at site 1, so its short slice may be left out."""
    transit = Transit(np.array([1.0, 1.0]), np.array([0.0, 0.05]), np.array([0.04, 0.32, 0.64]))
    assert slice_weights(transit) == pytest.approx(np.array([[0.04, 0.32, 0.64], [0.0, 1 / 3, 2 / 3]]))


def test_a_rule_that_pays_is_not_relaxed() -> None:
    problem = replace(one_of_each(), rules=Rules(moves=Moves(np.array([0]), np.array([-1.0]))))
    with pytest.raises(ProblemError, match="moves"):
        base_problem(problem)


def test_a_problem_without_rules_is_its_own_base() -> None:
    problem = one_of_each()
    assert base_problem(problem) is problem
