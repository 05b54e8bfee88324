"""Net present value and payback of the whole world's plan, worked out by hand, and what the auditor says of others."""

from fractions import Fraction
from typing import Any

import pytest
from audit_whole_plan import plan
from audit_whole_tables import TABLES
from audit_world_whole import scenario, whole_pairs, written

from placement.audit import audit
from placement.audit.economics import worth

EARNING = {
    "services": TABLES["services"]
    .replace("max_sites", "max_sites,revenue_usd_per_1000")
    .replace("0.4,2", "0.4,2,1")
    .replace("yes,,,", "yes,,,,")
}
# Chat earns 1 USD a thousand. A month without capital: oslo 649.69640625, later 687.42484375; turku, which rents first,
# 1874.2585, later 413.444. 48 months: 6 of the first, 42 of the second period. At no interest oslo is worth
# 6·(13008.6 - 649.69640625) + 42·(24703.2 - 687.42484375) - 48000, turku 6·2418.1415 + 42·8171.356 - 48000.
STATED: dict[str, Any] = {
    "horizon_months": 48,
    "monthly_rate": 0.0,
    "revenue_usd_month": 33288.0,
    "npv_usd": 1344521.78,
    "payback_months": 4.0,  # three months of 14777.05 do not pay for oslo's server
    "sites": [
        {
            "site": "oslo",
            "revenue_usd_month": 24703.2,
            "cost_usd_month": 687.42,
            "capex_usd": 48000.0,
            "npv_usd": 1034815.98,
            "payback_months": 4.0,
        },
        {
            "site": "turku",
            "revenue_usd_month": 8584.8,
            "cost_usd_month": 413.44,
            "capex_usd": 48000.0,
            "npv_usd": 309705.8,
            "payback_months": 1.0,  # its server is bought half a year later
        },
    ],
}


def violations(tmp_path, stated, tables=EARNING):
    document = plan() | {"economics": stated}
    report = audit(written(tmp_path, document), scenario(tmp_path, tables), whole_pairs())
    return [(violation.rule, violation.subject) for violation in report.violations]


def test_what_a_rollout_is_worth_is_what_was_worked_out_by_hand(tmp_path):
    assert violations(tmp_path, STATED) == []


@pytest.mark.parametrize(
    ("changes", "subject"),
    [
        ({"npv_usd": 1344521.80}, "all sites"),
        ({"payback_months": None}, "all sites"),
        ({"payback_months": 3.0}, "all sites"),
        ({"revenue_usd_month": 0.0}, "all sites"),
        ({"horizon_months": 18}, "horizon_months"),
        ({"monthly_rate": 0.01}, "monthly_rate"),
        ({"sites": STATED["sites"][:1]}, "sites"),
        ({"sites": [{**STATED["sites"][0], "cost_usd_month": 687.5}, STATED["sites"][1]]}, "oslo"),
        ({"sites": [STATED["sites"][0], {**STATED["sites"][1], "capex_usd": 0.0}]}, "turku"),
    ],
)
def test_a_figure_of_its_worth_that_is_wrong_is_named(changes, subject, tmp_path):
    assert violations(tmp_path, STATED | changes) == [("economics", subject)]


def test_worth_is_stated_exactly_where_a_service_states_its_revenue(tmp_path):
    assert violations(tmp_path, None) == [("economics", "economics")]
    assert violations(tmp_path, STATED, None) == [("rule off", "economics")]


def test_cash_is_discounted_from_the_end_of_its_month_and_capital_from_its_beginning():
    """100 a month at 1 % for 3 months is worth 294.0985 (interest tables); a second purchase after two months."""
    power = [Fraction(100, 101) ** m for m in range(4)]
    npv, payback = worth([(Fraction(100), Fraction(0), Fraction(250))], [0, 0, 0], power)
    assert (round(float(npv), 4), payback) == (44.0985, 3)
    later = [(Fraction(100), Fraction(0), Fraction(0)), (Fraction(100), Fraction(0), Fraction(50))]
    npv, payback = worth(later, [0, 0, 1], power)
    assert (round(float(npv), 4), payback) == (round(294.0985 - 50 / 1.0201, 4), 1)
    assert worth([(Fraction(1), Fraction(2), Fraction(0))], [0, 0], power)[1] is None


def test_a_period_without_a_month_of_its_own_buys_when_the_next_begins():
    flows = [(Fraction(9), Fraction(0), Fraction(1)), (Fraction(9), Fraction(0), Fraction(2))]
    assert worth(flows, [1, 1], [Fraction(1)] * 3) == (15, 1)
