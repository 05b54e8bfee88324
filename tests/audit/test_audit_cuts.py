"""Rounding cuts, against figures worked out by hand."""

import numpy as np
import pytest
from audit_twins import bound, certificate, cut, proved, twins

# 12 requests/s keep 1.2 replicas busy: two servers, 200 USD, wherever they stand. With the weight 12 and the unit 10 a
# replica carries α = 10/10 = 1 unit (w/a = 12/1.2 = 10), W/R = 1.2, f = .2: y_p + y_q + (1.2/.2)·u ≥ 2.
TWELVE = twins([12])


def test_prices_alone_buy_a_fraction_of_a_server():
    """At 120 USD one server earns what it costs with ten twelfths of the row: 120; at 600 each site could earn 400."""
    assert bound(certificate([120.0]), TWELVE) == pytest.approx(120)
    assert bound(certificate([600.0]), TWELVE) == pytest.approx(600 - 2 * 400)


def test_a_cut_rounds_the_servers_up():
    """At γ = 100 a replica earns its server; δ = 100·12/(10·.2) = 600 takes all from the pairs; 600 + 2·100 - 600."""
    assert bound(certificate([600.0], **cut([12], 10, [100.0])), TWELVE) == pytest.approx(200)


def test_a_cheaper_cut_proves_what_it_gives():
    """At γ = 50: δ = 300; with 420 the row has 120 left: 10/12 of it on a server at 100 less 50 is 50 USD at each."""
    assert bound(certificate([420.0], **cut([12], 10, [50.0])), TWELVE) == pytest.approx(420 + 100 - 300 - 2 * 50)
    assert bound(certificate([360.0], **cut([12], 10, [50.0])), TWELVE) == pytest.approx(360 + 100 - 300)


def test_blocks_that_a_cut_does_not_count_pay_by_shares():
    """Only p counts by replicas. At q the row is paid 600 whole: 10/12 of it on one server, 500 - 100, or 600 - 200."""
    told = {**cut([12], 10, [100.0]), "cut_block_first": np.array([0, 1]), "cut_block": np.array([0])}
    assert bound(certificate([600.0], **told), TWELVE) == pytest.approx(200 - 400)


def test_a_replica_that_carries_a_part_of_a_unit_counts_for_more_than_its_part():
    """Unit 16: W/R = .75, α = 10/16 = .625, F = .625/.75 = 5/6: y ≥ 1.2. At γ = 120 F·γ = 100; δ = 120·12/(16·.75)."""
    assert bound(certificate([120.0], **cut([12], 16, [120.0])), TWELVE) == pytest.approx(120 + 120 - 120)


def test_two_classes_share_what_is_left_of_a_replica():
    """4 and 5 requests/s twice: 1.8 replicas, two servers; w = rate, unit 10, f = .8: 200 + Σπ - Σδ, δ = 100·w/8."""
    told = twins([4, 5, 4, 5])
    prices = [100 * w / 8 for w in (4, 5, 4, 5)]
    assert bound(certificate(prices, **cut([4, 5, 4, 5], 10, [100.0])), told) == pytest.approx(200)


def test_a_row_that_no_site_can_serve_only_takes():
    """Nobody runs model x: its 12 requests/s are left for 31536 USD; in the cut they take their δ and need nothing."""
    demand = "region,model,service,requests_per_s\nr,m,s0,12\nr,x,s1,12"
    arrays = certificate([600.0, 9.0], **cut([12, 12], 10, [100.0])) | {"p0_demand_model": np.array(["m", "x"])}
    # W/R = 2.4, f = .4, δ = 100·12/(10·.4) = 300 each; the row of m has 300 left: at either site 250 + 100 - 100 on one
    # replica, 300 + 200 - 200 on two
    found = bound(arrays, twins([12, 12], demand=demand))
    assert found == pytest.approx(31536 + 600 + 3 * 100 - 600 - 2 * 300)


def test_what_the_certificate_says_is_counted():
    found = proved(certificate([600.0], **cut([12], 10, [100.0])), TWELVE).proved_with[0]
    assert (found.cuts, found.backups, found.groups, found.leaves) == (1, 0, 0, 0)


REFUSED = [
    ("a whole number of units", {"cut_weight": [20.0]}, "no fraction"),
    ("hardly more than a whole number", {"cut_weight": [10 * (1 + 1e-7)]}, "no fraction"),
    ("hardly less than a whole number", {"cut_weight": [20 * (1 - 1e-8)]}, "no fraction"),
    ("more units than floats tell apart", {"cut_unit": [1e-12]}, "no fraction"),
    ("a weight of nothing", {"cut_weight": [0.0]}, "not above 0"),
    ("a negative weight", {"cut_weight": [-12.0]}, "not above 0"),
    ("a weight that is NaN", {"cut_weight": [np.nan]}, "NaN"),
    ("a unit of nothing", {"cut_unit": [0.0]}, "not above 0"),
    ("a negative price", {"cut_usd": [-1.0]}, "negative"),
    ("an infinite price", {"cut_usd": [np.inf]}, "NaN or an infinity"),
    ("prices of more cuts", {"cut_usd": [1.0, 1.0]}, "shape"),
    ("a row that is not there", {"cut_row": [1]}, "outside"),
    ("a row before the first", {"cut_row": [-1]}, "outside"),
    ("rows that are floats", {"cut_row": [0.0]}, "whole numbers"),
    ("a row twice", {"cut_row": [0, 0], "cut_weight": [6.0, 6.0], "cut_row_first": [0, 2]}, "twice"),
    ("a block twice", {"cut_block": [0, 0]}, "twice"),
    ("a block that is not there", {"cut_block": [0, 2]}, "outside"),
    ("rows of no cut", {"cut_row_first": [0, 0]}, "divide"),
    ("rows that begin later", {"cut_row_first": [1, 1]}, "divide"),
    ("more beginnings than cuts", {"cut_row_first": [0, 1, 1]}, "divide"),
    ("a cut without rows", {"cut_row": [], "cut_weight": [], "cut_row_first": [0, 0]}, "no fraction"),
    ("a shape that no table knows", {"block_shape": ["d", "e"]}, "no shape"),
    ("an owner that no table knows", {"block_tenant": ["", "acme"]}, "no shape"),
    ("a slice where replicas stand in all", {"block_slice": [-1, 0]}, "one slice"),
    ("a block listed twice", {"block_site": [0, 0]}, "listed twice"),
    ("blocks of unequal length", {"block_site": [0]}, "length"),
    ("a price beyond floats", {"cut_usd": [1.7e308]}, "too large"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "why"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_cut_with_a_fault_proves_nothing_and_says_why(changes, why):
    found = proved(certificate([600.0], **{**cut([12], 10, [100.0]), **changes}), TWELVE)
    assert found.bound_usd_month is None
    assert why in found.reason


def test_a_row_that_keeps_nothing_busy_may_not_be_counted_by_replicas():
    found = proved(certificate([1.0, 1.0], **cut([12, 3], 10, [1.0])), twins([12, 0]))
    assert "without being busy" in found.reason
