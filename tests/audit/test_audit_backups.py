"""Failure rows, against figures worked out by hand, and against what N-1 costs at least."""

import numpy as np
import pytest
from audit_twins import bound, certificate, cut, proved, twins

# 5 requests/s keep half a server busy: one anywhere, 100 USD; one in each of two metros where one may fail, 200 USD.
APART = ["x,p", "y,q"]


def failures(rows: list[tuple[str, int]], usd: list[float]) -> dict[str, np.ndarray]:
    return {
        "backup_domain": np.array([domain for domain, _ in rows], np.str_),
        "backup_row": np.array([row for _, row in rows], np.int64),
        "backup_usd": np.array(usd, np.float64),
    }


BOTH = [("x", 0), ("y", 0)]


def test_without_failure_rows_one_server_is_enough():
    assert bound(certificate([100.0]), twins([5], domains=APART)) == pytest.approx(100)


def test_a_row_is_served_outside_of_every_domain_that_fails():
    """σ = 100 for either: with x down q earns its server, with y down p does. 0 + 100 + 100."""
    assert bound(certificate([0.0], **failures(BOTH, [100.0, 100.0])), twins([5], domains=APART)) == pytest.approx(200)


def test_what_a_site_earns_in_two_failures_it_earns_with_the_same_server():
    """Three metros: at 50 each, every site earns in two failures: 100 for its server; 3·50 = 150 for two servers."""
    told = twins([5], "pqr", domains=["x,p", "y,q", "z,r"])
    rows = [("x", 0), ("y", 0), ("z", 0)]
    assert bound(certificate([0.0], "pqr", **failures(rows, [50.0] * 3)), told, "pqr") == pytest.approx(150)
    # at 100 every site is left with 100 of 2·100
    assert bound(certificate([0.0], "pqr", **failures(rows, [100.0] * 3)), told, "pqr") == pytest.approx(0, abs=1e-9)


def test_a_row_is_paid_no_more_than_its_penalty_by_all_its_rows_together():
    """5·2628 = 13140 are lost without it; the sites may earn 9000 and 4140 less a server."""
    told = twins([5], domains=APART)
    assert bound(certificate([0.0], **failures(BOTH, [9000.0, 9000.0])), told) == pytest.approx(13140 - 2 * 8900)
    # π + σ is 18000: π counts as 4140, so that no site earns more than 4140 + 9000 - 100 and q no more than 4140 - 100
    assert bound(certificate([9000.0], **failures(BOTH[1:], [9000.0])), told) == pytest.approx(13140 - 13040 - 4040)


def test_a_failure_row_may_have_a_negative_price():
    """With -50 for x the row is paid 100 - 50, and no site serves what costs it 50."""
    told = twins([5], domains=APART)
    assert bound(certificate([100.0], **failures(BOTH[:1], [-50.0])), told) == pytest.approx(50)


def test_what_is_needed_without_a_domain_is_rounded_up():
    """12 requests/s on three metros: without any one the other two need two servers, so three stand: 300 USD.

    A cut for each failure over all blocks: rows (e, i) of 12 in units of 10, α = 1 for the two that stand outside and
    0 inside; f = .2. At γ = 50 every replica is in two cuts and earns its server; δ = 50·12/(10·.2) = 300 is σ.
    900 + 3·50·2 - 3·300 = 300. Prices alone prove 180: 60 each, of which 10/12 in two failures are 100.
    """
    told, rows = twins([12], "pqr", domains=["x,p", "y,q", "z,r"]), [("x", 0), ("y", 0), ("z", 0)]
    cuts = {
        "cut_unit": np.full(3, 10.0),
        "cut_row_first": np.arange(4),
        "cut_row": np.array([1, 2, 3]),  # after the only demand row
        "cut_weight": np.full(3, 12.0),
        "cut_block_first": np.arange(0, 12, 3),
        "cut_block": np.tile(np.arange(3), 3),
        "cut_usd": np.full(3, 50.0),
    }
    alone = certificate([0.0], "pqr", **failures(rows, [60.0] * 3))
    assert bound(alone, told, "pqr") == pytest.approx(180)
    assert bound(certificate([0.0], "pqr", **failures(rows, [300.0] * 3), **cuts), told, "pqr") == pytest.approx(300)
    found = proved(certificate([0.0], "pqr", **failures(rows, [300.0] * 3), **cuts), told, "pqr").proved_with[0]
    assert (found.cuts, found.backups) == (3, 3)


