"""Fit one empty site to the residual demand at given prices: the exact DP of the bound, then what the bound relaxes.

A model takes one block of a unit at a time (the team's best block by quarters); a second pass may add blocks for what
the first left. Servers for replicas of 2, 4 and 8 GPUs (rows of 6), stock, and shared power are checked on the
pick; where they break, the unit is fitted again to the servers that can really be had.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.blocks import TINY
from solvers.search.collect import collect
from solvers.search.ground import Ground
from solvers.search.network import keep_network
from solvers.search.servers import fast_counts, real_servers, site_spare
from solvers.search.state import EPS, State, Work, release, settle, take
from solvers.search.unit import best_width, read_picks, unit_dp

Float = NDArray[np.float64]
Int = NDArray[np.int64]

THRIFTY = 4
"""Times that prices are halved."""


@njit(cache=True, nogil=True)
def need_of(
    first: int, last: int, unit: int, block_unit: Int, block_slice: Int, quarters: Int, replicas: Int, sizes: Int,
    need: Int, parts: int, picks: int, pick_block: Int, pick_count: Int,
) -> None:  # fmt: skip
    """Quarters by size that the unit's standing and picked replicas ask for in its fullest part, in `need`."""
    for z in range(len(sizes)):
        need[z] = 0
    for t in range(parts):
        for z in range(len(sizes)):
            total = 0
            for b in range(first, last):
                if block_unit[b] == unit and quarters[b] >= sizes[z] and (parts == 1 or block_slice[b] == t):
                    total += quarters[b] * replicas[b]
            for k in range(picks):
                if quarters[pick_block[k]] >= sizes[z] and (parts == 1 or block_slice[pick_block[k]] == t):
                    total += quarters[pick_block[k]] * pick_count[k]
            need[z] = max(need[z], total)


@njit(cache=True, nogil=True)
def taken_quarters(g: Ground, state: State, work: Work, p: int, unit: int) -> int:
    """Quarters that the unit's replicas take in its fullest part; what the others have free goes to `shift`."""
    parts = g.part_first[unit + 1] - g.part_first[unit]
    shift, replicas = work.shift, state.replicas
    most = 0
    for t in range(parts):
        base = 0
        for b in range(g.block_first[p], g.block_first[p + 1]):
            if g.block_unit[b] == unit and (parts == 1 or g.block_slice[b] == t):
                base += g.block_quarters[b] * replicas[b]
        shift[t] = base
        most = max(most, base)
    for t in range(parts):
        shift[t] = (most - shift[t]) // g.unit_quantum[unit]
    return most


@njit(cache=True, nogil=True)
def serve_picks(g: Ground, state: State, work: Work, p: int) -> float:
    """Stand the picked replicas up and serve; returns the gain at the prices."""
    pair_demand, pair_load, left, order, density = g.pair_demand, g.pair_load, work.left, work.order, work.density
    pair, cell_first, item, shares = work.pair, work.cell_first, state.item, state.share
    slices, capacity = g.slices, g.capacity
    gained = 0.0
    b0 = g.block_first[p]
    end, last = g.item_first[p] + state.length[p], g.item_first[p + 1]
    start = end
    for k in range(work.number[1]):
        b = work.pick_block[k]
        count = work.pick_count[k]
        state.replicas[b] += count
        gained -= count * g.replica_usd[b]
        for t in range(slices):
            room = capacity * count
            c = (b - b0) * slices + t
            for j in range(cell_first[c], cell_first[c + 1]):
                n = pair[order[j]]
                i = pair_demand[n]
                load = pair_load[n]
                share = left[i]
                if load * share > room:
                    share = room / load
                if share <= EPS:
                    continue
                if end == last:
                    break  # a pair that is listed twice took another's place
                room -= load * share
                item[end] = n
                shares[end] = share
                end += 1
                gained += share * density[j] * max(load, TINY)
                take(work, i, share)
                if room <= 0.0:
                    break
    state.length[p] += end - start
    return gained


@njit(cache=True, nogil=True)
def shrink(picks: int, pick_block: Int, pick_count: Int, quarters: Int) -> bool:
    """Take one replica of the largest picked shape away; False when none is left."""
    largest, total = -1, 0
    for k in range(picks):
        total += pick_count[k]
        if pick_count[k] > 0 and (largest < 0 or quarters[pick_block[k]] > quarters[pick_block[largest]]):
            largest = k
    if largest >= 0:
        pick_count[largest] -= 1
    return total > 1


@njit(cache=True, nogil=True)
def servers_usd(first: int, last: int, unit: int, offer_unit: Int, guide: Float, servers: Int) -> float:
    """What the unit's servers cost at the guiding prices."""
    usd = 0.0
    for o in range(first, last):
        if offer_unit[o] == unit:
            usd += servers[o] * guide[o]
    return usd


