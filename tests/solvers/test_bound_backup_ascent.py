"""The whole bound under N-1: sound on every small problem, closer than the bound without, and the same again."""

from dataclasses import replace

import numpy as np
import pytest
from small_reserve import guarded, sites

from solvers.bound import evaluate, lagrangian_bound
from solvers.exact import solve_exact
from solvers.instances.tiny_reserve import random_reserve
from solvers.problem import Problem
from solvers.relax import base_problem
from solvers.rules import NO_RULES
from solvers.solution import Backup, Multipliers


def _bound(problem: Problem, sweeps: int = 300, **given: object) -> float:
    return lagrangian_bound(problem, sweeps=sweeps, threads=1, **given).bound_usd  # type: ignore[arg-type]


def test_two_sites_that_stand_in_for_each_other_are_proved_to_be_both_needed() -> None:
    # 10 + 5 for either site, 2 for the row; without N-1 one of them does.
    problem = sites(2, domains=[[0], [1]])
    assert _bound(problem) == pytest.approx(32, rel=0.01)
    assert _bound(replace(problem, rules=NO_RULES)) == pytest.approx(17, rel=0.01)
    assert _bound(guarded(), 600) == pytest.approx(49, rel=0.01)
    assert _bound(guarded(together=True), 600) == pytest.approx(54, rel=0.01)


@pytest.mark.parametrize(
    ("loads", "unserved_usd"), [([3.5, 0.4], [400.0, 50.0]), ([1.5, 1.2, 1.1], [150.0, 120.0, 115.0])]
)
def test_rows_that_what_survives_cannot_carry_whole_are_left_by_parts(
    loads: list[float], unserved_usd: list[float]
) -> None:
    # Of two sites of three replicas each has to be able to carry alone what is served: a part of some row is left, with
    # the same part of its failures, so that prices have to move between these at an unchanged sum.
    count, rows = 2, len(loads)
    row, block = np.repeat(np.arange(rows), count), np.tile(np.arange(count), rows)
    pairs = {"pair_demand": row, "pair_block": block, "pair_load": np.repeat(loads, count)}
    problem = sites(
        count, domains=[[0], [1]], reserve=pairs, pair_usd=2.0 + block, unserved_usd=np.array(unserved_usd),
        demand_model=np.zeros(rows, np.int64), demand_slice=np.zeros(rows, np.int64), out_mbps=np.zeros(rows),
        in_mbps=np.zeros(rows), **pairs,
    )  # fmt: skip
    best = solve_exact(problem, gap=1e-9).objective_usd
    assert best * (1 - 1e-3) <= lagrangian_bound(problem, sweeps=200).bound_usd <= best + 1e-6


def test_the_bound_holds_for_the_best_plan_and_closes_most_of_what_the_reserve_adds() -> None:
    added = closed = 0.0
    for seed in range(24):
        problem = random_reserve(seed)
        found = solve_exact(problem, gap=1e-9)
        proved = _bound(problem)
        if found.placement is None:
            continue
        assert proved <= found.objective_usd + 1e-6, seed
        alone = _bound(replace(problem, rules=NO_RULES))
        added += found.objective_usd - alone
        closed += max(proved - alone, 0.0)
    assert closed > 0.6 * added > 0


def test_the_certificate_proves_the_bound_and_one_thread_finds_the_bytes_of_two() -> None:
    for seed in (1, 5, 13):
        problem = random_reserve(seed)
        one, two = (lagrangian_bound(problem, sweeps=200, threads=n) for n in (1, 2))
        assert one.bound_usd == two.bound_usd
        assert one.multipliers.backup.usd.tobytes() == two.multipliers.backup.usd.tobytes()
        again = evaluate(problem, one.multipliers, one.certificate.cuts)
        assert again == pytest.approx(one.bound_usd, rel=1e-12, abs=1e-9)
        assert one.multipliers.demand_usd.shape == (problem.demands,)
        assert one.multipliers.uplink_usd.shape == (problem.sites, max(problem.slices, 1))


def test_a_course_cut_off_after_any_turn_is_repeated_by_its_sweeps() -> None:
    problem = random_reserve(5)
    for stop in (5, 24, 60, 150):
        first, again = (lagrangian_bound(problem, sweeps=200, stop=stop) for _ in range(2))
        assert first.sweeps <= stop
        assert first.bound_usd == again.bound_usd
        assert first.bound_usd <= lagrangian_bound(problem, sweeps=200).bound_usd + 1e-9


def test_a_bound_warmed_up_by_its_own_prices_is_no_worse_than_a_little() -> None:
    problem = guarded()
    found = lagrangian_bound(problem, sweeps=300)
    assert _bound(problem, 60, start=found.certificate) >= 0.95 * found.bound_usd
    assert _bound(problem, 60, start=found.multipliers) >= 0.95 * found.bound_usd


def test_what_a_row_pays_in_all_is_what_it_pays_itself_and_with_its_failures() -> None:
    wires, none = np.zeros((2, 1)), np.zeros(0)
    backup = Backup(np.array([0, 1, 1]), np.array([1, 0, 1]), np.array([3.0, 5.0, 0.25]))
    assert Multipliers(np.array([1.0, 2.0]), wires, wires, none, backup=backup).row_usd.tolist() == [6.0, 5.25]
    assert Multipliers(np.array([1.0, 2.0]), wires, wires, none).row_usd.tolist() == [1.0, 2.0]


def test_other_policies_are_bounded_without_their_reserve() -> None:
    for policy in ("proportional", "priority"):
        problem = sites(2, policy=policy, domains=[[0], [1]])  # type: ignore[arg-type]
        assert _bound(problem) == _bound(replace(problem, rules=NO_RULES))


def test_the_base_problem_keeps_its_failures_where_asked() -> None:
    problem = random_reserve(2)
    assert base_problem(problem).rules == NO_RULES
    assert base_problem(problem, counted=True).rules.reserve is problem.rules.reserve
    assert np.array_equal(base_problem(problem, counted=True).pair_usd, problem.pair_usd)
