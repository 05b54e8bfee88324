"""Lexicographic goals: against enumeration in two steps, by hand, and what the solution says of each goal."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from goals_enumeration import least_total, least_usd
from small import one_of_each
from small_reserve import sites
from small_rollout import BOUGHT, loads, periods

from solvers.exact.lp_text import lp_text
from solvers.exact.rollout import rollout_breaks, solve_rollout_exact
from solvers.exact.stack import Ceiling, build_stack
from solvers.goals import Goal, solve_goals
from solvers.instances.tiny_rollout import random_rollout
from solvers.problem import Problem
from solvers.rollout import Rollout, one_period, rollout_cost_usd
from solvers.rules import Moves, Rules, Total, Transit
from solvers.solution import Status

GOLDEN = Path(__file__).parent / "golden_rollout"

COST = Goal("cost", None)


def _served(rollout: Rollout, gap: float = 0.0) -> Goal:
    return Goal("served", tuple(Total("served", unserved=np.ones(p.demands)) for p in rollout.periods), gap)


def _goal_row() -> Rollout:
    return periods(*loads(1.0, 1.0), months=np.array([1.0, 3.0]))


def _row_text() -> str:
    """All of the row that a goal becomes; the other rows are those of any roll-out."""
    rollout = _goal_row()
    ceiling = Ceiling("served", _served(rollout).totals, 0.125)
    return lp_text(build_stack(rollout, ceilings=(ceiling,)))


def test_the_row_of_a_reached_goal_reads_as_its_golden_file() -> None:
    text = _row_text()
    assert " c16_goal_served: + 0.25 h0_unserved_0 + 0.75 h1_unserved_0 <= 0.125" in text
    assert text == (GOLDEN / "goal.lp").read_text(encoding="utf-8")


def _random_goal(rollout: Rollout, seed: int) -> tuple[Total, ...]:
    """A total of every period over servers, pairs and what is left."""
    draw = np.random.default_rng([seed, 3])
    offers, left = draw.uniform(0, 2, rollout.stays.shape), draw.uniform(2, 9)
    return tuple(
        Total("any", offer=offers, pair=draw.uniform(0, 3, p.pairs).round(2), unserved=np.full(p.demands, left))
        for p in rollout.periods
    )


@pytest.mark.parametrize("gap", [0.0, 0.1])
def test_the_cost_beside_a_goal_is_the_least_over_every_plan_that_keeps_it(gap: float) -> None:
    solved = 0
    for seed in range(20):
        rollout = random_rollout(seed)
        if len(rollout.stays) > 3:
            continue
        totals = _random_goal(rollout, seed)
        value = least_total(rollout, totals)
        found = solve_goals(rollout, [Goal("any", totals, gap), COST], gap=1e-9)
        if np.isinf(value):
            assert found.status == Status.INFEASIBLE, seed
            continue
        assert found.placements is not None, (seed, found.message)
        assert found.goals[0].bound == pytest.approx(value, rel=1e-6, abs=1e-6), seed
        assert found.goals[0].value <= value * (1 + gap) + 1e-6, seed
        usd = least_usd(rollout, totals, value * (1 + gap) + 1e-7)
        assert found.objective_usd == pytest.approx(usd, rel=1e-4, abs=1e-4), seed
        assert rollout_breaks(rollout, found.placements) == [], seed
        solved += 1
    assert solved >= 10


def test_most_served_first_pays_for_what_cost_alone_would_leave() -> None:
    rollout = one_period(one_of_each(pair_load=np.array([2.0]), unserved_usd=np.array([40.0]), offer_max=np.array([3]),
                                     offer_usd=np.array([25.0])))  # fmt: skip
    # One server: 10 + 25 + 1 + 20 = 56; two: 10 + 50 + 2 = 62; none: 40.
    assert solve_goals(rollout, [COST]).objective_usd == pytest.approx(40)
    found = solve_goals(rollout, [_served(rollout), COST])
    assert found.status == Status.OPTIMAL
    assert found.objective_usd == pytest.approx(62)
    assert [(goal.name, goal.value) for goal in found.goals] == [("served", 0.0), ("cost", pytest.approx(62))]
    assert found.bound_usd == pytest.approx(62)


def test_the_order_of_goals_decides() -> None:
    rollout = one_period(one_of_each(offer_usd=np.array([95.0])))  # 107 to serve, 100 to leave
    assert solve_goals(rollout, [_served(rollout), COST]).objective_usd == pytest.approx(107)
    first = solve_goals(rollout, [COST, _served(rollout)])
    assert first.objective_usd == pytest.approx(100)
    assert first.bound_usd == pytest.approx(100)
    assert first.goals[1].value == pytest.approx(1)


def test_a_gap_lets_later_goals_give_up_a_part_of_an_earlier_one() -> None:
    # Latency 20 at site 0, 30 at site 1; costs 17 and 18 there, or the other way round.
    problem = replace(sites(2, domains=[]), rules=Rules(), pair_usd=np.array([3.0, 2.0]))
    rollout = one_period(problem)
    latency = (Total("latency", pair=np.array([20.0, 30.0])),)
    must = replace(rollout, periods=(replace(problem, unserved_usd=np.array([np.inf])),))
    tight = solve_goals(must, [Goal("latency", latency, 0.0), COST])
    assert (tight.goals[0].value, tight.objective_usd) == (pytest.approx(20), pytest.approx(18))
    loose = solve_goals(must, [Goal("latency", latency, 0.5), COST])
    assert (loose.goals[0].value, loose.objective_usd) == (pytest.approx(30), pytest.approx(17))
    # A quarter of 20 is half the way to 30, but a second site costs 15, so nothing moves.
    assert solve_goals(must, [Goal("latency", latency, 0.25), COST]).objective_usd == pytest.approx(18)


def test_a_goal_is_a_mean_over_periods_by_their_months() -> None:
    # Room for one server, demand for one and for two: the second period leaves a half. 3 of 4 months: 0.375.
    problems = tuple(replace(p, offer_max=np.array([1])) for p in loads(1.0, 2.0))
    rollout = periods(*problems, months=np.array([1.0, 3.0]), stays=BOUGHT)
    found = solve_goals(rollout, [_served(rollout), COST])
    assert found.goals[0].value == pytest.approx(0.375)
    assert found.goals[0].bound == pytest.approx(0.375)
    assert found.goals[1].value == pytest.approx(rollout_cost_usd(rollout, found.placements or ()))


def test_moves_and_peaks_can_be_goals() -> None:
    moved = one_of_each(rules=Rules(moves=Moves(np.array([0]), np.zeros(1))))
    added = (Total("moves", added=np.ones(1)),)
    still = solve_goals(one_period(moved), [Goal("moves", added), COST])
    assert still.goals[0].value == 0
    assert still.objective_usd == pytest.approx(100)
    sending = one_of_each(out_mbps=np.array([8.0]), rules=Rules(transit=Transit(np.zeros(1), np.zeros(1), np.ones(1))))
    peak = (Total("peak", peak=np.ones(1)),)
    quiet = solve_goals(one_period(sending), [Goal("peak", peak), COST])
    assert quiet.goals[0].value == pytest.approx(0)
    assert quiet.objective_usd == pytest.approx(100)
    loud = solve_goals(one_period(sending), [_served(one_period(sending)), Goal("peak", peak), COST])
    assert [goal.value for goal in loud.goals] == [0, pytest.approx(8), pytest.approx(17)]


def test_a_goal_counts_rows_that_nobody_can_serve_without_hurting_its_gap() -> None:
    problem = one_of_each(
        demand_model=np.array([0, 0]), demand_slice=np.array([0, 0]), unserved_usd=np.array([100.0, 7.0]),
        out_mbps=np.zeros(2), in_mbps=np.zeros(2),
    )  # fmt: skip
    rollout = one_period(problem)
    found = solve_goals(rollout, [_served(rollout), COST])
    assert found.status == Status.OPTIMAL
    assert [goal.value for goal in found.goals] == [pytest.approx(1), pytest.approx(24)]


def test_goals_that_contradict_the_hard_rows_are_infeasible_and_named() -> None:
    must = one_of_each(unserved_usd=np.array([np.inf]), offer_max=np.array([0]))
    rollout = one_period(must)
    found = solve_goals(rollout, [_served(rollout), COST])
    assert found.status == Status.INFEASIBLE
    assert "served" in found.message


def test_goals_go_on_from_a_start_and_share_the_time() -> None:
    rollout = random_rollout(7)
    start = solve_rollout_exact(rollout).placements
    assert start is not None
    found = solve_goals(rollout, [_served(rollout), COST], start=start, time_limit_s=20)
    free = solve_goals(rollout, [_served(rollout), COST])
    assert found.status == Status.OPTIMAL
    assert found.objective_usd == pytest.approx(free.objective_usd)


def test_reserve_and_goals_hold_at_once() -> None:
    problem: Problem = sites(2, domains=[[0]])
    rollout = one_period(problem)
    near = (Total("latency", pair=np.array([1.0, 2.0]), unserved=np.array([9.0])),)
    found = solve_goals(rollout, [Goal("latency", near, 0.0), COST])
    # Nearest is site 0, and site 1 stands behind it.
    assert found.objective_usd == pytest.approx(32)
    assert found.placements is not None
    assert rollout_breaks(rollout, found.placements) == []


def test_no_goal_and_a_goal_without_every_period_are_refused() -> None:
    rollout = _goal_row()
    with pytest.raises(ValueError, match="no goals"):
        solve_goals(rollout, [])
    with pytest.raises(ValueError, match="1 totals for 2 periods"):
        solve_goals(rollout, [Goal("served", (Total("served"),)), COST])


if __name__ == "__main__":
    (GOLDEN / "goal.lp").write_text(_row_text(), encoding="utf-8")
