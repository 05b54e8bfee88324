"""Rounding cuts that the averaged choices of a relaxation break: sets of rows of one model that fill replicas unevenly.

A cut's violation, for rows served once, is ⌈W/R⌉ − W/(R·f) + Σ_{b∈B} [Σ_{i∈S} w_i·x̄_ib/(R·f) − F(α_b)·ȳ_b], so B takes
the blocks whose term is positive. S grows greedily from every row, by the violation itself and by how much more the set
weighs than replicas stand for it; the best prefix is kept.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.layout import Layout, cell_block
from solvers.solution import Cuts

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]

LARGEST = 28
POOL = 150
LEAST_SHARE = 1e-3
SHARED = 0.02
LEAST_VIOLATION = 0.03
FRACTIONS = (0.05, 0.98)


class Touched(NamedTuple):
    """The averaged choices, sparse. An entry is a pair with a share."""

    row_first: Int  # I + 1: entries of a row
    entry_block: Int32
    entry_share: Float
    block_first: Int  # B + 1: rows with a share that counts at a block
    block_row: Int32
    replicas: Float  # B
    ratio: Float  # B: weight that a replica carries
    weight: Float  # I
    family: Int32  # I: rows of one model and slice


class Found(NamedTuple):
    """Cuts as they grow, one a seed."""

    rows: Int32  # seeds × LARGEST
    size: Int32
    unit: Float
    violation: Float


@dataclass(frozen=True)
class Means:
    """What the sites chose on average: `share` of the structure's pairs (N), replicas (B)."""

    share: NDArray[np.float32] | Float
    replicas: Float


def touched_of(layout: Layout, means: Means) -> Touched:
    """The sparse view of `means` that the separation reads, with the weight of every row."""
    problem, s = layout.problem, layout.structure
    at = np.flatnonzero(means.share > LEAST_SHARE)
    at = at[problem.demand_model[s.pair_demand[at]] >= 0]  # rows of jobs are not the certificate's
    row = s.pair_demand[at].astype(np.int64)
    block = cell_block(s)[np.searchsorted(s.cell_first, at, side="right") - 1]
    share = means.share[at].astype(float)
    load = s.pair_load[at].astype(float)
    weight, family = _weights(layout, row, block, share, load)
    ratio = np.zeros(problem.blocks)
    np.maximum.at(ratio, block, np.where(load > 0, weight[row] / np.maximum(load, 1e-300), np.inf))
    counts = (share > SHARED) & np.isfinite(ratio[block]) & (weight[row] > 0)
    usable = np.isfinite(ratio[block])
    order = np.lexsort((block[usable], row[usable]))
    near = np.lexsort((row[counts], block[counts]))
    return Touched(
        np.searchsorted(row[usable][order], np.arange(problem.demands + 1)).astype(np.int64),
        block[usable][order].astype(np.int32),
        share[usable][order],
        np.searchsorted(block[counts][near], np.arange(problem.blocks + 1)).astype(np.int64),
        row[counts][near].astype(np.int32),
        means.replicas,
        problem.capacity_factor * np.where(np.isfinite(ratio), ratio, 0.0),
        weight,
        family.astype(np.int32),
    )


def _weights(layout: Layout, row: Int, block: Int, share: Float, load: Float) -> tuple[Float, Int]:
    """Of every row: the replicas it fills of the shape that its model and slice use most, and its (model, slice)."""
    problem = layout.problem
    slices, shapes = max(problem.slices, 1), len(problem.shape_gpu)
    family = np.maximum(problem.demand_model, 0) * slices + problem.demand_slice
    shape = problem.block_shape[block]
    quarters = np.zeros((int(family.max(initial=0)) + 1, max(shapes, 1)))
    np.add.at(quarters, (family[row], shape), share * load * problem.shape_quarters[shape])
    usual = quarters.argmax(axis=1)
    here = shape == usual[family[row]]
    count = np.bincount(row[here], minlength=problem.demands)
    usual_load = np.bincount(row[here], load[here], problem.demands) / np.maximum(count, 1)
    total = np.bincount(row, share, problem.demands)
    mean_load = np.bincount(row, share * load, problem.demands) / np.maximum(total, 1e-300)
    return np.where(count > 0, usual_load, mean_load), family


