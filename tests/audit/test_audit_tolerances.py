"""Every tolerance of the auditor at its edge: what is just within it passes, what is just beyond it is named."""

from fractions import Fraction

import numpy as np
import pytest
from audit_world import pairs, scenario

from placement.audit import site_value
from placement.audit.case import open_case
from placement.audit.figures import check_bound, check_figures, gap
from placement.audit.plan_files import PlanFiles
from placement.audit.report import Findings
from placement.audit.route_table import RouteRow
from placement.audit.site_value import EPS, Group, Offer, best_servers, block_value, packed

HAIR = Fraction(1, 10**15)
BOUND, COST, CONSTANT = Fraction(600), Fraction(1000), Fraction(200)
SERVED = ((RouteRow(("north", "m", "chat", "day"), "alba", "one", 10**9), Fraction(40)),)


def rules(plan, bound=BOUND):
    findings = Findings()
    check_bound(plan, bound, CONSTANT, findings)
    return [violation.rule for violation in findings.violations]


def figures(plan):
    findings = Findings()
    check_figures(open_case(scenario(), pairs()), plan, SERVED, findings)
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
    within = 40 + sign * Fraction(1, 10**6)
    assert figures(PlanFiles(latency_ms={"p95_ms": within})) == []
    assert figures(PlanFiles(latency_ms={"p95_ms": within + sign * HAIR})) == ["latency percentiles"]


def test_a_block_is_rounded_up_by_what_its_sums_may_lose():
    """(4n + 64) units in the last place of the figures that the profits are differences of."""
    profit, load, magnitude = np.array([3.0, 2.0]), np.array([1.0, 1.0]), np.array([1e12, 1e12])
    found = block_value(profit, load, np.zeros(2, np.int64), magnitude, 9)
    slack = (4 * 2 + 64) * EPS * 2e12
    assert found == pytest.approx([0, 3 + slack, 5 + slack, 5 + slack], rel=1e-12)


def test_a_packing_is_rounded_up_by_what_its_additions_may_lose(monkeypatch):
    groups = [Group(1, np.array([0, 2.0])), Group(1, np.array([0, 4.0]))]
    rounded_up = [0, 4 * (1 + 6 * EPS), 6 * (1 + 6 * EPS)]
    assert packed(groups, 2).tolist() == rounded_up
    monkeypatch.setattr(site_value, "MOST_STEPS", 0)
    assert packed(groups, 2).tolist() == rounded_up


def test_servers_are_rounded_towards_cheap():
    assert best_servers([Offer(4, 1, 1, 4.0, 1)], np.array([0, 0, 0, 0, 64.0]), 1, 1) == 64 - 4 * (1 - 64 * EPS)


@pytest.mark.parametrize(("power_kw", "rack_units", "earned"), [
    (1.0000000005, 1, 5), (1.0000000015, 1, 0), (1, 1.0000000005, 5), (1, 1.0000000015, 0),
])  # fmt: skip
def test_a_server_that_only_rounding_keeps_out_is_counted_in(power_kw, rack_units, earned):
    value = np.array([0, 0, 0, 0, 5.0])
    assert best_servers([Offer(4, power_kw, rack_units, 0.0, 1)], value, 1, 1) == pytest.approx(earned)
