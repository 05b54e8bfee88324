"""Covers that the averaged choices of a relaxation break: rows of one model for which few replicas stand.

A cover's violation is k + 1 − Σ_b (k + 1)·m_b/(k + m_b) − Σ_{i∈S} (1 + 1/k)·w_i/(R·f)·u_i on average; that of a
block's term is taken as if it had its replicas always, or not at all. S grows from every row by the row that brings
the least replicas of its own for its weight, so that rows whose blocks are all there come first; the best set is kept.
Weights are the least replicas that a row keeps busy and R is one replica: a block of the most capacity counts as one.
"""

from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.backup import secured, standing
from solvers.problem import Problem, firsts
from solvers.solution import Covers

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]

LARGEST = 60
LEAST_VIOLATION = 0.05
FRACTIONS = (0.05, 0.999)
ALIKE = 0.8
"""Rows that two covers may share, of the smaller."""


class Reaches(NamedTuple):
    """Where rows may stand. Entries are sorted by row, then block."""

    row_first: Int  # I + 1
    block: Int32
    carries: Float  # of the row's weight, in replicas
    block_first: Int  # B + 1: rows of a block
    block_row: Int32
    replicas: Float  # B: averages
    present: Float  # B: how often there is any
    unserved: Float  # I
    weight: Float  # I: least replicas busy; 0 where no cover may take the row
    family: Int  # I: rows of one model and slice


class Found(NamedTuple):
    """Covers as they grow, one a seed."""

    rows: Int32  # seeds × LARGEST
    size: Int32
    violation: Float


def find_covers(
    problem: Problem, shares: Float, replicas: Float, present: Float, most: int, threads: int = 2
) -> Covers:
    """At most `most` covers that the averages break, most violated first, no two of nearly the same rows.

    `shares` (N) and `replicas` (B) are averaged choices, `present` (B) how often a block has any; `problem` has N-1 as
    planned.
    """
    reaches = _reaches(problem, shares, replicas, present)
    seeds = np.flatnonzero(reaches.weight > 0)
    found = Found(
        np.zeros((len(seeds), LARGEST), np.int32),
        np.zeros(len(seeds), np.int32),
        np.full(len(seeds), LEAST_VIOLATION),
    )
    edges = np.linspace(0, len(seeds), 8 * threads + 1).astype(int)
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda a, b: _grow_all(reaches, seeds, found, a, b), edges[:-1], edges[1:]))
    sets = [np.sort(found.rows[k, : found.size[k]]).astype(np.int64) for k in _differing(found, most)]
    return Covers(
        np.ones(len(sets)),
        np.cumsum([0, *map(len, sets)]),
        np.concatenate([np.empty(0, np.int64), *sets]),
        np.concatenate([np.empty(0), *(reaches.weight[rows] for rows in sets)]),
    )


def _reaches(problem: Problem, shares: Float, replicas: Float, present: Float) -> Reaches:
    reserve = problem.rules.reserve
    assert reserve is not None
    row, block, load = standing(problem, reserve)
    weight = np.full(problem.demands, np.inf)
    np.minimum.at(weight, row, load)
    usable = np.isfinite(weight) & (weight > 0) & secured(problem).all(axis=0)
    served = np.bincount(problem.pair_demand, shares, problem.demands)
    order = np.argsort(block, kind="stable")
    return Reaches(
        firsts(row, problem.demands),
        block.astype(np.int32),
        np.divide(weight[row], load, out=np.zeros(len(load)), where=load > 0),
        np.searchsorted(block[order], np.arange(problem.blocks + 1)).astype(np.int64),
        row[order].astype(np.int32),
        replicas.astype(float),
        present.astype(float),
        np.clip(1.0 - served, 0.0, 1.0),
        np.where(usable, weight, 0.0),
        (problem.demand_model * max(problem.slices, 1) + problem.demand_slice).astype(np.int64),
    )


class _Work(NamedTuple):
    is_reached: Int32  # B
    reached: Int32
    carries: Float  # B: most of what a replica carries of a row of S
    is_pooled: Int32  # I: 1 in the pool, 2 in S
    pool: Int32
    fresh: Float  # I: blocks that a row of the pool would bring, by how often they have any