class _Work(NamedTuple):
    held: Float  # B: weight that S has at a block
    listed: Int32  # blocks that S touches
    is_listed: Int32  # B
    pool: Int32
    is_pooled: Int32  # I: 1 in the pool, 2 in S


@njit(cache=True, nogil=True)
def _rounded(alpha: float, fraction: float) -> float:
    """F(α) at f."""
    whole = np.floor(alpha)
    return float(whole + min(1.0, (alpha - whole) / fraction))


@njit(cache=True, nogil=True)
def _term(held: float, replicas: float, ratio: float, unit: float, fraction: float) -> float:
    """What a block adds to the violation."""
    return max(0.0, held / (unit * fraction) - _rounded(ratio / unit, fraction) * replicas)


@njit(cache=True, nogil=True)
def _violation(t: Touched, work: _Work, listed: int, total: float, unit: float, least: float, most: float) -> float:
    units = total / unit
    fraction = units - np.floor(units)
    if fraction < least or fraction > most:
        return -1.0
    result = np.floor(units) + 1.0 - units / fraction
    for k in range(listed):
        b = work.listed[k]
        result += _term(work.held[b], t.replicas[b], t.ratio[b], unit, fraction)
    return float(result)


@njit(cache=True, nogil=True)
def _extend(t: Touched, work: _Work, i: int, listed: int) -> int:
    """Put row i at its blocks; the new number of listed blocks."""
    for e in range(t.row_first[i], t.row_first[i + 1]):
        b = t.entry_block[e]
        if work.is_listed[b] == 0:
            work.is_listed[b] = 1
            work.listed[listed] = b
            listed += 1
        work.held[b] += t.weight[i] * t.entry_share[e]
    return listed


@njit(cache=True, nogil=True)
def _withdraw(t: Touched, work: _Work, i: int, listed: int, before: int) -> None:
    for e in range(t.row_first[i], t.row_first[i + 1]):
        work.held[t.entry_block[e]] -= t.weight[i] * t.entry_share[e]
    for k in range(before, listed):
        work.is_listed[work.listed[k]] = 0
        work.held[work.listed[k]] = 0.0


@njit(cache=True, nogil=True)
def _neighbours(t: Touched, work: _Work, i: int, pooled: int) -> int:
    """Put rows that share a block with row i into the pool."""
    for e in range(t.row_first[i], t.row_first[i + 1]):
        if t.entry_share[e] <= SHARED:
            continue
        b = t.entry_block[e]
        for k in range(t.block_first[b], t.block_first[b + 1]):
            n = t.block_row[k]
            if pooled < POOL and work.is_pooled[n] == 0 and t.family[n] == t.family[i]:
                work.is_pooled[n] = 1
                work.pool[pooled] = n
                pooled += 1
    return pooled


@njit(cache=True, nogil=True)
def _surplus(t: Touched, work: _Work, i: int, unit: float) -> float:
    """How much more row i adds to the weight of S than to the replicas that stand for it."""
    result = t.weight[i]
    for e in range(t.row_first[i], t.row_first[i + 1]):
        b = t.entry_block[e]
        more = t.weight[i] * t.entry_share[e]
        room = t.replicas[b] * t.ratio[b]
        old = room if work.held[b] > 0.3 * room else work.held[b]
        new = room if work.held[b] + more > 0.3 * room else work.held[b] + more
        result -= new - old
    return float(result)


