"""Fit one empty site to the residual demand at given prices: the exact DP of the bound, then what the bound relaxes.

A model takes one block of a unit at a time (the team's best block by quarters); a second pass may add blocks for what
the first left. Servers for replicas of 2, 4 and 8 GPUs (rows of 6), stock, and shared power are checked on the pick; where
they break, the unit is fitted again to the servers that can really be had.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.blocks import TINY, fill_value, sort_falling
from solvers.search.ground import Ground
from solvers.search.servers import cost_table, fast_counts, site_spare, slow_counts
from solvers.search.state import EPS, State, Work, give, release, settle, take

Float = NDArray[np.float64]
Int = NDArray[np.int64]

PASSES = 2


@njit(cache=True, nogil=True)
def entry_of(g: Ground, i: int, p: int) -> int:
    """The entry of row i at site p, -1 without."""
    low, high = g.entry_first[i], g.entry_first[i + 1]
    while low < high:
        middle = (low + high) // 2
        if g.entry_site[middle] < p:
            low = middle + 1
        else:
            high = middle
    if low < g.entry_first[i + 1] and g.entry_site[low] == p:
        return low
    return -1


@njit(cache=True, nogil=True)
def collect(g: Ground, state: State, work: Work, p: int, unit: int, again: bool) -> int:
    """Bring the profitable pairs of the residual demand on one unit into cells, dearest first; how many."""
    found = 0
    b0 = g.block_first[p]
    cells = (g.block_first[p + 1] - b0) * g.slices
    work.cell_first[: cells + 1] = 0
    for k in range(work.number[0]):
        i = work.member[k]
        if work.price[i] <= 0.0:
            continue
        e = entry_of(g, i, p)
        if e < 0:
            continue
        t = g.demand_slice[i]
        worth = work.price[i]
        if g.network:
            worth -= g.uplink_usd[p, t] * g.out_mbps[i] + g.downlink_usd[p, t] * g.in_mbps[i]
        for n in range(g.entry_pair[e], g.entry_pair[e + 1]):
            b = g.pair_block[n]
            gain = worth - g.pair_usd[n]
            if gain <= 0.0 or g.block_unit[b] != unit or g.block_cap[b] == 0 or (again and excluded(g, state, p, b)):
                continue
            cell = (b - b0) * g.slices + t
            work.pair[found] = n
            work.cell[found] = cell
            work.load[found] = g.pair_load[n] * work.left[i]
            work.density[found] = gain / max(g.pair_load[n], TINY)
            work.cell_first[cell + 1] += 1
            found += 1
    for c in range(cells):
        work.cell_first[c + 1] += work.cell_first[c]
    place_cells(work, found, cells)
    return found


@njit(cache=True, nogil=True)
def excluded(g: Ground, state: State, p: int, block: int) -> bool:
    """Whether another block of the choice already stands at the site."""
    choice = g.block_choice[block]
    if choice < 0:
        return False
    for b in range(g.block_first[p], g.block_first[p + 1]):
        if b != block and state.replicas[b] > 0 and g.block_choice[b] == choice:
            return True
    return False


@njit(cache=True, nogil=True)
def place_cells(work: Work, found: int, cells: int) -> None:
    """Order the collected pairs by cell, then by density; `density` ends up in that order, `order` names them."""
    for k in range(found):
        c = work.cell[k]
        work.order[work.cell_first[c]] = k
        work.cell_first[c] += 1
    for c in range(cells, 0, -1):
        work.cell_first[c] = work.cell_first[c - 1]
    work.cell_first[0] = 0
    for k in range(found):
        work.scratch[k] = work.density[work.order[k]]
    work.density[:found] = work.scratch[:found]
    for c in range(cells):
        if work.cell_first[c + 1] > work.cell_first[c] + 1:
            sort_falling(work.density, work.order, work.cell_first[c], work.cell_first[c + 1])


@njit(cache=True, nogil=True)
def team_values(g: Ground, state: State, work: Work, p: int, unit: int, team: int, width: int, at: int) -> int:
    """Write the best value of the team by steps of the quantum behind `at`; returns the widest useful step."""
    quantum = g.unit_quantum[unit]
    b0 = g.block_first[p]
    upto = 0
    work.value[at] = 0.0
    work.best[at] = -1
    for m in range(g.member_first[team], g.member_first[team + 1]):
        b = g.members[m]
        c0 = (b - b0) * g.slices
        if work.cell_first[c0] == work.cell_first[c0 + g.slices]:
            continue
        weight = g.block_quarters[b] // quantum
        most = min(width // weight, g.block_cap[b] - state.replicas[b])
        if most <= 0:
            continue
        work.block_value[: most + 1] = 0.0
        filled = 0
        for t in range(g.slices):
            a, e = work.cell_first[c0 + t], work.cell_first[c0 + t + 1]
            if e > a:
                filled = max(
                    filled, fill_value(work.density, work.load, work.order, a, e, g.capacity, most, work.block_value)
                )
        for w in range(upto + 1, filled * weight + 1):
            work.value[at + w] = work.value[at + upto]
            work.best[at + w] = -1
        upto = max(upto, filled * weight)
        for y in range(1, filled + 1):
            w = y * weight
            if work.block_value[y] > work.value[at + w]:
                work.value[at + w] = work.block_value[y]
                work.best[at + w] = m
    return upto


@njit(cache=True, nogil=True)
def useful_steps(work: Work, at: int, upto: int) -> int:
    """List the widths of a team that are worth more than every smaller one; how many."""
    steps, most = 0, 0.0
    for w in range(1, upto + 1):
        if work.best[at + w] >= 0 and work.value[at + w] > most:
            most = work.value[at + w]
            work.step[steps] = w
            work.step_value[steps] = most
            steps += 1
    return steps


@njit(cache=True, nogil=True)
def unit_dp(g: Ground, state: State, work: Work, p: int, unit: int, width: int) -> int:
    """Best value by width over all teams of the unit; returns the widest useful width."""
    at = reach = 0
    t0 = g.team_first[unit]
    stride = len(work.f)
    work.f[0] = 0.0
    for team in range(t0, g.team_first[unit + 1]):
        row = team - t0
        work.value_first[row] = at
        upto = team_values(g, state, work, p, unit, team, width, at)
        grown = min(width, reach + upto)
        for w in range(reach + 1, grown + 1):
            work.f[w] = work.f[reach]
        reach = grown
        base = row * stride
        work.choice[base : base + reach + 1] = 0
        steps = useful_steps(work, at, upto)
        if steps > 0:
            for w in range(reach, 0, -1):
                best, pick = work.f[w], 0
                for k in range(steps):
                    if work.step[k] > w:
                        break
                    v = work.f[w - work.step[k]] + work.step_value[k]
                    if v > best:
                        best, pick = v, work.step[k]
                work.f[w] = best
                work.choice[base + w] = pick
        at += upto + 1
    work.value_first[g.team_first[unit + 1] - t0] = at
    return reach


@njit(cache=True, nogil=True)
def best_width(g: Ground, work: Work, unit: int, table: Float, base_quarters: int, reach: int) -> tuple[int, float]:
    """The width that pays most over the servers of `table`, and how much; width -1 when nothing pays."""
    quantum = g.unit_quantum[unit]
    start = table[(base_quarters + 3) // 4]
    best, width = 1e-9, -1
    for gpus in range((base_quarters + 3) // 4, len(table)):
        room = 4 * gpus - base_quarters
        w = min(room // quantum, reach)
        profit = work.f[w] - (table[gpus] - start)
        if profit > best:
            best, width = profit, w
        if w == reach:
            break
    return width, best


@njit(cache=True, nogil=True)
def read_picks(g: Ground, work: Work, unit: int, w: int) -> None:
    """The blocks and counts behind width `w`."""
    t0 = g.team_first[unit]
    stride = len(work.f)
    quantum = g.unit_quantum[unit]
    picks = 0
    for row in range(g.team_first[unit + 1] - t0 - 1, -1, -1):
        reach = 0
        for r in range(row + 1):
            reach += work.value_first[r + 1] - work.value_first[r] - 1
        w = min(w, reach)
        y = work.choice[row * stride + w]
        if y > 0:
            b = g.members[work.best[work.value_first[row] + y]]
            work.pick_block[picks] = b
            work.pick_count[picks] = y * quantum // g.block_quarters[b]
            picks += 1
            w -= y
    work.number[1] = picks


@njit(cache=True, nogil=True)
def need_of(g: Ground, state: State, work: Work, p: int, unit: int) -> None:
    """Quarters by size that the standing and the picked replicas of the unit ask for."""
    work.need[:] = 0
    for b in range(g.block_first[p], g.block_first[p + 1]):
        if g.block_unit[b] == unit and state.replicas[b] > 0:
            for z in range(4):
                if g.block_quarters[b] >= g.sizes[z]:
                    work.need[z] += g.block_quarters[b] * state.replicas[b]
    for k in range(work.number[1]):
        b = work.pick_block[k]
        for z in range(4):
            if g.block_quarters[b] >= g.sizes[z]:
                work.need[z] += g.block_quarters[b] * work.pick_count[k]


@njit(cache=True, nogil=True)
def serve_picks(g: Ground, state: State, work: Work, p: int) -> float:
    """Stand the picked replicas up and serve; returns the gain at the prices."""
    gained = 0.0
    b0 = g.block_first[p]
    base = g.item_first[p]
    for k in range(work.number[1]):
        b = work.pick_block[k]
        state.replicas[b] += work.pick_count[k]
        for t in range(g.slices):
            room = g.capacity * work.pick_count[k]
            c = (b - b0) * g.slices + t
            for j in range(work.cell_first[c], work.cell_first[c + 1]):
                n = work.pair[work.order[j]]
                i = g.pair_demand[n]
                share = work.left[i]
                if g.pair_load[n] * share > room:
                    share = room / g.pair_load[n]
                if share <= EPS:
                    continue
                room -= g.pair_load[n] * share
                state.item[base + state.count[p]] = n
                state.share[base + state.count[p]] = share
                state.count[p] += 1
                gained += share * work.density[j] * max(g.pair_load[n], TINY)
                take(work, i, share)
                if room <= 0.0:
                    break
    return gained


@njit(cache=True, nogil=True)
def fit_unit(g: Ground, state: State, work: Work, p: int, unit: int, again: bool) -> float:
    """Add to one unit what pays at the prices; returns the profit, 0 when nothing was added."""
    if collect(g, state, work, p, unit, again) == 0:
        return 0.0
    work.number[1] = 0
    need_of(g, state, work, p, unit)
    base = work.need[0]
    t0, t1 = g.table_first[unit], g.table_first[unit + 1]
    table = g.table_cost[t0:t1]
    top = min(g.table_most[unit], t1 - t0 - 1)
    width = (4 * top - base) // g.unit_quantum[unit]
    if width <= 0:
        return 0.0
    reach = unit_dp(g, state, work, p, unit, width)
    w, _ = best_width(g, work, unit, table, base, reach)
    if w <= 0:
        return 0.0
    before = servers_usd(g, state, p, unit)
    read_picks(g, work, unit, w)
    need_of(g, state, work, p, unit)
    site_spare(g, state, work, p, unit)
    if not fast_counts(g, work, p, unit):
        cost_table(g, work, p, unit, t1 - t0)
        if base > 0 and not np.isfinite(work.table[(base + 3) // 4]):
            return 0.0
        w, _ = best_width(g, work, unit, work.table[: t1 - t0], base, reach)
        if w <= 0:
            return 0.0
        read_picks(g, work, unit, w)
        while True:
            need_of(g, state, work, p, unit)
            if slow_counts(g, work, p, unit):
                break
            if not shrink(g, work):
                return 0.0
    for o in range(g.site_offer[p], g.site_offer[p + 1]):
        if of_unit(g, o, p, unit):
            state.servers[o] = work.counts[o - g.site_offer[p]]
    gained = serve_picks(g, state, work, p)
    return gained - (servers_usd(g, state, p, unit) - before)


@njit(cache=True, nogil=True)
def shrink(g: Ground, work: Work) -> bool:
    """Take one replica of the largest picked shape away; False when none is left."""
    largest = -1
    for k in range(work.number[1]):
        if work.pick_count[k] > 0 and (
            largest < 0 or g.block_quarters[work.pick_block[k]] > g.block_quarters[work.pick_block[largest]]
        ):
            largest = k
    if largest < 0:
        return False
    work.pick_count[largest] -= 1
    for k in range(work.number[1]):
        if work.pick_count[k] > 0:
            return True
    return False


@njit(cache=True, nogil=True)
def of_unit(g: Ground, offer: int, p: int, unit: int) -> bool:
    """Whether the servers of the offer are of the unit's GPU type."""
    return g.offer_unit[offer] == unit


