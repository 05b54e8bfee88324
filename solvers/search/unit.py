"""The exact choice of blocks and replicas of one unit: a DP over quarter GPUs, one block of a model at a time."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.blocks import fill_value
from solvers.bound.packing import raise_by
from solvers.search.ground import Ground
from solvers.search.state import State, Work

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]


@njit(cache=True, nogil=True)
def size_value(
    g: Ground, state: State, work: Work, first: int, last: int, b0: int, width: int, value: Float, winner: Int32
) -> int:
    """Write the best value by replicas of members first..last-1 (one size), what they cost taken off, to `value`;
    the useful count."""
    cell_first, block_value = work.cell_first, work.block_value
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
                filled = max(
                    filled, fill_value(work.density, work.load, work.order, a, e, g.capacity, most, block_value)
                )
        each = g.replica_usd[b]
        for y in range(1, filled + 1):
            worth = block_value[y] - each * y
            if y > upto or worth > value[y]:
                value[y] = worth
                winner[y] = at
        upto = max(upto, filled)
    return upto


@njit(cache=True, nogil=True)
def unit_dp(g: Ground, state: State, work: Work, p: int, unit: int, width: int) -> int:
    """Best value by width over all parts of the unit, in `profile`; returns the widest useful width.

    A part has `work.shift` more room than the width, where fewer of its quarters are taken than in the fullest part.
    """
    stride = work.stride[0]
    first = g.part_first[unit]
    sizes = values = reach = 0
    for part in range(first, g.part_first[unit + 1]):
        shift = work.shift[part - first]
        sizes, values, grown = part_dp(g, state, work, p, unit, part, width + shift, sizes, values)
        work.part_reach[part - first] = grown
        reach = max(reach, grown - shift)
    profile = work.profile
    for w in range(reach + 1):
        profile[w] = 0.0
    for part in range(first, g.part_first[unit + 1]):
        last = row_of(g, unit, part + 1) - 1
        f, grown, shift = work.f, work.part_reach[part - first], work.shift[part - first]
        for w in range(reach + 1):
            profile[w] += f[last * stride + min(w + shift, grown)]
    return reach


@njit(cache=True, nogil=True)
def row_of(g: Ground, unit: int, part: int) -> int:
    """The row of `f` before the first team of a part of the unit; every team adds one, and every part one more."""
    first = g.part_first[unit]
    return int(g.team_first[part] - g.team_first[first] + part - first)


@njit(cache=True, nogil=True)
def part_dp(
    g: Ground, state: State, work: Work, p: int, unit: int, part: int, width: int, sizes: int, values: int
) -> tuple[int, int, int]:
    """Best value by width after every team of the part, in its rows of `f`; the next free positions in the lists of
    sizes and values, and the widest useful width.
    """
    quantum = g.unit_quantum[unit]
    members, member_first, quarters = g.members, g.member_first, g.block_quarters
    f, reaches, value_first = work.f, work.reach, work.value_first
    b0 = g.block_first[p]
    stride = work.stride[0]
    t0 = g.team_first[g.part_first[unit]]
    row0 = row_of(g, unit, part) - g.team_first[part]
    f[row_of(g, unit, part) * stride] = 0.0
    reach = 0
    for team in range(g.team_first[part], g.team_first[part + 1]):
        row = (row0 + team) * stride
        old, new = f[row : row + stride], f[row + stride : row + 2 * stride]
        before = reach
        at = member_first[team]
        first = sizes
        while at < member_first[team + 1]:
            size = quarters[members[at]]
            last = at + 1
            while last < member_first[team + 1] and quarters[members[last]] == size:
                last += 1
            upto = size_value(
                g, state, work, at, last, b0, width // (size // quantum), work.value[values:], work.winner[values:]
            )
            work.size_weight[sizes] = size // quantum
            value_first[sizes] = values
            reach = max(reach, min(width, before + upto * (size // quantum)))
            values += upto + 1
            sizes += 1
            value_first[sizes] = values
            at = last
        for w in range(before + 1, reach + 1):
            old[w] = old[before]
        for w in range(reach + 1):
            new[w] = old[w]
        for z in range(first, sizes):
            value = work.value[value_first[z] : value_first[z + 1]]
            raise_by(old, new, value, len(value) - 1, work.size_weight[z], reach)
        reaches[team - t0] = reach
        work.team_size[team - t0] = first
        work.team_size[team - t0 + 1] = sizes
    return sizes, values, reach


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
def read_picks(g: Ground, work: Work, unit: int, width: int) -> None:
    """The blocks and counts behind `width`: in every team the best last step, found again."""
    first = g.part_first[unit]
    t0 = g.team_first[first]
    stride = work.stride[0]
    f, value, value_first = work.f, work.value, work.value_first
    picks = 0
    for part in range(first, g.part_first[unit + 1]):
        w = min(width + work.shift[part - first], work.part_reach[part - first])
        row0 = row_of(g, unit, part) - g.team_first[part]
        for team in range(g.team_first[part + 1] - 1, g.team_first[part] - 1, -1):
            w = min(w, work.reach[team - t0])
            row = (row0 + team) * stride
            best, size, count = f[row + w], -1, 0
            for z in range(work.team_size[team - t0], work.team_size[team - t0 + 1]):
                weight = work.size_weight[z]
                base = value_first[z]
                for y in range(1, min(value_first[z + 1] - base - 1, w // weight) + 1):
                    v = f[row + w - y * weight] + value[base + y]
                    if v > best:
                        best, size, count = v, z, y
            if size >= 0:
                work.pick_block[picks] = g.members[work.winner[value_first[size] + count]]
                work.pick_count[picks] = count
                picks += 1
                w -= count * work.size_weight[size]
    work.number[1] = picks