@njit(cache=True, nogil=True)
def fit_servers(g: Ground, state: State, work: Work, p: int, unit: int, reach: int, base: int) -> bool:
    """Choose the picks and the servers under them, in `counts`; False when nothing can stand."""
    b0, b1 = g.block_first[p], g.block_first[p + 1]
    quantum = g.unit_quantum[unit]
    parts = g.part_first[unit + 1] - g.part_first[unit]
    t0, t1 = g.table_first[unit], g.table_first[unit + 1]
    w = best_width(work.profile, quantum, g.table_cost[t0:t1], base, reach)
    if w < 0:
        return False
    read_picks(g, work, unit, w)
    real = False
    most = min(t1 - t0, (base + reach * quantum + 3) // 4 + 8)
    while True:
        need_of(b0, b1, unit, g.block_unit, g.block_slice, g.block_quarters, state.replicas, g.sizes, work.need, parts,
                work.number[1], work.pick_block, work.pick_count)  # fmt: skip
        site_spare(g, state, work, p, unit)
        if not real and fast_counts(g, work, p, unit):
            return True
        if real_servers(g, work, p, unit, most):
            return True
        if not real:
            real = True
            w = -1
            if np.isfinite(work.table[(base + 3) // 4]):
                w = best_width(work.profile, quantum, work.table[:most], base, reach)
            if w < 0:
                return False
            read_picks(g, work, unit, w)
        elif not shrink(work.number[1], work.pick_block, work.pick_count, g.block_quarters):
            return False


@njit(cache=True, nogil=True)
def fit_unit(g: Ground, state: State, work: Work, p: int, unit: int) -> float:
    """Add to one unit what pays at the prices; returns the profit, 0 when nothing was added."""
    if collect(g, state, work, p, unit) == 0:
        return 0.0
    o0, o1 = g.site_offer[p], g.site_offer[p + 1]
    base = taken_quarters(g, state, work, p, unit)
    top = min(g.table_most[unit], g.table_first[unit + 1] - g.table_first[unit] - 1)
    width = (4 * top - base) // g.unit_quantum[unit]
    if width < 0 or width + work.shift[: g.part_first[unit + 1] - g.part_first[unit]].max() <= 0:
        return 0.0
    reach = unit_dp(g, state, work, p, unit, width)
    if not fit_servers(g, state, work, p, unit, reach, base):
        return 0.0
    before = servers_usd(o0, o1, unit, g.offer_unit, g.offer_guide, state.servers)
    for o in range(o0, o1):
        if g.offer_unit[o] == unit:
            state.servers[o] = work.counts[o - o0]
    gained = serve_picks(g, state, work, p)
    return gained - (servers_usd(o0, o1, unit, g.offer_unit, g.offer_guide, state.servers) - before)


@njit(cache=True, nogil=True)
def refit(g: Ground, state: State, work: Work, p: int, turn: int, passes: int) -> None:
    """Fit the empty site p to the residual demand at `work.price`; it stays closed when that does not pay.

    `turn` says which of the site's GPU types is filled first; a second pass adds blocks for what the first left. Where
    sites are few, one that there is no money for is fitted again at lower prices: it serves what pays best.
    """
    fit_site(g, state, work, p, turn, passes)
    tries = THRIFTY if work.temper[0] > 0.0 else 0
    while tries > 0 and state.open[p] and work.money[0] > work.money[1]:
        release(g, state, work, p)
        work.temper[1] *= 0.5
        fit_site(g, state, work, p, turn, passes)
        tries -= 1
    work.temper[1] = 1.0
    if state.open[p] and work.money[0] > work.money[1]:
        release(g, state, work, p)


@njit(cache=True, nogil=True)
def fit_site(g: Ground, state: State, work: Work, p: int, turn: int, passes: int) -> None:
    """Fit the empty site p whatever there is money for; it stays closed when that does not pay."""
    work.number[5] += 1
    profit = fill_site(g, state, work, p, turn, passes)
    if state.open[p] and profit <= g.open_usd[p]:
        release(g, state, work, p)


@njit(cache=True, nogil=True)
def fill_site(g: Ground, state: State, work: Work, p: int, turn: int, passes: int) -> float:
    """Add what pays to site p, as it stands, and settle it; what that earns before the site's opening."""
    profit = 0.0
    u0, u1 = g.unit_first[p], g.unit_first[p + 1]
    for _ in range(passes):
        added = 0.0
        for k in range(u1 - u0):
            added += fit_unit(g, state, work, p, u0 + (k + turn) % (u1 - u0))
        profit += added
        if added <= 0.0:
            break
    if g.network and state.length[p] > 0:
        keep_network(g, state, work, p)
    settle(g, state, work, p)
    return profit
