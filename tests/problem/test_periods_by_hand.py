"""Periods of a roll-out on the tiny scenario (10-12): demand, stock, money and dates of each, on paper."""

from pathlib import Path

import numpy as np
import pytest
import tiny
from scenes import SLICED, SLICES, built, in_periods, only, row_of, with_keys

from placement.problem import demand_rows
from placement.problem.periods import PeriodError, planned_periods
from placement.scenario import ScenarioError, load
from solvers.problem import CAPACITY_FACTOR

TWO = in_periods("p1", "p2")
PERIODS = {"periods.csv": "period,start_date,months\np1,2026-01-01,6\np2,2026-07-01,12\n"}


def test_without_periods_there_is_one_nameless_problem_without_rules(tmp_path: Path) -> None:
    found = built(tmp_path)
    assert [names.period for names in found.names] == [""]
    assert not only(found).rules.any
    assert only(found).block_slice is None
    assert found.rollout.months.tolist() == [1]
    assert np.isinf(found.rollout.capex_most).all() and np.isinf(found.rollout.installs).all()


def test_periods_come_in_alphabetical_order_with_their_months(tmp_path: Path) -> None:
    found = built(tmp_path, in_periods("p2", "p1"), PERIODS)
    assert [names.period for names in found.names] == ["p1", "p2"]
    assert found.rollout.months.tolist() == [6, 12]


def test_every_period_has_its_own_demand_on_the_same_offers(tmp_path: Path) -> None:
    rows = tiny.FILES["demand.csv"].strip().splitlines()
    demand = f"{rows[0]},period\n{rows[1]},p1\nparis,m8,chat,30,20,p2\nberlin,m8,chat,6,6,p2\n"
    found = built(tmp_path, {"demand.csv": demand}, PERIODS)
    first, second = found.rollout.periods
    assert [row.region for row in found.names[0].demands] == ["paris"]
    assert [row.region for row in found.names[1].demands] == ["berlin", "paris"]
    assert first.pair_load.tolist() == [0.8, 0.8]
    assert second.pair_load.tolist() == [0.6, 3.0, 3.0]  # berlin reaches beta only
    assert first.block_max.tolist() == [1, 1]
    # beta fills ceil(3.6) = 4 replicas in the second period: 2 servers of 2 GPUs, held from the first period on
    assert second.block_max.tolist() == [4, 4]  # alpha ceil(3.000003): shares need a millionth of a replica
    assert found.rollout.periods[0].offer_max.tolist() == found.rollout.periods[1].offer_max.tolist() == [2, 2]


def test_the_demand_rows_of_a_period_are_those_of_its_problem(tmp_path: Path) -> None:
    scenario = load(tiny.write(tmp_path, {**in_periods("p2", "p1"), **PERIODS}))
    assert list(demand_rows(scenario, "p2")["region"]) == ["berlin", "paris"]
    assert set(demand_rows(scenario, "p2")["period"]) == {"p2"}
    assert demand_rows(scenario).empty


def test_demand_that_names_its_period_in_some_rows_only_is_an_error(tmp_path: Path) -> None:
    rows = tiny.FILES["demand.csv"].strip().splitlines()
    text = f"{rows[0]},period\n{rows[1]},p1\n{rows[2]},\n"
    with pytest.raises((PeriodError, ScenarioError)):
        planned_periods(load(tiny.write(tmp_path, {"demand.csv": text})))


def test_a_slice_without_demand_in_a_period_is_an_error(tmp_path: Path) -> None:
    text = SLICED.replace("mean_requests_per_s", "mean_requests_per_s,period").replace("8,4", "8,4,p1")
    text = text.replace("2,1", "2,1,p1").replace("6,6", "6,6,p2").replace("3,3", "3,3,p1")
    scenario = {"demand.csv": text, "slices.csv": SLICES}
    with pytest.raises((PeriodError, ScenarioError), match="night"):
        planned_periods(load(tiny.write(tmp_path, dict(scenario))))


def test_stock_counts_all_that_was_delivered_so_far(tmp_path: Path) -> None:
    deliveries = {"deliveries.csv": "period,delivery_group,server,quantity\n,,s2,1\np1,,s2,2\np2,,s2,4\n"}
    found = built(tmp_path, TWO, deliveries)
    both = {("alpha", "s2", "buy", ""): 1.0, ("beta", "s2", "buy", ""): 1.0}
    assert row_of(found, "stock|s2|", 0) == (both, 3)
    assert row_of(found, "stock|s2|", 1) == (both, 7)