@njit(cache=True, nogil=True)
def servers_usd(g: Ground, state: State, p: int, unit: int) -> float:
    """What the unit's servers cost at the guiding prices."""
    usd = 0.0
    for o in range(g.site_offer[p], g.site_offer[p + 1]):
        if g.offer_unit[o] == unit:
            usd += state.servers[o] * g.offer_guide[o]
    return usd


@njit(cache=True, nogil=True)
def keep_network(g: Ground, state: State, work: Work, p: int) -> None:
    """Give back the least worthy traffic until the site's links hold it (equation 9)."""
    base = g.item_first[p]
    for t in range(g.slices):
        out = into = 0.0
        for j in range(base, base + state.count[p]):
            i = g.pair_demand[state.item[j]]
            if g.demand_slice[i] == t:
                out += state.share[j] * g.out_mbps[i]
                into += state.share[j] * g.in_mbps[i]
        while out > g.uplink[p] * (1 + 1e-12) or into > g.downlink[p] * (1 + 1e-12):
            worst, at = np.inf, -1
            for j in range(base, base + state.count[p]):
                i = g.pair_demand[state.item[j]]
                if g.demand_slice[i] != t or state.share[j] <= 0.0:
                    continue
                mbps = (g.out_mbps[i] if out > g.uplink[p] else 0.0) + (g.in_mbps[i] if into > g.downlink[p] else 0.0)
                if mbps > 0.0 and (work.price[i] - g.pair_usd[state.item[j]]) / mbps < worst:
                    worst, at = (work.price[i] - g.pair_usd[state.item[j]]) / mbps, j
            if at < 0:
                break
            i = g.pair_demand[state.item[at]]
            back = state.share[at]
            over = 0.0
            if out > g.uplink[p] and g.out_mbps[i] > 0.0:
                over = max(over, (out - g.uplink[p]) / g.out_mbps[i])
            if into > g.downlink[p] and g.in_mbps[i] > 0.0:
                over = max(over, (into - g.downlink[p]) / g.in_mbps[i])
            back = min(back, over * (1 + 1e-9) + 1e-12)
            out -= back * g.out_mbps[i]
            into -= back * g.in_mbps[i]
            state.share[at] -= back
            give(work, i, back)


@njit(cache=True, nogil=True)
def refit(g: Ground, state: State, work: Work, p: int) -> None:
    """Fit the empty site p to the residual demand at `work.price`; it stays closed when that does not pay."""
    profit = 0.0
    u0, u1 = g.unit_first[p], g.unit_first[p + 1]
    for again in range(PASSES):
        added = 0.0
        turn = np.random.randint(0, u1 - u0) if u1 - u0 > 1 else 0
        for k in range(u1 - u0):
            added += fit_unit(g, state, work, p, u0 + (k + turn) % (u1 - u0), again > 0)
        profit += added
        if added <= 0.0:
            break
    if g.network and state.count[p] > 0:
        keep_network(g, state, work, p)
    settle(g, state, work, p)
    if state.open[p] and (profit <= g.open_usd[p] or work.money[0] > work.money[1]):
        release(g, state, work, p)
