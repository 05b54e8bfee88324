"""Carbon (16), what must be served and slivers (1), and goals: the tiny scenario on paper.

Alpha's energy has 100 g a kWh, beta's 300; making a server takes 960 kg over 48 months, 0.02 t a month. Idle, a server
takes 0.2 x 1.5 x 730 = 219 kWh; paris keeps GPUs busy for 175.2 kWh a month, berlin for 262.8.
"""

from pathlib import Path

import numpy as np
import pytest
from scenes import (
    RENT_COLUMN,
    SERVER_USD,
    SLICED,
    SLICES,
    Changes,
    built,
    in_periods,
    old_plan,
    only,
    pair,
    with_column,
    with_keys,
)

from placement.problem.carbon import CarbonError
from placement.problem.moves import Previous
from placement.scenario import ScenarioError
from solvers.problem import CAPACITY_FACTOR
from solvers.rules import Total

GRAMS = with_column("sites.csv", "gco2_per_kwh", (100, 300))
MAKING = with_column("servers.csv", "embodied_kgco2e", (960,))
ALPHA_T, BETA_T = 0.02 + 219 * 100 / 1e6, 0.02 + 219 * 300 / 1e6
PARIS_KWH, BERLIN_KWH = 175.2, 262.8
PARIS_REQUESTS, BERLIN_REQUESTS = 4 * 3600 * 730, 6 * 3600 * 730


def total(totals: tuple[Total, ...], name: str) -> Total:
    (found,) = [one for one in totals if one.name == name]
    return found


def test_a_carbon_limit_counts_energy_and_making(tmp_path: Path) -> None:
    fleet: Changes = {"fleet.csv": "site,server,count\nbeta,s2,1\n"}
    found = built(tmp_path, GRAMS, MAKING, fleet, with_keys("[limits]", "max_tco2e_month = 0.5"))
    carbon = total(only(found).rules.totals, "carbon")
    assert carbon.most == pytest.approx(0.5, rel=2e-6) and carbon.most < 0.5
    assert carbon.offer is not None and carbon.pair is not None
    assert carbon.offer == pytest.approx([ALPHA_T, BETA_T - 0.02, BETA_T])  # bought, fleet, bought
    assert carbon.pair[pair(found, "paris", "alpha")] == pytest.approx(PARIS_KWH * 100 / 1e6)
    assert carbon.pair[pair(found, "berlin", "beta")] == pytest.approx(BERLIN_KWH * 300 / 1e6)
    assert only(found).offer_usd == pytest.approx([SERVER_USD, SERVER_USD - 110, SERVER_USD])  # a limit is no price


def test_a_carbon_price_is_part_of_every_cost_and_no_row(tmp_path: Path) -> None:
    plain = built(tmp_path / "plain")
    found = built(tmp_path / "priced", GRAMS, MAKING, with_keys("[objective]", "usd_per_tco2e = 100"))
    assert only(found).rules.totals == ()
    assert only(found).offer_usd == pytest.approx([SERVER_USD + 100 * ALPHA_T, SERVER_USD + 100 * BETA_T])
    paris = pair(found, "paris", "beta")
    assert only(found).pair_usd[paris] == pytest.approx(only(plain).pair_usd[paris] + 100 * PARIS_KWH * 300 / 1e6)


def test_carbon_follows_the_energy_table_by_slice(tmp_path: Path) -> None:
    energy: Changes = {"energy.csv": "site,country,slice,gco2_per_kwh\n,DE,night,100\n"}
    day: Changes = {"slices.csv": SLICES, "demand.csv": SLICED}
    found = built(tmp_path, GRAMS, MAKING, energy, day, with_keys("[limits]", "max_tco2e_month = 0.5"))
    carbon = total(only(found).rules.totals, "carbon")
    assert carbon.offer is not None and carbon.pair is not None
    assert carbon.offer == pytest.approx([ALPHA_T, 0.02 + 219 * (0.75 * 300 + 0.25 * 100) / 1e6])
    at_night = 1 / 10 * 0.4 * 1.5 * 730 * 0.25
    assert carbon.pair[pair(found, "paris", "beta", "night")] == pytest.approx(at_night * 100 / 1e6)


def test_a_job_has_its_carbon_and_its_price(tmp_path: Path) -> None:
    jobs: Changes = {"jobs.csv": "job,kind,model,gpu,gpus,hours,preemptible\nt1,finetune,m8,g96,2,100,yes\n"}
    keys = with_keys("[limits]", "max_tco2e_month = 0.5", "[objective]", "usd_per_tco2e = 100")
    found = built(tmp_path, GRAMS, MAKING, jobs, keys)
    rules = only(found).rules
    carbon = total(rules.totals, "carbon")
    assert carbon.job == pytest.approx([120 * 100 / 1e6, 120 * 300 / 1e6])
    assert rules.jobs is not None and rules.jobs.option_usd == pytest.approx([12 + 1.2, 12 + 3.6])


