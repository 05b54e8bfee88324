"""The pairs of every row site by site, and those by which nothing new is bought: another one is better in every way.

Most sites are closed or out of question in a move. A row that passes them by site, and asks of what does not stand yet
only for what it would choose, looks at a tenth of its pairs and finds the same.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.problem import Bool, Figures, Float, Index, Int

Int32 = NDArray[np.int32]


class Near(NamedTuple):
    """Pairs sorted by (row, block), I rows: those of a row at one site are a group."""

    first: Int  # I + 1: positions in `site`
    site: Int32  # of a group
    pair: Int32  # of a group: its first pair; one more at the end
    worse: Bool  # N: another pair of the group is no dearer in every way while neither block has replicas


class Kinds(NamedTuple):
    """What blocks have to have in common so that a new replica costs the same, and what it costs besides; B each."""

    site: Int
    choice: Int
    unit: Int
    quarters: Int
    slice: Int
    most: Int
    least: Int
    usd: Float  # of the first replica beyond its servers


def near_of(
    pair_first: Int, pair_block: Index, pair_load: Figures, pair_usd: Figures, kinds: Kinds, same: Near | None = None
) -> Near:
    """The groups of all rows; `pair_usd` may be empty: then pairs cost nothing themselves.

    `same` has the groups already, of the same pairs.
    """
    worse = np.zeros(len(pair_block), np.bool_)
    if same is None:
        first = np.zeros(len(pair_first), np.int64)
        _count_groups(pair_first, pair_block, kinds.site, first)
        np.cumsum(first, out=first)
        site, pair = np.empty(first[-1], np.int32), np.empty(first[-1] + 1, np.int32)
        pair[-1] = len(pair_block)
        _fill_groups(pair_first, pair_block, kinds.site, first, site, pair)
        same = Near(first, site, pair, worse)
    _mark_worse(same.pair, pair_block, pair_load, pair_usd, kinds, worse)
    return same._replace(worse=worse)


@njit(cache=True, nogil=True)
def _count_groups(pair_first: Int, pair_block: Index, block_site: Int, first: Int) -> None:
    for i in range(len(pair_first) - 1):
        last = -1
        for n in range(pair_first[i], pair_first[i + 1]):
            p = block_site[pair_block[n]]
            if p != last:
                first[i + 1] += 1
                last = p


@njit(cache=True, nogil=True)
def _fill_groups(pair_first: Int, pair_block: Index, block_site: Int, first: Int, site: Int32, pair: Int32) -> None:
    for i in range(len(pair_first) - 1):
        k, last = first[i] - 1, -1
        for n in range(pair_first[i], pair_first[i + 1]):
            p = block_site[pair_block[n]]
            if p != last:
                k, last = k + 1, p
                site[k], pair[k] = p, n


@njit(cache=True, nogil=True)
def _mark_worse(
    group_pair: Int32, pair_block: Index, pair_load: Figures, pair_usd: Figures, kinds: Kinds, worse: Bool
) -> None:
    for k in range(len(group_pair) - 1):
        for n in range(group_pair[k], group_pair[k + 1]):
            for m in range(group_pair[k], n):
                if _no_dearer(pair_block, pair_load, pair_usd, kinds, m, n):
                    worse[n] = True
                elif _no_dearer(pair_block, pair_load, pair_usd, kinds, n, m):
                    worse[m] = True


@njit(cache=True, nogil=True)
def _no_dearer(pair_block: Index, pair_load: Figures, pair_usd: Figures, kinds: Kinds, n: int, m: int) -> bool:
    """Whether pair n can stand in for m where neither block has replicas and only one of both may."""
    b, c = pair_block[n], pair_block[m]
    alike = (
        kinds.choice[b] >= 0
        and kinds.choice[b] == kinds.choice[c]
        and kinds.unit[b] == kinds.unit[c]
        and kinds.quarters[b] == kinds.quarters[c]
        and kinds.slice[b] == kinds.slice[c]
        and kinds.least[c] == 0
    )
    if not alike or kinds.most[b] < min(kinds.most[c], 1) or kinds.usd[b] > kinds.usd[c]:
        return False
    return bool(pair_load[n] <= pair_load[m] and (len(pair_usd) == 0 or pair_usd[n] <= pair_usd[m]))
