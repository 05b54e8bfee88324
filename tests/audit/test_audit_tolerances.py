"""Every tolerance of the auditor at its edge: what is just within it passes, what is just beyond it is named."""

from fractions import Fraction

import numpy as np
import pytest
from audit_world import certificate, edited, pairs, plan, scenario, write

from placement.audit import audit, site_value, verify_bound
from placement.audit.case import open_case
from placement.audit.figures import check_bound, check_figures, gap
from placement.audit.month import Month
from placement.audit.plan_files import PlanFiles
from placement.audit.plan_rows import RouteRow
from placement.audit.quotes import UNLIMITED
from placement.audit.report import Findings
from placement.audit.site_value import EPS, Group, Held, Offer, best_servers, packed, profit_usd, slice_values
from placement.audit.sites import settled_usd

HAIR = Fraction(1, 10**15)
BOUND, COST, CONSTANT = Fraction(600), Fraction(1000), Fraction(200)
SERVED = (RouteRow(("north", "m", "chat", "day"), "alba", "one", 10**9),)  # 20 + 80/100 + 30 ms
LATENCY_MS = Fraction("50.8")


def rules(plan, bound=BOUND):
    findings = Findings()
    check_bound(plan, bound, CONSTANT, findings)
    return [violation.rule for violation in findings.violations]


def figures(plan, served=SERVED, tables=None):
    findings = Findings()
    case = open_case(scenario(tables), pairs())
    check_figures([Month(case, (), (), served, {}, (), ())], plan, findings)
    return [violation.rule for violation in findings.violations]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_verified_bound_may_be_a_cent_off(sign):
    within = BOUND + sign * Fraction(1, 100)
    assert rules(PlanFiles(bound_verified_usd_month=within)) == []
    assert rules(PlanFiles(bound_verified_usd_month=within + sign * HAIR)) == ["bound"]


def test_what_is_proved_may_be_a_cent_above_the_rounded_cost_of_a_plan():
    assert rules(PlanFiles(objective_usd_month=COST), COST + Fraction(1, 100)) == []
    assert rules(PlanFiles(objective_usd_month=COST), COST + Fraction(1, 100) + HAIR) == ["bound"]


def test_what_is_claimed_may_be_a_cent_and_a_millionth_above_the_cost():
    most = COST + Fraction(1, 100) + COST / 10**6
    assert rules(PlanFiles(objective_usd_month=COST, bound_claimed_usd_month=most)) == []
    assert rules(PlanFiles(objective_usd_month=COST, bound_claimed_usd_month=most + HAIR)) == ["bound"]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_gap_may_be_a_millionth_off(sign):
    within = Fraction(1, 2) + sign * Fraction(1, 10**6)
    assert rules(PlanFiles(objective_usd_month=COST, gap=within)) == []
    assert rules(PlanFiles(objective_usd_month=COST, gap=within + sign * HAIR)) == ["gap"]
    assert rules(PlanFiles(objective_usd_month=COST, gap=within), None) == ["gap"]


def test_the_gap_is_zero_within_half_a_cent():
    assert gap(COST, COST - Fraction(1, 200), CONSTANT) == 0
    assert gap(COST, COST - Fraction(1, 200) - HAIR, CONSTANT) > 0


@pytest.mark.parametrize("sign", [1, -1])
def test_a_served_share_may_be_a_billionth_off(sign):
    within = 1 + sign * Fraction(1, 10**9)
    assert figures(PlanFiles(served_share=within)) == []
    assert figures(PlanFiles(served_share=within + sign * HAIR)) == ["served share"]


@pytest.mark.parametrize("sign", [1, -1])
def test_a_percentile_may_be_a_millionth_of_a_ms_off(sign):
    within = LATENCY_MS + sign * Fraction(1, 10**6)
    assert figures(PlanFiles(latency_ms={"p95_ms": within})) == []
    assert figures(PlanFiles(latency_ms={"p95_ms": within + sign * HAIR})) == ["latency percentiles"]


def test_a_block_is_rounded_up_by_what_its_sums_may_lose():
    """(4n + 64) units in the last place of the profits together: here 4 + 4."""
    found = slice_values(np.array([[4.0, 4.0]]), np.array([[1.0, 1.0]]), 9)
    slack = (4 * 2 + 64) * EPS * 8
    assert found.tolist() == [[0, 4 + slack, 8 + slack]]


