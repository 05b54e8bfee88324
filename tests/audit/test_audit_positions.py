"""Positions in a certificate's lists: one before the first and one behind the last prove nothing and say why."""

from typing import Any

import numpy as np
import pytest
from audit_twins import certificate, cut, proved, twins
from test_audit_covers import cover
from test_audit_groups import PRICES, SPLIT, group

# Two sites, one slice, two blocks, one row, a failure row and a cover of it; three branchings with four leaves.
TOLD = twins([5], domains=["x,p", "y,q"])
FAILURE = {"backup_domain": np.array(["x"]), "backup_row": np.array([0]), "backup_usd": np.array([9.0])}
COVER = cover([5], 10, 1.0)
WHOLE = certificate([600.0], **cut([12], 10, [1.0]), **FAILURE, **COVER, **group(PRICES, *SPLIT))

# array, least, most
LISTS = [
    ("block_site", 0, 1), ("block_slice", -1, 0), ("cut_row", 0, 1), ("cut_block", 0, 1), ("cut_row_first", 0, 1),
    ("cut_block_first", 0, 2), ("backup_row", 0, 0), ("cover_row", 0, 0), ("cover_row_first", 0, 1),
    ("g0_site", 0, 1), ("g0_row", 0, 1), ("g0_tree_kind", 0, 2), ("g0_tree_site", 0, 1), ("g0_tree_slice", -1, 0),
    ("g0_tree_most", 0, 2**31), ("g0_tree_left", -4, 2), ("g0_tree_right", -4, 2),
]  # fmt: skip


def with_first(name: str, value: int) -> dict[str, Any]:
    """The certificate with the first entry of an array replaced."""
    values = WHOLE[f"p0_{name}"].copy()
    values[0] = value
    return WHOLE | {f"p0_{name}": values}


def test_the_certificate_itself_is_read():
    assert not proved(WHOLE, TOLD).reason


@pytest.mark.parametrize(("name", "least", "most"), LISTS, ids=[case[0] for case in LISTS])
def test_a_position_outside_of_its_list_is_refused(name, least, most):
    for value in (least - 1, most + 1):
        found = proved(with_first(name, value), TOLD)
        assert found.bound_usd_month is None
        assert f"p0_{name} holds a number outside {least}..{most}" in found.reason


@pytest.mark.parametrize(("name", "least", "most"), LISTS, ids=[case[0] for case in LISTS])
def test_the_first_and_the_last_of_a_list_are_no_such_position(name, least, most):
    for value in (least, most):
        assert "outside" not in proved(with_first(name, value), TOLD).reason
