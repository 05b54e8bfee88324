"""Covers, against figures worked out by hand, and against what N-1 costs at least."""

import numpy as np
import pytest
from audit_twins import bound, certificate, proved, twins

# 5 requests/s keep half a server busy; a server is 100 USD, and two of them have to stand where any metro may fail.
FOUR = ["w,p", "x,q", "y,r", "z,s"]
LOST_USD = 5 * 2628.0


def cover(weights: list[float], unit: float, usd: float, rows: list[int] | None = None) -> dict[str, np.ndarray]:
    return {
        "cover_unit": np.array([unit]),
        "cover_row_first": np.array([0, len(weights)]),
        "cover_row": np.arange(len(weights)) if rows is None else np.array(rows, np.int64),
        "cover_weight": np.array(weights, np.float64),
        "cover_usd": np.array([usd]),
    }


def test_what_stands_must_be_one_more_than_what_is_needed():
    """d = .5: k = 1, so 2·γ; a site earns γ with its first server, nothing with a second. Prices alone prove 133."""
    told = twins([5], "pqrs", domains=FOUR)
    assert bound(certificate([0.0], "pqrs", **cover([5], 10, 100.0)), told, "pqrs") == pytest.approx(200)
    # at 150 every site is left with 50
    assert bound(certificate([0.0], "pqrs", **cover([5], 10, 150.0)), told, "pqrs") == pytest.approx(300 - 4 * 50)


def test_a_large_site_counts_for_less_than_its_servers():
    """12 requests/s are 1.2 servers: k = 2. A site counts 3·1/(2 + 1) with one server and 3·2/(2 + 2) with two."""
    told = twins([12], "pqr", domains=FOUR[:3])
    assert bound(certificate([0.0], "pqr", **cover([12], 10, 100.0)), told, "pqr") == pytest.approx(300)
    # at 110 a site is left with 10 of one server; of two, 165 of 200
    assert bound(certificate([0.0], "pqr", **cover([12], 10, 110.0)), told, "pqr") == pytest.approx(330 - 3 * 10)
    # at 220 with 120 of one, 130 of two, 30 of three that count no more
    assert bound(certificate([0.0], "pqr", **cover([12], 10, 220.0)), told, "pqr") == pytest.approx(660 - 3 * 130)


def test_a_replica_that_carries_two_units_counts_as_two():
    """12 in units of 5: d = 2.4, k = 3; a server carries two and counts 4·2/(3 + 2), two servers 4·3/(3 + 3)."""
    told = twins([12], "pqr", domains=FOUR[:3])
    assert bound(certificate([0.0], "pqr", **cover([12], 5, 50.0)), told, "pqr") == pytest.approx(200)
    assert bound(certificate([0.0], "pqr", **cover([12], 5, 70.0)), told, "pqr") == pytest.approx(280 - 3 * 12)


def test_a_replica_that_carries_half_a_unit_counts_as_rounding_has_it():
    """12 in units of 20: d = .6, k = 1; a server carries .5 and counts F = 5/6, so 2·(5/6)/(1 + 5/6) = 10/11."""
    told = twins([12], "pqr", domains=FOUR[:3])
    assert bound(certificate([0.0], "pqr", **cover([12], 20, 110.0)), told, "pqr") == pytest.approx(220)
    assert bound(certificate([0.0], "pqr", **cover([12], 20, 121.0)), told, "pqr") == pytest.approx(242 - 3 * 10)


def test_a_site_that_cannot_fail_counts_for_more():
    """r alone is enough: it counts 2 where 2 are asked for, so that it is left with 100 of 200."""
    told = twins([5], "pqr", domains=FOUR[:2])
    assert bound(certificate([0.0], "pqr", **cover([5], 10, 100.0)), told, "pqr") == pytest.approx(100)


def test_a_row_is_paid_no_more_than_its_penalty_less_what_covers_give_for_leaving_it():
    """Leaving the row counts 2 of 2: 13140 - 200 is all that it pays, however dear; every site earns that."""
    told = twins([5], "pqrs", domains=FOUR)
    most = LOST_USD - 200
    found = bound(certificate([LOST_USD], "pqrs", **cover([5], 10, 100.0)), told, "pqrs")
    assert found == pytest.approx(most + 200 - 4 * most)


def test_rows_of_a_cover_add_up():
    """Two rows of half a server each and a weight of 6: d = 1.2, k = 2; a server carries 1.2 and counts F = 2: 1.5."""
    told = twins([5, 5], "pqrs", domains=FOUR)
    one = cover([6, 6], 10, 60.0)
    assert bound(certificate([0.0, 0.0], "pqrs", **one), told, "pqrs") == pytest.approx(180)
    dear = cover([6, 6], 10, 80.0)
    assert bound(certificate([0.0, 0.0], "pqrs", **dear), told, "pqrs") == pytest.approx(240 - 4 * 20)
    found = proved(certificate([0.0, 0.0], "pqrs", **one), told, "pqrs").proved_with[0]
    assert found.covers == 1
    assert "1 covers" in str(found)


@pytest.mark.parametrize(
    ("changes", "domains", "why"),
    [
        ({}, None, "no domain may fail"),
        ({}, ["w,p", "w,q", "w,r", "w,s"], "may be lost"),
        (cover([10], 10, 100.0), FOUR, "no fraction"),
        (cover([5], 10, -1.0), FOUR, "negative"),
        (cover([5], 0, 1.0), FOUR, "not above 0"),
        (cover([5], 10, 1.0, rows=[1]), FOUR, "outside"),
        (cover([5, 5], 12, 1.0, rows=[0, 0]), FOUR, "twice"),
        ({"cover_row_first": np.array([0, 0])}, FOUR, "divide"),
    ],
)
def test_a_cover_with_a_fault_proves_nothing_and_says_why(changes, domains, why):
    found = proved(
        certificate([0.0], "pqrs", **(cover([5], 10, 100.0) | changes)), twins([5], "pqrs", domains=domains), "pqrs"
    )
    assert found.bound_usd_month is None
    assert why in found.reason


def test_a_row_that_all_of_one_metro_serves_may_be_lost_and_one_that_half_of_it_serves_may_not():
    told = twins([5], "pqr", domains=["w,p", "w,q", "x,r"])
    assert bound(certificate([0.0], "pqr", **cover([5], 10, 100.0)), told, "pqr") == pytest.approx(200)
