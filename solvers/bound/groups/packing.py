"""What one unit (site, GPU type) of a group earns by GPUs, within a box: knapsacks of rows, then of replicas.

The kernels take plain arrays, not the tuples of `group.py`: reading a field of a tuple counts references, which costs
more than the arithmetic at this size.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.blocks import TINY, fill_value
from solvers.bound.packing import convolve

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]


@njit(cache=True, nogil=True)
def sort_cell(
    first: int, last: int, pair_demand: Int32, pair_load: Float, row_usd: Float, pair_usd: Float, order: Int32,
    density: Float,
) -> int:  # fmt: skip
    """Sort a cell's pairs by falling gain per replica; returns how many gain anything.

    Insertion into an order that is nearly right already, since prices move little between sweeps.
    """
    count = 0
    for at in range(first, last):
        j = order[at]
        gain = row_usd[pair_demand[j]] - pair_usd[j]
        key = 0.0
        if gain > 0.0:
            key = gain / max(pair_load[j], TINY)
            count += 1
        i = at
        while i > first and (density[i - 1] < key or (density[i - 1] == key and order[i - 1] > j)):
            density[i] = density[i - 1]
            order[i] = order[i - 1]
            i -= 1
        density[i] = key
        order[i] = j
    return count


@njit(cache=True, nogil=True)
def value_block(
    b: int, slice_: int, each: float, most: int, least: int, slices: int, capacity: float, cell_first: Int,
    pair_demand: Int32, pair_load: Float, row_usd: Float, pair_usd: Float, order: Int32, density: Float, earning: Int,
    value: Float,
) -> int:  # fmt: skip
    """Write V_b(1..) to `value`; returns the count beyond which it never grows, or `least`.

    `each` is what a replica costs (below 0: more are always better); `slice_` is the one slice that counts, -1: all.
    """
    for y in range(most + 1):
        value[y] = 0.0
    filled = 0
    for t in range(slices):
        if slice_ < 0 or slice_ == t:
            cell = b * slices + t
            first = cell_first[cell]
            count = sort_cell(first, cell_first[cell + 1], pair_demand, pair_load, row_usd, pair_usd, order, density)
            earning[cell] = count
            if count > 0:
                filled = max(filled, fill_value(density, pair_load, order, first, first + count, capacity, most, value))
    upto = most if each < 0.0 else max(filled, least)
    for y in range(1, upto + 1):
        value[y] -= each * y
    return upto


@njit(cache=True, nogil=True)
def value_group(
    members: Int, member_slice: Int, member_cost: Float, top: int, fill: Int, slices: int, capacity: float,
    cell_first: Int, pair_demand: Int32, pair_load: Float, row_usd: Float, pair_usd: Float, replica_usd: Float,
    least: Int, most: Int, order: Int32, density: Float, earning: Int, value: Float, best: Float, winner: Int,
) -> int:  # fmt: skip
    """Write the best value of 0, 1, … replicas of blocks that exclude each other, and whose it is.

    Returns the largest count of use. −inf: the box does not allow the count.
    """
    forced = 0
    for m in range(len(members)):
        if least[members[m]] > 0:
            forced += 1
    best[0] = 0.0 if forced == 0 else -np.inf
    upto = 0
    if forced > 1:
        return 0
    for m in range(len(members)):
        b = members[m]
        each = replica_usd[b] * member_cost[m]
        high = min(top, most[b])
        if each >= 0.0:
            high = min(high, max(fill[b], least[b]))
        if high <= 0 or high < least[b] or (forced == 1 and least[b] == 0):
            continue
        used = value_block(
            b, member_slice[m], each, high, least[b], slices, capacity, cell_first, pair_demand, pair_load, row_usd,
            pair_usd, order, density, earning, value,
        )  # fmt: skip
        for y in range(upto + 1, used + 1):
            best[y] = -np.inf
        upto = max(upto, used)
        for y in range(max(least[b], 1), used + 1):
            if value[y] > best[y]:
                best[y] = value[y]
                winner[y] = m
    return upto


@njit(cache=True, nogil=True)
def pack_part(
    g0: int, g1: int, base: int, width: int, quantum: int, stride: int, quarters: Int, member_first: Int, members: Int,
    member_slice: Int, member_cost: Float, fill: Int, slices: int, capacity: float, cell_first: Int,
    pair_demand: Int32, pair_load: Float, row_usd: Float, pair_usd: Float, replica_usd: Float, least: Int, most: Int,
    order: Int32, density: Float, earning: Int, value: Float, best: Float, winner: Int, f: Float, spare: Float,
    pick: Int32, label: Int32, reaches: Int,
) -> tuple[int, bool]:  # fmt: skip
    """Best value of choice groups g0..g1-1 by width; the widest useful width, and whether it lies in `spare`."""
    old, new = f, spare
    old[0] = 0.0
    reach = 0
    swapped = False
    for g in range(g0, g1):
        weight = quarters[g] // quantum
        m0, m1 = member_first[g], member_first[g + 1]
        upto = value_group(
            members[m0:m1], member_slice[m0:m1], member_cost[m0:m1], width // weight, fill, slices, capacity,
            cell_first, pair_demand, pair_load, row_usd, pair_usd, replica_usd, least, most, order, density, earning,
            value, best, winner,
        )  # fmt: skip
        if upto == 0 and best[0] == 0.0:
            reaches[g - base] = -1
            continue
        grown = min(width, reach + upto * weight)
        for w in range(reach + 1, grown + 1):
            old[w] = old[reach]
        reach = grown
        row = (g - base) * stride
        convolve(old, new, best, upto, weight, reach, pick[row : row + stride], best[0])
        for w in range(reach + 1):
            label[row + w] = m0 + winner[pick[row + w]]
        reaches[g - base] = reach
        old, new = new, old
        swapped = not swapped
    return reach, swapped


@njit(cache=True, nogil=True)
def share_cell(first: int, last: int, pair_load: Float, room: float, order: Int32, share: Float) -> None:
    """The best filling of `room` replicas by the sorted pairs first..last-1 of a cell."""
    for at in range(first, last):
        j = order[at]
        load = pair_load[j]
        part = 1.0 if load <= room else room / load
        if part <= 0.0:
            break
        share[j] = part
        room -= load * part
        if part < 1.0:
            break