@njit(cache=True, nogil=True)
def _grow(
    t: Touched, work: _Work, seed: int, unit: float, by_surplus: bool, rows: Int32, best: float
) -> tuple[int, float]:
    """Grow a set from `seed`; writes it to `rows` if it is more violated than `best`; its size (0: not better)."""
    chosen = np.empty(LARGEST, np.int32)
    chosen[0] = seed
    work.is_pooled[seed] = 2
    listed = _extend(t, work, seed, 0)
    pooled = _neighbours(t, work, seed, 0)
    total = t.weight[seed]
    size, best_size = 1, 0
    least, most = FRACTIONS
    now = _violation(t, work, listed, total, unit, least, most)
    if now > best:
        best, best_size = now, 1
    while size < LARGEST:
        pick, score = -1, -np.inf
        for k in range(pooled):
            i = work.pool[k]
            if work.is_pooled[i] == 2:
                continue
            if by_surplus:
                value = _surplus(t, work, i, unit)
            else:
                grown = _extend(t, work, i, listed)
                value = _violation(t, work, grown, total + t.weight[i], unit, 0.01, 0.995)
                _withdraw(t, work, i, grown, listed)
            if value > score:
                pick, score = i, value
        if pick < 0:
            break
        chosen[size] = pick
        size += 1
        work.is_pooled[pick] = 2
        listed = _extend(t, work, pick, listed)
        pooled = _neighbours(t, work, pick, pooled)
        total += t.weight[pick]
        now = _violation(t, work, listed, total, unit, least, most)
        if now > best:
            best, best_size = now, size
    for k in range(best_size):
        rows[k] = chosen[k]
    for k in range(listed):
        work.is_listed[work.listed[k]] = 0
        work.held[work.listed[k]] = 0.0
    for k in range(pooled):
        work.is_pooled[work.pool[k]] = 0
    work.is_pooled[seed] = 0
    return best_size, best


@njit(cache=True, nogil=True)
def _grow_all(t: Touched, seeds: Int, units: Float, found: Found, first: int, last: int) -> None:
    blocks = len(t.replicas)
    work = _Work(
        np.zeros(blocks), np.empty(blocks, np.int32), np.zeros(blocks, np.int32), np.empty(POOL, np.int32),
        np.zeros(len(t.weight), np.int32),
    )  # fmt: skip
    for k in range(first, last):
        for surplus in range(2):
            size, best = _grow(t, work, seeds[k], units[k], surplus == 1, found.rows[k], found.violation[k])
            if size > 0:
                found.size[k] = size
                found.violation[k] = best


def separate(layout: Layout, means: Means, demand_usd: Float, most: int, threads: int = 2) -> Cuts:
    """At most `most` cuts that `means` break, most violated first, no two of nearly the same rows.

    `demand_usd` (I) are the prices that the means come from: pairs that do not pay at them count for nothing.
    """
    touched = touched_of(layout, means)
    seeds, units = _seeds(touched)
    found = Found(
        np.zeros((len(seeds), LARGEST), np.int32),
        np.zeros(len(seeds), np.int32),
        units,
        np.full(len(seeds), LEAST_VIOLATION),
    )
    edges = np.linspace(0, len(seeds), 8 * threads + 1).astype(int)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda a, b: _grow_all(touched, seeds, units, found, a, b), edges[:-1], edges[1:]))
    return _described(layout, touched, found, _pick(found, most), demand_usd)


def _seeds(t: Touched) -> tuple[Int, Float]:
    """Rows to grow from, with each unit that a block of theirs suggests: what one of its replicas carries."""
    seed = np.repeat(np.arange(len(t.weight)), np.diff(t.row_first))
    worth = (t.entry_share > SHARED) & (t.weight[seed] > 0)
    pairs = np.unique(np.stack([seed[worth], np.round(t.ratio[t.entry_block[worth]], 6)]), axis=1)
    return pairs[0].astype(np.int64), pairs[1]


def _pick(found: Found, most: int) -> Int:
    """Seeds whose cuts are kept: by violation, but none that shares more than .7 of its rows with one kept before."""
    order = np.argsort(-found.violation, kind="stable")
    order = order[found.size[order] > 0]
    of_row: dict[int, list[int]] = {}
    kept: list[int] = []
    for k in order.tolist():
        rows = found.rows[k, : found.size[k]].tolist()
        shared: dict[int, int] = {}
        for i in rows:
            for other in of_row.get(i, ()):
                shared[other] = shared.get(other, 0) + 1
        if any(count > 0.7 * min(len(rows), int(found.size[other])) for other, count in shared.items()):
            continue
        kept.append(k)
        for i in rows:
            of_row.setdefault(i, []).append(k)
        if len(kept) == most:
            break
    return np.array(kept, np.int64)


