"""Arrays of a period of a certificate: without cuts, covers, backups and groups."""

from typing import Any

import numpy as np

Arrays = dict[str, Any]


def no_cuts() -> Arrays:
    """Arrays of cuts where there are none."""
    none, first = np.empty(0, np.int64), np.zeros(1, np.int64)
    return {
        "cut_unit": np.empty(0),
        "cut_row_first": first,
        "cut_row": none,
        "cut_weight": np.empty(0),
        "cut_block_first": first,
        "cut_block": none,
        "cut_usd": np.empty(0),
    }


def no_covers() -> Arrays:
    """Arrays of covers where there are none."""
    none, first = np.empty(0, np.int64), np.zeros(1, np.int64)
    return {
        "cover_unit": np.empty(0),
        "cover_row_first": first,
        "cover_row": none,
        "cover_weight": np.empty(0),
        "cover_usd": np.empty(0),
    }


def nothing_more() -> Arrays:
    """What stands beside the prices of a period that has no blocks, cuts, covers, backups or groups."""
    none, text = np.empty(0, np.int64), np.array([], np.str_)
    return {
        "block_site": none,
        "block_shape": text,
        "block_tenant": text,
        "block_slice": none,
        **no_cuts(),
        **no_covers(),
        "backup_domain": text,
        "backup_row": none,
        "backup_usd": np.empty(0),
        "groups": np.array(0),
    }
