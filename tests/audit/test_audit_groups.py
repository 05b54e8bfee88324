"""Groups of sites that are bounded by branching, against figures worked out by hand."""

from typing import Any

import numpy as np
import pytest
from audit_arrays import no_cuts
from audit_twins import bound, certificate, cut, proved, twins

from placement.audit import groups

OPEN, SERVERS, REPLICAS = 0, 1, 2
TWELVE = twins([12])
P, Q = 0, 1


def tree(*nodes: tuple[Any, ...]) -> dict[str, np.ndarray]:
    """Nodes: kind, site, name, most, left, right."""
    kind, site, name, most, left, right = zip(*nodes, strict=True) if nodes else [()] * 6
    return {
        "tree_kind": np.array(kind, np.int64),
        "tree_site": np.array(site, np.int64),
        "tree_name": np.array(name, np.str_),
        "tree_tenant": np.array([""] * len(nodes), np.str_),
        "tree_slice": np.full(len(nodes), -1),
        "tree_most": np.array(most, np.int64),
        "tree_left": np.array(left, np.int64),
        "tree_right": np.array(right, np.int64),
    }


def group(leaf_usd: list[list[float]], *nodes: tuple[Any, ...], **more: Any) -> dict[str, Any]:
    """One group of both sites and the first row."""
    cuts = no_cuts() | {"cut_usd": np.empty((len(leaf_usd), 0))}
    told = {"site": [P, Q], "row": [0], **cuts, **tree(*nodes), "leaf_usd": np.array(leaf_usd, np.float64), **more}
    return {"groups": 1} | {f"g0_{name}": value for name, value in told.items()}


# 12 requests/s at 600 USD: a server anywhere earns 10/12 of it, two earn all: the best that both sites together can do
# is 600 - 200 = 500 - 100 = 400. One by one they could earn 400 each. Every plan is in one of the leaves
#   p holds none: q alone, at 600: 400
#   p one, q none: at 600: 500 - 100
#   p one, q some: at 0: 600 given, less two servers
#   p two or more: at 120 q earns 120·10/12 - 100 = 0, p all 120 less 200: 480 + 0 - 80
SPLIT = ((SERVERS, P, "s", 0, -1, 1), (SERVERS, P, "s", 1, 2, -4), (SERVERS, Q, "s", 0, -2, -3))
PRICES = [[600.0], [600.0], [0.0], [120.0]]


def test_a_group_earns_no_more_than_its_best_leaf():
    assert bound(certificate([600.0]), TWELVE) == pytest.approx(600 - 800)
    assert bound(certificate([600.0], **group(PRICES, *SPLIT)), TWELVE) == pytest.approx(600 - 400)


@pytest.mark.parametrize(("leaf", "prices", "usd"), [
    (0, 500, 100 + 500 * 10 / 12 - 100), (1, 480, 120 + 400 - 100), (2, 150, 450 + 2 * 125 - 200),
    (3, 240, 360 + 240 - 200 + 200 - 100),
])  # fmt: skip
def test_every_leaf_is_valued_at_its_own_prices(leaf, prices, usd):
    """400 where the leaf is no longer the best: 416.67, 420, 500, 500."""
    told = [list(row) for row in PRICES]
    told[leaf] = [float(prices)]
    assert bound(certificate([600.0], **group(told, *SPLIT)), TWELVE) == pytest.approx(600 - max(400, usd))


def test_a_leaf_that_pays_more_than_the_root_pays_what_the_root_does():
    told = [[9000.0], [601.0], [0.0], [120.0]]
    assert bound(certificate([600.0], **group(told, *SPLIT)), TWELVE) == pytest.approx(600 - 400)


def test_without_branchings_a_group_is_its_sites_at_other_prices():
    """At 120 nobody earns anything, and 480 are given: 600 - 480."""
    assert bound(certificate([600.0], **group([[120.0]])), TWELVE) == pytest.approx(120)


def test_what_branching_adds_is_told():
    found = proved(certificate([600.0], **group(PRICES, *SPLIT)), TWELVE).proved_with[0]
    assert (found.groups, found.leaves, found.group_cuts) == (1, 4, 0)
    assert found.groups_usd == pytest.approx(400)