def test_a_row_earns_its_income_less_its_cost_and_what_both_may_have_lost():
    """16 units in the last place of 4 + 3, of 1 + 2 and of 0 + 0; exact in floats."""
    found = profit_usd(np.array([4.0, -1.0, 0.0]), np.array([3.0, 2.0, 0.0]))
    assert found.tolist() == [1 + 16 * EPS * 7, -3 + 16 * EPS * 3, 0]


def test_a_site_is_left_with_what_it_earns_less_what_it_pays_and_what_all_of_it_may_have_lost():
    def left(earned: float, paid: float, credit: float) -> float:
        return float(settled_usd([Held(np.zeros(1), np.array([earned]))], paid, credit, UNLIMITED)[0])

    assert left(8.0, 4.0, 2.0) == 6 + 17 * EPS * 14
    assert left(2.0, 4.0, 1.0) == 0
    assert left(4.0, 4.0, 0.0) == 17 * EPS * 8
    with np.errstate(invalid="ignore"):
        assert np.isnan(left(0.0, np.inf, np.inf))


def test_a_bound_is_rounded_down_by_what_its_terms_may_have_lost():
    """A server of stock at 2^40 USD: 64 units in the last place of 2^40 are 2^-6."""
    priced = certificate(limit_usd=np.array([0, 0, 0, 0, 2.0**40, 0]))
    found = verify_bound(priced, scenario(), pairs()).bound_usd_month
    exactly = Fraction("4525.9494375") - 2**40 - Fraction(1, 64)
    assert Fraction(found) <= exactly < Fraction(float(np.nextafter(found, 0)))


@pytest.mark.parametrize(("usd", "named"), [(10**15, False), (10**15 + 1, True), (1e15, False), (2e15, True)])
@pytest.mark.parametrize("sign", [1, -1])
def test_a_sum_of_money_has_at_most_fifteen_digits(tmp_path, usd, named, sign):
    report = audit(write(tmp_path / "plan", plan() | {"objective_usd_month": sign * usd}), scenario(), pairs())
    assert ("format" in {violation.rule for violation in report.violations}) is named


def test_a_packing_is_rounded_up_by_what_its_additions_may_lose(monkeypatch):
    groups = [Group(1, np.array([0, 2.0])), Group(1, np.array([0, 4.0]))]
    rounded_up = [0, 4 * (1 + 6 * EPS), 6 * (1 + 6 * EPS)]
    assert packed(groups, 2).tolist() == rounded_up
    monkeypatch.setattr(site_value, "MOST_STEPS", 0)
    assert packed(groups, 2).tolist() == rounded_up


def test_servers_are_rounded_towards_cheap():
    assert best_servers([Offer(4, 1, 1, 4.0, 1)], np.array([0, 0, 0, 0, 4.0]), 1, 1) == 4 * 64 * EPS


@pytest.mark.parametrize(("power_kw", "rack_units", "earned"), [
    (1.0000000005, 1, 5), (1.0000000015, 1, 0), (1, 1.0000000005, 5), (1, 1.0000000015, 0),
    (1 + 1e-9, 1, 5), (1, 1 + 1e-9, 5),
])  # fmt: skip
def test_a_server_that_only_rounding_keeps_out_is_counted_in(power_kw, rack_units, earned):
    value = np.array([0, 0, 0, 0, 5.0])
    assert best_servers([Offer(4, power_kw, rack_units, 0.0, 1)], value, 1, 1) == pytest.approx(earned)


def test_where_nobody_asks_for_anything_everything_is_served():
    nobody = edited("demand", "north,m,chat,day,10,5,", "north,m,chat,day,0,0,")
    text = nobody["demand"].splitlines()
    tables = {"demand": "\n".join(text[:3])} | {"slices": "slice,start_utc,hours_per_day\nday,06:00,24"}
    assert figures(PlanFiles(served_share=Fraction(1)), (), tables) == []
    assert figures(PlanFiles(served_share=Fraction(0)), (), tables) == ["served share"]


def test_a_latency_that_nobody_is_served_with_is_named():
    stated, unstated = PlanFiles(latency_ms={"p50_ms": LATENCY_MS}), PlanFiles(latency_ms={"p50_ms": None})
    assert figures(stated, ()) == ["latency percentiles"]
    assert figures(unstated, ()) == []
    assert figures(unstated) == ["latency percentiles"]


def test_routes_that_carry_nothing_have_no_latency_and_change_none():
    idle = RouteRow(("north", "m", "chat", "day"), "brest", "one", 0)
    assert figures(PlanFiles(latency_ms={"p50_ms": None}), (idle,)) == []
    assert figures(PlanFiles(latency_ms={"p50_ms": LATENCY_MS}), (idle, *SERVED)) == []
