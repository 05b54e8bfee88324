"""Figures as the auditor says them: decimals of tables, cents and their ties, gaps, percentiles, bounds in floats."""

import math
from fractions import Fraction

import pytest
from audit_world import NAN

from placement.audit.exact import cents, exact, known, settled
from placement.audit.figures import gap, percentiles_ms
from placement.audit.money import check_cents
from placement.audit.pricing import rounded_down
from placement.audit.report import Findings


def test_a_tables_figure_is_the_decimal_that_was_typed():
    assert exact(0.1) == Fraction(1, 10)
    assert exact(3) == 3
    assert known(NAN) is None
    assert known(0.25) == Fraction(1, 4)


def test_nan_is_not_a_figure():
    with pytest.raises(ValueError, match="nan"):
        exact(NAN)


def test_cents_are_rounded_half_to_even():
    assert [cents(Fraction(text)) for text in ("0.005", "0.015", "0.0151", "-0.005")] == [0, 2, 2, 0]


def test_settling_changes_a_sum_by_less_than_any_cent():
    third, fifteenth = Fraction(1, 3), Fraction(1, 15)
    assert abs(settled(third) - third) <= Fraction(1, 2 * 10**30)
    assert settled(third).denominator <= 10**30
    assert settled(fifteenth) == Fraction(66666666666666666666666666667, 10**30)  # 0.0666... rounded up


@pytest.mark.parametrize(
    ("said", "value", "passes"),
    [
        ("0.01", "0.015", True),  # half a cent: either way
        ("0.01", "0.0150009", True),
        ("0.01", "0.0150011", False),
        ("0.02", "0.0149991", True),
        ("0.02", "0.0149989", False),
        ("0.015", "0.015", False),  # no whole cents
        ("1000000000.01", "1000000000.0159", True),  # floats of this size are not surer
        ("1000000000.01", "1000000000.0161", False),
        ("-1000000000.01", "-1000000000.0159", True),
    ],
)
def test_money_is_right_to_the_cent_and_a_tie_may_go_either_way(said, value, passes):
    findings = Findings()
    check_cents("cost", "egress", Fraction(said), Fraction(value), findings)
    assert (findings.violations == []) is passes


def test_money_that_is_wrong_is_named_with_how_far_it_is_off():
    findings = Findings()
    check_cents("cost", "egress", Fraction(3), Fraction(5), findings)
    assert [violation.excess for violation in findings.violations] == [2]


def test_the_edge_of_a_tie_still_passes():
    said = Fraction(1, 100)
    edge = (said + Fraction(1, 200) + Fraction(1, 10**6)) / (1 - Fraction(1, 10**12))
    findings = Findings()
    check_cents("cost", "egress", said, edge, findings)
    assert findings.violations == []
    check_cents("cost", "egress", said, edge + Fraction(1, 10**15), findings)
    assert [violation.rule for violation in findings.violations] == ["cost"]


def test_the_gap_is_a_share_of_what_a_plan_can_change():
    assert gap(Fraction(150), Fraction(130), Fraction(50)) == Fraction(1, 5)
    assert gap(Fraction(150), Fraction("149.996"), Fraction(150)) == 0
    assert gap(Fraction(150), Fraction("149.994"), Fraction(50)) == Fraction("0.006") / 100
    assert gap(Fraction(50), Fraction(30), Fraction(50)) is None


def test_a_bound_is_rounded_to_the_largest_float_that_is_not_above_it():
    for value in (Fraction(1, 3), Fraction(2, 3), Fraction(-1, 3), Fraction(10**17 + 1), Fraction(1, 2)):
        found = rounded_down(value)
        assert Fraction(found) <= value < Fraction(math.nextafter(found, math.inf))


def test_percentiles_are_the_smallest_latency_that_so_many_requests_stay_within():
    found = percentiles_ms([(Fraction(ms), Fraction(5)) for ms in range(1, 1001)])
    assert found == {"p50_ms": 500, "p95_ms": 950, "p99_ms": 990}
    nine_tenths = percentiles_ms([(Fraction(3), Fraction(5)), (Fraction(7), Fraction(90)), (Fraction(9), Fraction(5))])
    assert nine_tenths == {"p50_ms": 7, "p95_ms": 7, "p99_ms": 9}
