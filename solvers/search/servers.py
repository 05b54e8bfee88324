"""Servers for given replicas at one site, under what the rest of the plan leaves of power, rack and stock."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.search.ground import Ground
from solvers.search.state import State, Work

Float = NDArray[np.float64]
Int = NDArray[np.int64]

LOOSE = 5e-10


@njit(cache=True, nogil=True)
def site_spare(g: Ground, state: State, work: Work, p: int, unit: int) -> None:
    """Write to `spare` what `unit` may use: site limits less the other units' servers, limit rows less all others'.

    The accounts of the limit rows do not hold site p while it is being fitted, so its other units are taken off here.
    """
    spare, used, room = work.spare, work.used, work.room
    resources = g.site_limit.shape[1]
    for r in range(resources):
        spare[r] = g.site_limit[p, r] * (1 + LOOSE)
    for row in range(len(used)):
        spare[resources + row] = room[row] - used[row] + LOOSE * max(1.0, abs(room[row]))
    for o in range(g.site_offer[p], g.site_offer[p + 1]):
        if g.offer_unit[o] != unit and state.servers[o] > 0:
            draw(o, state.servers[o], g.offer_use, g.limit_first, g.limit_row, g.limit_value, spare)


@njit(cache=True, nogil=True)
def draw(offer: int, count: int, use: Float, limit_first: Int, row: Int, value: Float, spare: Float) -> None:
    """Take `count` servers of the offer off `spare` (negative: put back)."""
    resources = use.shape[1]
    for r in range(resources):
        spare[r] -= use[offer, r] * count
    for k in range(limit_first[offer], limit_first[offer + 1]):
        spare[resources + row[k]] -= value[k] * count


@njit(cache=True, nogil=True)
def fits(offer: int, use: Float, limit_first: Int, row: Int, value: Float, spare: Float) -> bool:
    """Whether one more server of the offer stays within `spare`."""
    resources = use.shape[1]
    for r in range(resources):
        if use[offer, r] > spare[r]:
            return False
    for k in range(limit_first[offer], limit_first[offer + 1]):  # noqa: SIM110 - compiled
        if value[k] > spare[resources + row[k]]:
            return False
    return True


@njit(cache=True, nogil=True)
def meets(first: int, last: int, unit: int, offer_unit: Int, quarters: Int, counts: Int, sizes: Int, need: Int) -> bool:
    """Whether `counts` hold enough GPUs in servers of every size (equation 6)."""
    for z in range(len(sizes)):
        held = 0
        for o in range(first, last):
            if offer_unit[o] == unit and quarters[o] >= sizes[z]:
                held += quarters[o] * counts[o - first]
        if held < need[z]:
            return False
    return True


@njit(cache=True, nogil=True)
def fast_counts(g: Ground, work: Work, p: int, unit: int) -> bool:
    """Try the tabled cheapest servers for the need; True when they fit everything, then they are in `counts`."""
    counts, spare = work.counts, work.spare
    gpus = (work.need[0] + 3) // 4
    k0, k1 = g.kind_first[unit], g.kind_first[unit + 1]
    first, last = g.site_offer[p], g.site_offer[p + 1]
    for o in range(last - first):
        counts[o] = 0
    for k in range(k0, k1):
        left = g.table_count[g.best_first[unit] + gpus * (k1 - k0) + k - k0]
        for at in range(g.offer_first[k], g.offer_first[k + 1]):
            o = g.offers[at]
            counts[o - first] = min(left, g.offer_max[o])
            left -= counts[o - first]
    if not meets(first, last, unit, g.offer_unit, g.offer_quarters, counts, g.sizes, work.need):
        return False
    for o in range(first, last):
        draw(o, counts[o - first], g.offer_use, g.limit_first, g.limit_row, g.limit_value, spare)
    good = True
    for row in range(len(spare)):
        good = good and spare[row] >= 0.0
    for o in range(first, last):
        draw(o, -counts[o - first], g.offer_use, g.limit_first, g.limit_row, g.limit_value, spare)
    return good


@njit(cache=True, nogil=True)
def real_servers(g: Ground, work: Work, p: int, unit: int, size: int) -> bool:
    """Try every vector of counts that `spare` allows: `table` gets the least USD of at least G < size GPUs, `counts`
    the cheapest that meet the need of every size; False when none do. Counts that hold size - 1 GPUs already are
    not added to.
    """
    table, counts, tried, spare = work.table, work.counts, work.try_counts, work.spare
    offer_unit, offer_max, guide, quarters = g.offer_unit, g.offer_max, g.offer_guide, g.offer_quarters
    use, limit_first, limit_row, limit_value = g.offer_use, g.limit_first, g.limit_row, g.limit_value
    first, last = g.site_offer[p], g.site_offer[p + 1]
    for at in range(size):
        table[at] = np.inf
    for o in range(last - first):
        tried[o] = 0
        counts[o] = 0
    best, usd, held = np.inf, 0.0, 0
    o = last
    while o >= first:
        at = min(held // 4, size - 1)
        table[at] = min(table[at], usd)
        if usd < best and meets(first, last, unit, offer_unit, quarters, tried, g.sizes, work.need):
            best = usd
            for j in range(last - first):
                counts[j] = tried[j]
        more = held < 4 * (size - 1)
        o = last - 1
        while o >= first:
            if offer_unit[o] == unit:
                here = tried[o - first]
                if more and here < offer_max[o] and fits(o, use, limit_first, limit_row, limit_value, spare):
                    tried[o - first] = here + 1
                    usd += guide[o]
                    held += quarters[o]
                    draw(o, 1, use, limit_first, limit_row, limit_value, spare)
                    break
                draw(o, -here, use, limit_first, limit_row, limit_value, spare)
                tried[o - first] = 0
                usd -= guide[o] * here
                held -= quarters[o] * here
                more = held < 4 * (size - 1)
            o -= 1
    for at in range(size - 2, -1, -1):
        table[at] = min(table[at], table[at + 1])
    return best < np.inf