@njit(cache=True, nogil=True)
def _grow_all(t: Reaches, seeds: Int, found: Found, first: int, last: int) -> None:
    blocks, rows = len(t.replicas), len(t.weight)
    work = _Work(
        np.zeros(blocks, np.int32), np.empty(blocks, np.int32), np.zeros(blocks), np.zeros(rows, np.int32),
        np.empty(rows, np.int32), np.zeros(rows),
    )  # fmt: skip
    for k in range(first, last):
        size, violation = _grow(t, work, seeds[k], found.rows[k], found.violation[k])
        if size > 0:
            found.size[k] = size
            found.violation[k] = violation


@njit(cache=True, nogil=True)
def _grow(t: Reaches, work: _Work, seed: int, rows: Int32, best: float) -> tuple[int, float]:
    """Grow a set from `seed` into `rows`; the size of its best beginning (0: none better than `best`)."""
    best_size, size, reached, pooled = 0, 0, 0, 0
    total, left = 0.0, 0.0
    pick = seed
    while pick >= 0 and size < LARGEST:
        rows[size] = pick
        size += 1
        total += t.weight[pick]
        left += t.weight[pick] * t.unserved[pick]
        work.is_pooled[pick] = 2
        for e in range(t.row_first[pick], t.row_first[pick + 1]):
            b = t.block[e]
            if work.is_reached[b] == 1:
                work.carries[b] = max(work.carries[b], t.carries[e])
                continue
            work.is_reached[b] = 1
            work.carries[b] = t.carries[e]
            work.reached[reached] = b
            reached += 1
            pooled = _reach(t, work, b, t.family[seed], pooled)
        now = _violation(t, work, reached, total, left)
        if now >= best:
            best, best_size = now, size
        pick = _next(t, work, pooled)
    for k in range(reached):
        work.is_reached[work.reached[k]] = 0
    for k in range(pooled):
        work.is_pooled[work.pool[k]] = 0
    work.is_pooled[seed] = 0
    return best_size, best


@njit(cache=True, nogil=True)
def _reach(t: Reaches, work: _Work, b: int, family: int, pooled: int) -> int:
    """Block b is there now: its rows come into the pool, and bring it no more."""
    for e in range(t.block_first[b], t.block_first[b + 1]):
        i = t.block_row[e]
        if t.family[i] != family or t.weight[i] <= 0.0:
            continue
        if work.is_pooled[i] == 0:
            work.is_pooled[i] = 1
            work.pool[pooled] = i
            pooled += 1
            work.fresh[i] = 0.0
            for f in range(t.row_first[i], t.row_first[i + 1]):
                if work.is_reached[t.block[f]] == 0:
                    work.fresh[i] += t.present[t.block[f]]
        else:
            work.fresh[i] -= t.present[b]
    return pooled


@njit(cache=True, nogil=True)
def _violation(t: Reaches, work: _Work, reached: int, total: float, left: float) -> float:
    units = np.ceil(total)
    fraction = total - (units - 1.0)
    if fraction < FRACTIONS[0] or fraction > FRACTIONS[1]:
        return -1.0
    held = 0.0
    for k in range(reached):
        b = work.reached[k]
        if t.present[b] > 0.0:
            stand = work.carries[b] * t.replicas[b] / t.present[b]
            whole = np.floor(stand)
            stand = min(whole + min(1.0, (stand - whole) / fraction), units)
            held += t.present[b] * (units + 1.0) * stand / (units + stand)
    return float(units + 1.0 - held - (1.0 + 1.0 / units) * left / fraction)


@njit(cache=True, nogil=True)
def _next(t: Reaches, work: _Work, pooled: int) -> int:
    """The row of the pool that brings the least replicas, and leaves the least, for its weight; -1 without."""
    pick, least = -1, np.inf
    for k in range(pooled):
        i = work.pool[k]
        if work.is_pooled[i] == 1:
            score = max(work.fresh[i], 0.0) / t.weight[i] + 2.0 * t.unserved[i]
            if score < least:
                pick, least = i, score
    return pick


def _differing(found: Found, most: int) -> list[int]:
    """Seeds whose covers are kept, by violation; the larger first where it is the same."""
    order = np.lexsort((-found.size, -np.round(found.violation, 9)))
    kept: list[int] = []
    sets: list[set[int]] = []
    for k in order[found.size[order] > 0].tolist():
        rows = set(found.rows[k, : found.size[k]].tolist())
        if any(len(rows & other) > ALIKE * min(len(rows), len(other)) for other in sets):
            continue
        kept.append(k)
        sets.append(rows)
        if len(kept) == most:
            break
    return kept