def test_a_site_that_is_closed_earns_nothing_and_one_that_is_open_may_lose():
    """Closed p: q alone earns 400. Open p: at 120 a server there earns 100 for its 100; so 480 at 120."""
    told = group([[600.0], [120.0]], (OPEN, P, "", 0, -1, -2))
    assert bound(certificate([600.0], **told), TWELVE) == pytest.approx(600 - 480)
    # at 60 the server that the leaf asks for loses 50, and 540 are given
    told = group([[600.0], [60.0]], (OPEN, P, "", 0, -1, -2))
    assert bound(certificate([600.0], **told), TWELVE) == pytest.approx(600 - 490)


def test_replicas_are_counted_as_servers_are():
    split = ((REPLICAS, P, "d", 0, -1, 1), (REPLICAS, P, "d", 1, 2, -4), (REPLICAS, Q, "d", 0, -2, -3))
    assert bound(certificate([600.0], **group(PRICES, *split)), TWELVE) == pytest.approx(600 - 400)


def test_more_than_a_site_can_hold_is_no_leaf_of_any_plan():
    """9 kW and 9 units hold nine servers: more than nine and more than nine replicas cannot be, whatever is paid."""
    for kind, name in ((SERVERS, "s"), (REPLICAS, "d")):
        told = group([[120.0], [600.0]], (kind, P, name, 9, -1, -2))
        assert bound(certificate([600.0], **told), TWELVE) == pytest.approx(120)
        told = group([[120.0], [600.0]], (kind, P, name, 8, -1, -2))
        assert bound(certificate([600.0], **told), TWELVE) == pytest.approx(600 - max(480, 600 - 900 + 400))


def test_a_leaf_whose_counts_contradict_each_other_is_no_leaf_of_any_plan():
    """At most none, and of those more than one: at 600 its sites would earn 800."""
    told = group([[120.0], [600.0], [120.0]], (SERVERS, P, "s", 0, 1, -3), (SERVERS, P, "s", 1, -1, -2))
    assert bound(certificate([600.0], **told), TWELVE) == pytest.approx(120)


def test_a_cut_of_the_group_rounds_its_servers_up():
    """As at the root: at γ = 100 all of 600 is δ, and a replica earns its server: 600 - 600 + 0 + 0 - (200 - 600)."""
    own = cut([12], 10, [[100.0]])
    assert bound(certificate([600.0], **group([[600.0]], **own)), TWELVE) == pytest.approx(600 - 400)
    # with 480 of it δ of γ = 80 and 120 left a server earns 10/12·120 + 80 - 100 = 80 at either site
    own = cut([12], 10, [[80.0]])
    assert bound(certificate([600.0], **group([[600.0]], **own)), TWELVE) == pytest.approx(600 - (160 - 160 + 480))


def test_every_leaf_has_its_own_prices_of_the_groups_cuts():
    """The leaf with one at p is worth 600 - 600 less the server + 100; q the same; and what is given to the cut 400."""
    own = cut([12], 10, [[0.0], [100.0]])
    told = group([[600.0], [600.0]], (SERVERS, P, "s", 0, -1, -2), **own)
    assert bound(certificate([600.0], **told), TWELVE) == pytest.approx(600 - 400)


def test_the_roots_cuts_hold_in_groups():
    """All of 600 is δ of the root's cut; the group earns nothing, whichever leaf: 600 + 200 - 600."""
    told = group([[600.0], [600.0]], (SERVERS, P, "s", 1, -1, -2)) | cut([12], 10, [100.0])
    assert bound(certificate([600.0], **told), TWELVE) == pytest.approx(200)


def test_a_group_of_one_site_leaves_the_other_as_it_is():
    told = group([[600.0], [600.0]], (SERVERS, P, "s", 0, -1, -2), site=[P])
    assert bound(certificate([600.0], **told), TWELVE) == pytest.approx(600 - 800)


