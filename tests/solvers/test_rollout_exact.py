"""Roll-outs (10-12) in the exact solver: against enumeration, by hand, and as limits become looser."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from rules_enumeration import rollout_optimum_usd
from small import one_of_each
from small_reserve import guarded, sites
from small_rollout import BOUGHT, BOUGHT_OR_RENTED, ROLLOUT_SMALLEST, buy_or_rent, loads, periods
from thorough import seeds

from solvers.exact import solve_exact
from solvers.exact.lp_text import lp_text
from solvers.exact.rollout import rollout_breaks, solve_rollout_exact
from solvers.exact.stack import build_stack
from solvers.instances.tiny_rollout import random_rollout
from solvers.instances.tiny_ruled import random_ruled
from solvers.rollout import Rollout, RolloutSolution, one_period
from solvers.solution import Status

GOLDEN = Path(__file__).parent / "golden_rollout"


@pytest.mark.parametrize("family", sorted(ROLLOUT_SMALLEST))
def test_the_smallest_roll_out_of_a_family_reads_as_its_golden_file(family: str) -> None:
    text = lp_text(build_stack(ROLLOUT_SMALLEST[family]))
    assert f"_{family}_h1" in text
    assert text == (GOLDEN / f"{family}.lp").read_text(encoding="utf-8")


@pytest.mark.parametrize("first", seeds(range(0, 60, 20), range(0, 40, 20)))
def test_a_roll_out_costs_the_least_over_every_chain_of_whole_number_plans(first: int) -> None:
    for seed in range(first, first + 20):
        rollout = random_rollout(seed)
        least = rollout_optimum_usd(rollout)
        found = solve_rollout_exact(rollout, gap=1e-9)
        if np.isinf(least):
            assert found.status == Status.INFEASIBLE, seed
            continue
        assert found.placements is not None, (seed, found.message)
        assert found.objective_usd == pytest.approx(least, rel=1e-6, abs=1e-6), seed
        assert found.bound_usd <= least + 1e-6, seed
        assert rollout_breaks(rollout, found.placements) == [], seed


def test_three_periods_match_the_enumeration_too() -> None:
    for seed in (3, 5, 8, 12):
        rollout = random_rollout(seed, periods=3)
        least = rollout_optimum_usd(rollout)
        found = solve_rollout_exact(rollout, gap=1e-9)
        assert (found.status == Status.INFEASIBLE) == bool(np.isinf(least)), seed
        if found.placements is not None:
            assert found.objective_usd == pytest.approx(least, rel=1e-6, abs=1e-6), seed


def test_ties_change_the_cost_of_many_random_roll_outs() -> None:
    dearer = 0
    for seed in range(40):
        rollout = random_rollout(seed)
        loose = _untied(rollout)
        dearer += _usd(rollout) > _usd(loose) + 1e-6
    assert dearer >= 12


def _untied(rollout: Rollout) -> Rollout:
    off = np.full(len(rollout.periods), np.inf)
    return replace(rollout, stays=np.zeros_like(rollout.stays), installs=off, capex_most=off)


def _usd(rollout: Rollout) -> float:
    found = solve_rollout_exact(rollout, gap=1e-9)
    assert found.status in (Status.OPTIMAL, Status.INFEASIBLE)
    return np.inf if found.placements is None else found.objective_usd


def _servers(found: RolloutSolution) -> list[list[int]]:
    assert found.placements is not None
    return [plan.servers.tolist() for plan in found.placements]


def test_a_bought_server_stays_where_demand_shrinks_and_a_rented_one_goes_back() -> None:
    # Demand for two servers, then for one. 10 to open, 5 a server, 2 to serve: 22 and 17, or 22 twice.
    shrinking = loads(2.0, 1.0)
    given_back = solve_rollout_exact(periods(*shrinking))
    assert given_back.objective_usd == pytest.approx((22 + 17) / 2)
    assert _servers(given_back) == [[2], [1]]
    kept = solve_rollout_exact(periods(*shrinking, stays=BOUGHT))
    assert kept.objective_usd == pytest.approx(22)
    assert _servers(kept) == [[2], [2]]


def test_rent_is_cheaper_for_a_short_peak_and_buying_for_a_long_one() -> None:
    # A second server is needed in the first period only. Bought it costs 5 in every month, rented 8 in one.
    short = solve_rollout_exact(periods(*buy_or_rent(2.0, 1.0), stays=BOUGHT_OR_RENTED))
    assert _servers(short) == [[1, 1], [1, 0]]
    assert short.objective_usd == pytest.approx((10 + 5 + 8 + 2 + 10 + 5 + 2) / 2)
    # The first period lasts five months: 8·5 of rent against 5·6.
    long = solve_rollout_exact(periods(*buy_or_rent(2.0, 1.0), stays=BOUGHT_OR_RENTED, months=np.array([5.0, 1.0])))
    assert _servers(long) == [[2, 0], [2, 0]]
    assert long.objective_usd == pytest.approx(22)


def test_periods_that_nothing_ties_cost_the_mean_of_what_each_costs_alone_with_any_rule() -> None:
    for seed in range(12):
        first = random_ruled(seed, ("following", "jobs", "moves", "pins", "transit", "spread", "totals")[seed % 7 :])
        both = replace(periods(first, replace(first, unserved_usd=first.unserved_usd * 0.3)),
                       months=np.array([1.0, 3.0]))  # fmt: skip
        alone = [solve_exact(problem, gap=1e-9) for problem in both.periods]
        found = solve_rollout_exact(both, gap=1e-9)
        assert (found.status == Status.INFEASIBLE) == any(one.status == Status.INFEASIBLE for one in alone), seed
        if found.placements is not None:
            mean = 0.25 * alone[0].objective_usd + 0.75 * alone[1].objective_usd
            assert found.objective_usd == pytest.approx(mean, rel=1e-6, abs=1e-6), seed


def test_months_weigh_the_periods() -> None:
    found = solve_rollout_exact(periods(*loads(2.0, 1.0), months=np.array([1.0, 3.0])))
    assert found.objective_usd == pytest.approx((22 + 3 * 17) / 4)


def test_a_server_is_bought_early_where_installs_are_few() -> None:
    # Three servers in the second period, two installs in each: one comes a period before it is needed.
    growing = loads(1.0, 3.0)
    free = solve_rollout_exact(periods(*growing, stays=BOUGHT))
    assert _servers(free) == [[1], [3]]
    few = solve_rollout_exact(periods(*growing, stays=BOUGHT, installs=np.array([2.0, 1.0])))
    assert _servers(few) == [[2], [3]]
    assert few.objective_usd == pytest.approx((22 + 27) / 2)


def test_a_server_stands_before_any_demand_where_that_is_the_only_way() -> None:
    none = one_of_each(pair_demand=np.empty(0, np.int64), pair_block=np.empty(0, np.int64),
                       pair_load=np.empty(0), pair_usd=np.empty(0))  # fmt: skip
    first = replace(none, unserved_usd=np.array([0.0]))
    found = solve_rollout_exact(periods(first, *loads(1.0), stays=BOUGHT, installs=np.array([1.0, 0.0])))
    assert _servers(found) == [[1], [1]]
    assert found.objective_usd == pytest.approx((15 + 17) / 2)


def test_a_rented_server_that_comes_back_is_installed_anew() -> None:
    # Needed, not needed, needed: given back it is an install again, and none is allowed in the third period.
    three = periods(*loads(1.0, 0.0, 1.0, unserved_usd=np.array([100.0])))
    none = replace(three, periods=(three.periods[0], replace(three.periods[1], unserved_usd=np.array([0.0])),
                                   three.periods[2]))  # fmt: skip
    assert _servers(solve_rollout_exact(none)) == [[1], [0], [1]]
    last = replace(none, installs=np.array([np.inf, np.inf, 0.0]))
    assert _servers(solve_rollout_exact(last)) == [[1], [1], [1]]


def test_capex_of_a_period_limits_what_is_newly_bought_in_it() -> None:
    # 100 each, 150 a period: one server a period, and the first period leaves half of its row unserved.
    found = solve_rollout_exact(periods(*loads(2.0, 2.0), stays=BOUGHT, capex_most=np.array([150.0, 150.0])))
    assert _servers(found) == [[1], [2]]
    assert found.objective_usd == pytest.approx((10 + 5 + 1 + 50 + 22) / 2)


def test_a_single_period_is_solved_as_any_problem_is() -> None:
    for problem in (one_of_each(), guarded(), sites(2, domains=[[0]])):
        alone, rolled = solve_exact(problem), solve_rollout_exact(one_period(problem))
        assert rolled.status == alone.status
        assert rolled.objective_usd == alone.objective_usd
        assert rolled.bound_usd == alone.bound_usd


def test_installs_bind_a_single_period_too() -> None:
    found = solve_rollout_exact(replace(one_period(loads(2.0)[0]), installed=BOUGHT, installs=np.array([1.0])))
    assert _servers(found) == [[1]]
    assert found.objective_usd == pytest.approx(10 + 5 + 1 + 50)


def test_periods_that_contradict_each_other_are_infeasible() -> None:
    # The first period needs two servers, the second has room for one, and what is bought stays.
    must = loads(2.0, 1.0, unserved_usd=np.array([np.inf]))
    small = replace(must[1], site_limit=np.array([[1.0]]))
    found = solve_rollout_exact(periods(must[0], small, stays=BOUGHT))
    assert found.status == Status.INFEASIBLE
    assert found.placements is None
    assert solve_rollout_exact(periods(must[0], small)).status == Status.OPTIMAL


def test_reserve_stands_in_every_period() -> None:
    found = solve_rollout_exact(periods(guarded(), guarded(together=True), stays=np.ones(3, np.bool_)))
    assert _servers(found) == [[1, 1, 1], [1, 1, 2]]
    assert found.objective_usd == pytest.approx((49 + 54) / 2)


def test_a_sufficient_policy_gets_the_bound_of_planned_failover_over_all_periods() -> None:
    problem = sites(2, policy="proportional", domains=[[0], [1]], pair_load=np.ones(2),
                    reserve={"pair_load": np.ones(2)})  # fmt: skip
    found = solve_rollout_exact(periods(problem, problem))
    assert found.status == Status.FEASIBLE
    assert found.objective_usd == pytest.approx(32.1)
    assert found.bound_usd == pytest.approx(32.0)


def test_more_installs_more_capex_and_earlier_capex_never_cost_more() -> None:
    for seed in seeds(range(100, 125), range(100, 112)):
        rollout = random_rollout(seed)
        usd = _usd(rollout)
        assert _usd(replace(rollout, installs=rollout.installs + 1)) <= usd + 1e-6, seed
        assert _usd(replace(rollout, capex_most=rollout.capex_most + 3)) <= usd + 1e-6, seed
        stock = tuple(replace(problem, limit_rhs=problem.limit_rhs + 1) for problem in rollout.periods)
        assert _usd(replace(rollout, periods=stock)) <= usd + 1e-6, seed


def test_capex_in_the_first_period_costs_no_more_than_the_same_in_the_second_where_all_stays() -> None:
    # What is bought early may stand idle, so where it costs nothing to hold, earlier capex can do all that later can.
    for seed in seeds(range(125, 150), range(125, 137)):
        base = random_rollout(seed)
        free = tuple(replace(problem, offer_usd=np.zeros(problem.offers), open_usd=np.zeros(problem.sites),
                             monthly_budget_usd=np.inf, limit_rhs=base.periods[0].limit_rhs)
                     for problem in base.periods)  # fmt: skip
        off = np.full(2, np.inf)
        rollout = replace(base, periods=free, stays=np.ones_like(base.stays), installs=off)
        late = _usd(replace(rollout, capex_most=np.array([2.0, 4.0])))
        early = _usd(replace(rollout, capex_most=np.array([6.0, 0.0])))
        assert early <= late + 1e-6, seed


def test_a_plan_is_a_start_for_its_own_roll_out_and_a_broken_one_is_refused() -> None:
    rollout = periods(*loads(2.0, 1.0), stays=BOUGHT)
    found = solve_rollout_exact(rollout)
    assert found.placements is not None
    again = solve_rollout_exact(rollout, start=found.placements)
    assert again.objective_usd == pytest.approx(found.objective_usd)
    given_back = solve_rollout_exact(replace(rollout, stays=~BOUGHT)).placements
    with pytest.raises(ValueError, match="start breaks a rule"):
        solve_rollout_exact(rollout, start=given_back)


def test_no_time_still_ends_with_an_honest_status() -> None:
    rollout = random_rollout(3)
    found = solve_rollout_exact(rollout, time_limit_s=0.01)
    assert found.status in (Status.OPTIMAL, Status.FEASIBLE, Status.LIMIT)
    assert found.bound_usd <= rollout_optimum_usd(rollout) + 1e-6


def test_a_backend_that_cannot_split_rows_is_refused_for_roll_outs() -> None:
    with pytest.raises(ValueError, match="cp-sat"):
        solve_rollout_exact(periods(*loads(1.0, 1.0)), backend="cp-sat")


def test_scip_agrees_with_highs() -> None:
    for seed in range(200, 215):
        rollout = random_rollout(seed)
        highs, scip = (solve_rollout_exact(rollout, backend=name, gap=1e-9) for name in ("highs", "scip"))
        assert highs.status == scip.status, seed
        if highs.placements is not None:
            assert highs.objective_usd == pytest.approx(scip.objective_usd, rel=1e-6, abs=1e-6), seed


if __name__ == "__main__":
    for name, rollout in ROLLOUT_SMALLEST.items():
        (GOLDEN / f"{name}.lp").write_text(lp_text(build_stack(rollout)), encoding="utf-8")
