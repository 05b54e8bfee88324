"""The exact choice of blocks and replicas of one unit: a DP over quarter GPUs, one block of a model at a time."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.blocks import fill_value
from solvers.bound.packing import convolve_into
from solvers.search.ground import Ground
from solvers.search.state import State, Work

Float = NDArray[np.float64]
Int = NDArray[np.int64]


@njit(cache=True, nogil=True)
def size_value(g: Ground, state: State, work: Work, first: int, last: int, b0: int, width: int) -> int:
    """Write the best value by replicas of members first..last-1 (one size) to `value` and `winner`; the useful count."""
    cell_first, block_value, value, winner = work.cell_first, work.block_value, work.value, work.winner
    slices = g.slices
    upto = 0
    for at in range(first, last):
        b = g.members[at]
        c0 = (b - b0) * slices
        most = min(width, g.block_cap[b] - state.replicas[b])
        if cell_first[c0] == cell_first[c0 + slices] or most <= 0:
            continue
        for y in range(most + 1):
            block_value[y] = 0.0
        filled = 0
        for t in range(slices):
            a, e = cell_first[c0 + t], cell_first[c0 + t + 1]
            if e > a:
                filled = max(filled, fill_value(work.density, work.load, work.order, a, e, g.capacity, most, block_value))
        for y in range(1, filled + 1):
            if y > upto or block_value[y] > value[y]:
                value[y] = block_value[y]
                winner[y] = at
        upto = max(upto, filled)
    return upto


@njit(cache=True, nogil=True)
def unit_dp(g: Ground, state: State, work: Work, p: int, unit: int, width: int) -> int:
    """Best value by width over all teams of the unit, in `f`; returns the widest useful width."""
    quantum = g.unit_quantum[unit]
    members, member_first, quarters = g.members, g.member_first, g.block_quarters
    b0 = g.block_first[p]
    old, new = work.f, work.f2
    stride = len(old)
    t0 = g.team_first[unit]
    old[0] = 0.0
    reach = 0
    for team in range(t0, g.team_first[unit + 1]):
        row = (team - t0) * stride
        pick, label = work.pick[row : row + stride], work.label[row : row + stride]
        before = reach
        for w in range(reach + 1):
            new[w] = old[w]
            pick[w] = 0
        at = member_first[team]
        while at < member_first[team + 1]:
            size = quarters[members[at]]
            last = at + 1
            while last < member_first[team + 1] and quarters[members[last]] == size:
                last += 1
            weight = size // quantum
            upto = size_value(g, state, work, at, last, b0, width // weight)
            grown = max(reach, min(width, before + upto * weight))
            for w in range(reach + 1, grown + 1):
                old[w] = old[before]
                new[w] = new[reach]
                pick[w] = pick[reach]
                label[w] = label[reach]
            reach = grown
            convolve_into(old, new, work.value, upto, weight, reach, pick, label, work.winner)
            at = last
        work.reach[team - t0] = reach
        old, new = new, old
    for w in range(reach + 1):
        work.profile[w] = old[w]
    return reach


@njit(cache=True, nogil=True)
def best_width(profile: Float, quantum: int, table: Float, base: int, reach: int) -> int:
    """The width that pays most over the servers of `table` on top of `base` quarters; -1 when nothing pays."""
    first = (base + 3) // 4
    start = table[first]
    best, width = 1e-9, -1
    for gpus in range(first, len(table)):
        w = min((4 * gpus - base) // quantum, reach)
        profit = profile[w] - (table[gpus] - start)
        if profit > best:
            best, width = profit, w
        if w == reach:
            break
    return width


@njit(cache=True, nogil=True)
def read_picks(g: Ground, work: Work, unit: int, w: int) -> None:
    """The blocks and counts behind width `w`."""
    t0 = g.team_first[unit]
    stride = len(work.f)
    quantum = g.unit_quantum[unit]
    picks = 0
    for row in range(g.team_first[unit + 1] - t0 - 1, -1, -1):
        w = min(w, work.reach[row])
        y = work.pick[row * stride + w]
        if y > 0:
            b = g.members[work.label[row * stride + w]]
            work.pick_block[picks] = b
            work.pick_count[picks] = y
            picks += 1
            w -= y * g.block_quarters[b] // quantum
    work.number[1] = picks