def budgets(primary: int, backup: int) -> dict[str, str]:
    """The network takes 5 ms, the first token 10."""
    head = "service,profile,latency_budget_ms,kbyte_in,kbyte_out,unserved_usd_per_1000,backup_latency_budget_ms"
    return {"services": f"{head}\ns0,chat,{primary},0,0,1,{backup}"}


def test_a_row_whose_backups_are_all_too_far_may_be_lost():
    """Within 100 ms on a normal day, but 12 ms for backups: nobody may stand in, and nothing is owed."""
    found = proved(certificate([0.0], **failures(BOTH, [1.0, 1.0])), twins([5], domains=APART, **budgets(100, 12)))
    assert found.bound_usd_month is None
    assert "2 rows may be lost" in found.reason


def test_a_row_with_no_site_inside_cannot_be_lost_with_it():
    """The metro x is empty of sites that may serve: what fails there is nothing, and q serves all the same.

    Only r is in x, and no server stands there; the row must be served outside of x, as it always is.
    """
    told = twins([5], "pqr", domains=["x,r"], **budgets(100, 12))
    sites = told.table("sites").copy()
    sites.loc[sites["site"] == "r", "power_kw"] = 0.5
    told = told.__class__(**{**told.__dict__, "tables": {**told.tables, "sites": sites}})
    assert bound(certificate([0.0], "pqr", **failures([("x", 0)], [100.0])), told, "pqr") == pytest.approx(100)


def test_a_backup_may_be_where_the_row_is_never_served_on_a_normal_day():
    """By its own budget of 12 ms nobody serves the row: all of it is left, 13140 USD, and nothing more is owed."""
    told = twins([5], domains=APART, **budgets(12, 100))
    assert bound(certificate([7.0], **failures(BOTH, [100.0, 100.0])), told) == pytest.approx(13140)


REFUSED = [
    ("a domain that no table knows", {"backup_domain": ["x", "w"]}, "no domain"),
    ("a row that is not there", {"backup_row": [0, 1]}, "outside"),
    ("a row of a domain twice", {"backup_domain": ["x", "x"]}, "twice"),
    ("a price that is NaN", {"backup_usd": [1.0, np.nan]}, "NaN"),
    ("an infinite price", {"backup_usd": [1.0, np.inf]}, "NaN or an infinity"),
    ("a price beyond floats", {"backup_usd": [1.7e308, 1.7e308]}, "too large"),
    ("too few domains", {"backup_domain": ["x"]}, "length"),
    ("domains that are numbers", {"backup_domain": [0, 1]}, "names"),
]


@pytest.mark.parametrize(("changes", "why"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_failure_row_with_a_fault_proves_nothing_and_says_why(changes, why):
    arrays = certificate([0.0], **{**failures(BOTH, [100.0, 100.0]), **changes})
    found = proved(arrays, twins([5], domains=APART))
    assert found.bound_usd_month is None
    assert why in found.reason


def test_where_nothing_may_fail_there_is_no_failure_row():
    found = proved(certificate([0.0], **failures(BOTH, [1.0, 1.0])), twins([5]))
    assert "no domain" in found.reason


@pytest.mark.parametrize("policy", ["proportional", "priority"])
def test_under_other_policies_failure_rows_prove_nothing(policy):
    told = twins([5], domains=APART)
    reliability = told.document.reliability.model_copy(update={"failover": policy})
    told = told.__class__(
        **{**told.__dict__, "document": told.document.model_copy(update={"reliability": reliability})}
    )
    assert "not planned" in proved(certificate([0.0], **failures(BOTH, [1.0, 1.0])), told).reason


def test_a_cut_may_not_speak_of_more_failure_rows_than_there_are():
    arrays = certificate([0.0], **failures(BOTH, [1.0, 1.0]), **cut([12], 10, [1.0], rows=[3]))
    assert "outside" in proved(arrays, twins([5], domains=APART)).reason