def test_an_absent_figure_of_carbon_is_an_error_that_names_it(tmp_path: Path) -> None:
    keys = with_keys("[limits]", "max_tco2e_month = 0.5")
    with pytest.raises((CarbonError, ScenarioError), match="beta"):
        built(tmp_path / "site", with_column("sites.csv", "gco2_per_kwh", (100, "")), MAKING, keys)
    with pytest.raises((CarbonError, ScenarioError), match="s2"):
        built(tmp_path / "server", GRAMS, keys)


def test_the_default_penalty_counts_priced_carbon(tmp_path: Path) -> None:
    services: Changes = {
        "services.csv": "service,profile,latency_budget_ms,kbyte_in,kbyte_out\nchat,chat,200,5,10\n",
    }
    found = built(tmp_path, GRAMS, MAKING, services, with_keys("[objective]", "usd_per_tco2e = 100"))
    beta = 17.52 + 5.256 + 100 * PARIS_KWH * 300 / 1e6 + 0.8 * (SERVER_USD + 100 * BETA_T) / 2
    assert only(found).unserved_usd[1] == pytest.approx(3 * beta)


def test_rent_has_carbon_of_making_too(tmp_path: Path) -> None:
    servers = with_column("servers.csv", "embodied_kgco2e", (960,), RENT_COLUMN["servers.csv"])
    found = built(tmp_path, GRAMS, servers, with_keys("[limits]", "max_tco2e_month = 0.5"))
    carbon = total(only(found).rules.totals, "carbon")
    assert carbon.offer == pytest.approx([ALPHA_T, ALPHA_T, BETA_T, BETA_T])


def test_what_must_be_served_is_a_row_over_requests_in_every_period(tmp_path: Path) -> None:
    found = built(tmp_path, in_periods("p1", "p2"), with_keys("[limits]", "min_served_share = 0.9"))
    for problem in found.rollout.periods:
        served = total(problem.rules.totals, "served")
        assert served.unserved == pytest.approx([0.6, 0.4])  # berlin 6, paris 4 requests/s
        assert served.most == pytest.approx(0.1 * CAPACITY_FACTOR)


def test_slivers_are_held_by_service(tmp_path: Path) -> None:
    text = with_column("services.csv", "min_share", (0.25,))["services.csv"]
    rule = only(built(tmp_path / "both", with_column("services.csv", "max_sites", (1,), text))).rules.spread
    assert rule is not None
    assert rule.least_share == pytest.approx([0.25, 0.25])
    assert rule.most_sites.tolist() == [1, 1]
    one = only(built(tmp_path / "one", with_column("services.csv", "max_sites", (2,)))).rules.spread
    assert one is not None and one.least_share.tolist() == [0, 0]


def test_cost_alone_is_the_goal_by_default(tmp_path: Path) -> None:
    found = built(tmp_path)
    assert [(goal.name, goal.unit, goal.totals, goal.gap) for goal in found.goals] == [
        ("cost", "USD/month", None, 1e-4)
    ]


def test_goals_come_in_their_order_with_cost_at_the_end(tmp_path: Path) -> None:
    keys = with_keys("[objective]", 'goals = ["served", "latency"]', "goal_gaps = [0.0, 0.05]")
    found = built(tmp_path, keys)
    assert [(goal.name, goal.unit, goal.gap) for goal in found.goals] == [
        ("served", "request/month", 0.0),
        ("latency", "request-ms/month", 0.05),
        ("cost", "USD/month", 1e-4),
    ]
    served, latency, _ = found.goals
    assert served.totals is not None and latency.totals is not None
    assert served.totals[0].unserved == pytest.approx([BERLIN_REQUESTS, PARIS_REQUESTS])
    waits = latency.totals[0].pair
    assert waits is not None
    assert waits[pair(found, "paris", "alpha")] == pytest.approx(PARIS_REQUESTS * 60)  # 10 + 50 ms
    assert waits[pair(found, "berlin", "beta")] == pytest.approx(BERLIN_REQUESTS * 58)


def test_carbon_can_be_a_goal_without_price_or_limit(tmp_path: Path) -> None:
    found = built(tmp_path, GRAMS, MAKING, with_keys("[objective]", 'goals = ["carbon", "cost"]'))
    carbon, cost = found.goals
    assert carbon.unit == "tCO2e/month" and cost.totals is None
    assert carbon.totals is not None and carbon.totals[0].offer == pytest.approx([ALPHA_T, BETA_T])
    assert np.isinf(carbon.totals[0].most)
    assert only(found).rules.totals == ()


def test_moves_as_a_goal_count_in_the_first_period_only(tmp_path: Path) -> None:
    old_plan(tmp_path / "old")
    keys = with_keys("[stability]", 'previous_plan = "old"', "[objective]", 'goals = ["moves"]')
    found = built(tmp_path, in_periods("p1", "p2"), keys, previous=Previous({}))
    moves = found.goals[0]
    assert moves.unit == "replica" and moves.totals is not None
    assert moves.totals[0].added is not None and moves.totals[0].added.tolist() == [1, 1]
    assert moves.totals[1].added is None
    rule = found.rollout.periods[0].rules.moves
    assert rule is not None and rule.usd.tolist() == [0, 0] and np.isinf(rule.most)
