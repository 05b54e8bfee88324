"""The residual demand that pays at one site, sorted into cells (block, slice), dearest per replica first."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.blocks import TINY, sort_falling
from solvers.search.ground import Ground
from solvers.search.state import State, Work

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]


@njit(cache=True, nogil=True)
def first_pair(pair_block: Int32, low: int, end: int, block: int) -> int:
    """The first of a row's pairs low..end-1 on `block` or behind it."""
    while low < end:
        middle = (low + end) // 2
        if pair_block[middle] < block:
            low = middle + 1
        else:
            end = middle
    return low


@njit(cache=True, nogil=True)
def place_cells(
    found: int, cells: int, cell: Int32, cell_first: Int, order: Int32, density: Float, scratch: Float
) -> None:
    """Order what was collected by cell, then by density; `density` ends up in that order, `order` names the pairs.

    `cell_first[c + 1]` holds the count of cell c on entry, and the cells' bounds afterwards.
    """
    for c in range(cells):
        cell_first[c + 1] += cell_first[c]
    for k in range(found):
        c = cell[k]
        at = cell_first[c]
        order[at] = k
        scratch[at] = density[k]
        cell_first[c] = at + 1
    for c in range(cells, 0, -1):
        cell_first[c] = cell_first[c - 1]
    cell_first[0] = 0
    for k in range(found):
        density[k] = scratch[k]
    for c in range(cells):
        if cell_first[c + 1] > cell_first[c] + 1:
            sort_falling(density, order, cell_first[c], cell_first[c + 1])


@njit(cache=True, nogil=True)
def mark_excluded(first: int, last: int, choice: Int, replicas: Int, excluded: Int32) -> None:
    """Mark the site's blocks whose choice another standing block has taken."""
    for b in range(first, last):
        excluded[b - first] = 0
    for b in range(first, last):
        if replicas[b] > 0 and choice[b] >= 0:
            for other in range(first, last):
                if other != b and choice[other] == choice[b]:
                    excluded[other - first] = 1


@njit(cache=True, nogil=True)
def collect(g: Ground, state: State, work: Work, p: int, unit: int) -> int:
    """Bring the profitable pairs of the residual demand on one unit into cells; how many there are."""
    member, price, left = work.member, work.price, work.left
    thrift = work.temper[1]
    row_first, pair_block, pair_usd, pair_load = g.row_first, g.pair_block, g.pair_usd, g.pair_load
    block_unit, block_cap, demand_slice = g.block_unit, g.block_cap, g.demand_slice
    pair, cell, load, density, cell_first = work.pair, work.cell, work.load, work.density, work.cell_first
    excluded, slices, network = work.excluded, g.slices, g.network
    b0, b1 = g.block_first[p], g.block_first[p + 1]
    mark_excluded(b0, b1, g.block_choice, state.replicas, excluded)
    cells = (b1 - b0) * slices
    for c in range(cells + 1):
        cell_first[c] = 0
    found = 0
    for k in range(work.number[0]):
        i = member[k]
        worth = thrift * price[i]
        if worth <= 0.0:
            continue
        end = row_first[i + 1]
        n = first_pair(pair_block, row_first[i], end, b0)
        if n == end or pair_block[n] >= b1:
            continue
        t = demand_slice[i]
        if network:
            worth -= g.uplink_usd[p, t] * g.out_mbps[i] + g.downlink_usd[p, t] * g.in_mbps[i]
        while n < end and pair_block[n] < b1:
            b = pair_block[n]
            gain = worth - pair_usd[n]
            if gain > 0.0 and block_unit[b] == unit and block_cap[b] > 0 and excluded[b - b0] == 0:
                c = (b - b0) * slices + t
                pair[found] = n
                cell[found] = c
                load[found] = pair_load[n] * left[i]
                density[found] = gain / max(pair_load[n], TINY)
                cell_first[c + 1] += 1
                found += 1
            n += 1
    place_cells(found, cells, cell, cell_first, work.order, density, work.scratch)
    return found
