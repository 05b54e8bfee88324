"""A row in two cuts that count other blocks, against figures worked out by hand."""

from typing import Any

import numpy as np
import pytest
from audit_twins import bound, certificate, twins

# 12 requests/s keep 1.2 replicas busy; the first cut counts only p by replicas, the second only q. Either asks
# y + (1.2/.2)·(x elsewhere + u) ≥ 2, and takes δ = 100·12/(10·.2) = 600 of the row at a price of 100.
TWELVE = twins([12])
APART = {
    "cut_unit": np.full(2, 10.0),
    "cut_row_first": np.arange(3),
    "cut_row": np.zeros(2, np.int64),
    "cut_weight": np.full(2, 12.0),
    "cut_block_first": np.arange(3),
    "cut_block": np.arange(2),
}


def apart(*usd: float) -> dict[str, Any]:
    return APART | {"cut_usd": np.array(usd)}


def test_a_block_loses_by_the_cuts_that_count_it_and_by_no_other():
    """1200 less 600 at either site: 500 on one replica that earns its server, 600 on two. 1200 + 2·(200 - 600)."""
    assert bound(certificate([1200.0], **apart(100.0, 100.0)), TWELVE) == pytest.approx(1200 - 800 - 2 * 600)


def test_each_block_earns_by_the_price_of_its_own_cut():
    """At 100 for p and 50 for q the row pays 900: at p 300 are left, 300 + 200 - 200; at q 600, 600 + 100 - 200."""
    told = certificate([900.0], **apart(100.0, 50.0))
    assert bound(told, TWELVE) == pytest.approx(900 + 200 - 600 + 100 - 300 - 300 - 500)