def _described(layout: Layout, t: Touched, found: Found, kept: Int, demand_usd: Float) -> Cuts:
    """The cuts of the `kept` seeds, with the blocks that count by replicas."""
    problem = layout.problem
    pair_first = problem.row_first
    scratch = _Members(np.zeros(problem.blocks), np.zeros(problem.blocks), np.zeros(problem.blocks))
    rows, weights, blocks = [], [], []
    for k in kept.tolist():
        row = np.sort(found.rows[k, : found.size[k]]).astype(np.int64)
        units = float(t.weight[row].sum() / found.unit[k])
        near = _near(t, row, pair_first, problem.pair_block, problem.pair_usd, demand_usd)
        rows.append(row)
        weights.append(t.weight[row])
        blocks.append(
            near[
                _counted(
                    t, scratch, row, near, pair_first, problem.pair_block, problem.pair_load, problem.pair_usd,
                    demand_usd, found.unit[k], units - np.floor(units), problem.capacity_factor,
                )
            ]
        )  # fmt: skip
    return Cuts(
        found.unit[kept],
        np.cumsum([0, *map(len, rows)]),
        np.concatenate([np.empty(0, np.int64), *rows]),
        np.concatenate([np.empty(0), *weights]),
        np.cumsum([0, *map(len, blocks)]),
        np.concatenate([np.empty(0, np.int64), *blocks]),
    )


class _Members(NamedTuple):
    """Work space of `_counted`, B each and 0 between calls."""

    held: Float  # weight of S that stands at a block
    could: Float  # weight of S that would pay there
    best: Float  # the most of it that a replica carries


def _near(t: Touched, row: Int, pair_first: Int, pair_block: Int, pair_usd: Float, demand_usd: Float) -> Int:
    """Blocks that a cut of these rows may count: where one of them stands or would pay."""
    entries = np.concatenate([np.arange(t.row_first[i], t.row_first[i + 1]) for i in row])
    pairs = np.concatenate([np.arange(pair_first[i], pair_first[i + 1]) for i in row])
    price = np.repeat(demand_usd[row], pair_first[row + 1] - pair_first[row])
    paying = pair_block[pairs][price > pair_usd[pairs]]
    return np.unique(np.concatenate([t.entry_block[entries], paying]).astype(np.int64))


@njit(cache=True, nogil=True)
def _counted(
    t: Touched, scratch: _Members, row: Int, near: Int, pair_first: Int, pair_block: Int, pair_load: Float,
    pair_usd: Float, demand_usd: Float, unit: float, fraction: float, capacity: float,
) -> NDArray[np.bool_]:  # fmt: skip
    """Which of the blocks `near` count by replicas: those where that is less than counting by shares.

    Where replicas stand the averages say so. Elsewhere it is less if all rows that would pay there fill more than f of
    a replica: fewer never do, whatever the site chooses.
    """
    counted = np.zeros(len(near), np.bool_)
    for i in row:
        for e in range(t.row_first[i], t.row_first[i + 1]):
            scratch.held[t.entry_block[e]] += t.weight[i] * t.entry_share[e]
        for n in range(pair_first[i], pair_first[i + 1]):
            b = pair_block[n]
            carries = t.weight[i] / pair_load[n] if pair_load[n] > 0.0 else np.inf
            scratch.best[b] = max(scratch.best[b], carries)
            if demand_usd[i] > pair_usd[n]:
                scratch.could[b] += t.weight[i]
    for k in range(len(near)):
        b = near[k]
        if scratch.best[b] < np.inf:
            counts = _rounded(capacity * scratch.best[b] / unit, fraction)
            if t.replicas[b] > LEAST_SHARE:
                counted[k] = scratch.held[b] > unit * fraction * counts * t.replicas[b]
            else:
                counted[k] = scratch.could[b] > unit * fraction * counts
    for i in row:
        for e in range(t.row_first[i], t.row_first[i + 1]):
            scratch.held[t.entry_block[e]] = 0.0
        for n in range(pair_first[i], pair_first[i + 1]):
            scratch.could[pair_block[n]] = 0.0
            scratch.best[pair_block[n]] = 0.0
    return counted