def test_capex_is_limited_by_period_and_so_far(tmp_path: Path) -> None:
    budgets = {"budgets.csv": "period,capex_usd,monthly_usd\np1,9600,\np2,4800,\n"}
    found = built(tmp_path, TWO, budgets)
    both = {("alpha", "s2", "buy", ""): 4800.0, ("beta", "s2", "buy", ""): 4800.0}
    assert row_of(found, "capex|p1", 0) == (both, 9600)
    assert row_of(found, "capex|p2", 1) == (both, 14400)
    assert found.rollout.capex_most.tolist() == [9600, 4800]
    assert found.rollout.capex_usd.tolist() == [4800, 4800]


def test_a_period_without_a_capex_budget_ends_the_row_over_all_so_far(tmp_path: Path) -> None:
    budgets = {"budgets.csv": "period,capex_usd,monthly_usd\np1,,500\np2,4800,\n"}
    found = built(tmp_path, TWO, budgets)
    assert found.names[0].limits == found.names[1].limits == ()
    assert found.rollout.capex_most.tolist() == [np.inf, 4800]


def test_money_that_names_no_period_limits_all_that_is_ever_bought(tmp_path: Path) -> None:
    found = built(tmp_path, TWO, {"budgets.csv": "period,capex_usd,monthly_usd\n,9600,\n"})
    assert row_of(found, "capex|p1", 0)[1] == row_of(found, "capex|p2", 1)[1] == 9600
    assert found.rollout.capex_most.tolist() == [9600, np.inf]


def test_the_smallest_monthly_budget_that_speaks_of_the_period_holds(tmp_path: Path) -> None:
    budgets = {"budgets.csv": "period,capex_usd,monthly_usd\n,,900\np1,,500\np2,,1000\n"}
    found = built(tmp_path, TWO, budgets)
    monthly = [problem.monthly_budget_usd for problem in found.rollout.periods]
    assert monthly == pytest.approx([500 * CAPACITY_FACTOR, 900 * CAPACITY_FACTOR], rel=1e-12)


def test_installs_are_limited_by_period_and_so_far(tmp_path: Path) -> None:
    found = built(tmp_path, TWO, with_keys("[limits]", "installs_per_period = 3"))
    both = {("alpha", "s2", "buy", ""): 1.0, ("beta", "s2", "buy", ""): 1.0}
    assert row_of(found, "installs|p1", 0) == (both, 3)
    assert row_of(found, "installs|p2", 1) == (both, 6)
    assert found.rollout.installs.tolist() == [3, 3]
    assert found.rollout.installed.all()


def test_an_export_rule_holds_from_the_period_that_begins_on_its_date(tmp_path: Path) -> None:
    export = {"export.csv": "gpu,server,country,max_gpus,from_date,reason\ng96,,FR,2,2026-07-01,law\n"}
    found = built(tmp_path, TWO, PERIODS, export)
    assert found.names[0].limits == ()
    assert row_of(found, "export|gpu|g96|FR", 1) == ({("alpha", "s2", "buy", ""): 2.0}, 2)


def test_what_is_bought_stays_and_the_fleet_may_be_off(tmp_path: Path) -> None:
    found = built(tmp_path, TWO, {"fleet.csv": "site,server,count\nbeta,s2,1\n"})
    stays = dict(zip([(o.site, o.way) for o in found.names[0].offers], found.rollout.stays.tolist(), strict=True))
    assert stays == {("alpha", "buy"): True, ("beta", "buy"): True, ("beta", "fleet"): False}


def test_periods_with_the_same_classes_share_what_does_not_depend_on_rates(tmp_path: Path) -> None:
    rows = tiny.FILES["demand.csv"].strip().splitlines()
    twice = "paris,m8,chat,16,8,p2\nberlin,m8,chat,12,12,p2\n"
    found = built(tmp_path, {"demand.csv": f"{rows[0]},period\n{rows[1]},p1\n{rows[2]},p1\n{twice}"})
    first, second = found.rollout.periods
    assert second.pair_demand is first.pair_demand and second.pair_block is first.pair_block
    assert second.pair_load == pytest.approx(2 * first.pair_load)
    assert second.pair_usd == pytest.approx(2 * first.pair_usd)