SPLITS = {name[5:]: value for name, value in tree(*SPLIT).items()}
REFUSED = [
    ("a child twice", {"g0_tree_left": [-1, -1, -2]}, "reached twice"),
    ("a cycle", {"g0_tree_left": [-1, 0, -2]}, "reached twice"),
    ("a circle beside the root", {"g0_tree_left": [-1, -2, 2], "g0_tree_right": [-3, -4, 1]}, "never reached"),
    ("a leaf that is missing", {"g0_leaf_usd": PRICES[:3], "g0_cut_usd": np.empty((3, 0))}, "outside"),
    ("a leaf too many", {"g0_leaf_usd": [*PRICES, [0.0]], "g0_cut_usd": np.empty((5, 0))}, "do not have"),
    ("no leaf", {"g0_leaf_usd": np.empty((0, 1)), "g0_cut_usd": np.empty((0, 0))}, "outside"),
    ("leaves in a row", {"g0_leaf_usd": [600.0]}, "shape"),
    ("a child that is not there", {"g0_tree_right": [1, 3, -3]}, "outside"),
    ("a kind that is not there", {"g0_tree_kind": [1, 3, 1]}, "outside"),
    ("fewer than none", {"g0_tree_most": [-1, 1, 0]}, "outside"),
    ("counts that are no whole numbers", {"g0_tree_most": [0.5, 1.0, 0.0]}, "whole numbers"),
    ("nodes of unequal length", {"g0_tree_most": [0, 1]}, "length"),
    ("a server that no table knows", {"g0_tree_name": ["s", "s", "t"]}, "no server"),
    ("an owner that no table knows", {"g0_tree_tenant": ["", "acme", ""]}, "no server"),
    ("servers in a slice", {"g0_tree_slice": [-1, 0, -1]}, "does not count"),
    ("an open site with a name", {"g0_tree_kind": [0, 1, 1]}, "does not count"),
    ("a shape that no table knows", {"g0_tree_kind": [2, 1, 1]}, "no shape"),
    ("a site twice", {"g0_site": [0, 1, 0]}, "twice"),
    ("a site that is not there", {"g0_site": [0, 2]}, "outside"),
    ("a branching at another site", {"g0_site": [0]}, "no site of the group"),
    ("a row twice", {"g0_row": [0, 0], "g0_leaf_usd": np.zeros((4, 2))}, "twice"),
    ("a row that is not there", {"g0_row": [1]}, "outside"),
    ("a price that is NaN", {"g0_leaf_usd": [[600.0], [600.0], [np.nan], [1.0]]}, "NaN"),
    ("an array too many", {"g0_most": [1]}, "unknown arrays"),
    ("an array too few", {"groups": 0}, "unknown arrays"),
    ("a group that is not there", {"groups": 2}, "missing arrays"),
    ("a cut at another site", {f"g0_{n}": v for n, v in cut([12], 10, np.ones((4, 1))).items()} | {"g0_site": [0],
     "g0_tree_site": [0, 0, 0]}, "no site of the group"),
    ("prices of cuts for too few leaves", {f"g0_{n}": v for n, v in cut([12], 10, np.ones((3, 1))).items()}, "shape"),
    ("a negative price of a cut", {f"g0_{n}": v for n, v in cut([12], 10, -np.ones((4, 1))).items()}, "negative"),
]  # fmt: skip


@pytest.mark.parametrize(("changes", "why"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_a_group_with_a_fault_proves_nothing_and_says_why(changes, why):
    found = proved(certificate([600.0], **{**group(PRICES, *SPLIT), **changes}), TWELVE)
    assert found.bound_usd_month is None
    assert why in found.reason


def test_a_site_in_two_groups_proves_nothing():
    first = group([[600.0]], site=[P, Q])
    second = {name.replace("g0_", "g1_"): value for name, value in group([[600.0]], site=[Q]).items()}
    found = proved(certificate([600.0], **{**first, **second, "groups": 2}), TWELVE)
    assert "twice" in found.reason


def test_leaves_are_valued_a_part_at_a_time(monkeypatch):
    whole = proved(certificate([600.0], **group(PRICES, *SPLIT)), TWELVE)
    monkeypatch.setattr(groups, "MOST_LEAVES", 3)
    assert proved(certificate([600.0], **group(PRICES, *SPLIT)), TWELVE) == whole


def test_a_group_never_proves_less_than_its_sites_one_by_one():
    """Leaves that give all of 600 and earn nothing would be 600; one by one at 130 the sites earn 8.33 each."""
    told = group([[-500.0], [-500.0]], (OPEN, P, "", 0, -1, -2))
    assert bound(certificate([130.0], **told), TWELVE) == pytest.approx(130 - 2 * (130 * 10 / 12 - 100))
