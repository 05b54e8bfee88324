"""Covers: replicas of which no single failure may leave too few; `docs/certificate.md` (D) derives the coefficients.

With R the unit, W the weight of S, k = ⌈W/R⌉, f = frac(W/R), α_b the units that a replica of b carries and
m_b = min(k, F(α_b·y_b)) with F of rounding cuts, it says

    Σ_b (k + 1)·m_b/(k + m_b) + Σ_{i∈S} (1 + 1/k)·w_i/(R·f)·u_i ≥ k + 1,   (k + 1)·m_b/k where no domain holds b

over all blocks that may serve or back up a row of S. At a price γ a block earns γ times its term more, and leaving
row i costs γ·(1 + 1/k)·w_i/(R·f) less.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvers.bound.backup import secured, standing
from solvers.bound.cuts import fractions, rounded
from solvers.problem import Problem, firsts
from solvers.solution import Covers, Cuts

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


class CoverTable(NamedTuple):
    """Covers against one problem, sparse."""

    row_cover: Int  # one for every (cover, row of S), as in `Covers.row`
    row: Int
    row_weight: Float  # (1 + 1/k)·w_i/(R·f)
    reach_cover: Int  # one for every (cover, block)
    reach_block: Int
    reach_each: Float  # α_b
    reach_fraction: Float  # f
    reach_apart: Bool  # no domain holds the block's site
    ceiling: Float  # F: k + 1
    stand_first: Int  # B + 1: a step for 1, 2, … replicas of a block, up to those that count
    step_cover: Int  # one for every (cover, step of a block of it)
    step: Int
    step_count: Float  # what y replicas count

    @property
    def number(self) -> int:
        return len(self.ceiling)

    def counted(self, at: Int, replicas: Float) -> Float:
        """What so many replicas count in the reaches `at`."""
        units = self.ceiling[self.reach_cover[at]] - 1
        held = np.minimum(units, rounded(self.reach_each[at] * replicas, self.reach_fraction[at]))
        return np.asarray((units + 1) * held / np.where(self.reach_apart[at], units, units + held), np.float64)


def cover_table(problem: Problem, covers: Covers, *, secure: bool = False) -> CoverTable:
    """The coefficients of `covers`; with `secure` it is known that no failure may lose a row of them.

    Raises ValueError for a cover that proves nothing: one of a whole number of units, of a row that a failure may
    lose, or of one that keeps nothing busy where it could be served.
    """
    cover = np.repeat(np.arange(covers.count), np.diff(covers.row_first))
    if not covers.count:
        return _no_covers(problem.blocks)
    reserve = problem.rules.reserve
    if reserve is None or not (secure or secured(problem)[:, covers.row].all()):
        raise ValueError("a cover takes a row that a failure may lose: it proves nothing")
    fraction, units = fractions(Cuts(covers.unit, covers.row_first, covers.row, covers.weight))
    entry_cover, entry_row, block, carries = _carried(problem, covers, cover)
    slices = max(problem.slices, 1)
    key = (entry_cover * problem.blocks + block) * slices + problem.demand_slice[entry_row]
    cell, at = np.unique(key, return_inverse=True)
    most = np.zeros(len(cell))
    np.maximum.at(most, at, carries)
    reach, where = np.unique(cell // slices, return_inverse=True)
    reach_cover, reach_block = reach // problem.blocks, reach % problem.blocks
    alpha = np.asarray(problem.capacity_factor * np.bincount(where, most, minlength=len(reach)), np.float64)
    apart = ~np.asarray(reserve.domain_site.any(axis=0))[problem.block_site[reach_block]]
    weight = (1 + 1 / units[cover]) * covers.weight / (covers.unit * fraction)[cover]
    none = np.zeros(0, np.int64)
    table = CoverTable(
        cover,
        covers.row,
        weight,
        reach_cover,
        reach_block,
        alpha,
        fraction[reach_cover],
        apart,
        units + 1,
        none,
        none,
        none,
        np.zeros(0),
    )
    return _with_steps(table, problem.blocks)


def _no_covers(blocks: int) -> CoverTable:
    none, nothing = np.zeros(0, np.int64), np.zeros(0)
    return CoverTable(
        none, none, nothing, none, none, nothing, nothing, np.zeros(0, np.bool_), nothing,
        np.zeros(blocks + 1, np.int64), none, none, nothing,
    )  # fmt: skip


def _with_steps(table: CoverTable, blocks: int) -> CoverTable:
    """`table` with what every count of a block's replicas comes to, as far as it grows with them."""
    useful = np.ceil((table.ceiling[table.reach_cover] - 1) / table.reach_each).astype(np.int64)
    most = np.zeros(blocks, np.int64)
    np.maximum.at(most, table.reach_block, useful)
    first = np.concatenate([[0], np.cumsum(most)]).astype(np.int64)
    steps = most[table.reach_block]
    at = np.repeat(np.arange(len(steps)), steps)
    y = np.arange(len(at)) - np.repeat(np.cumsum(steps) - steps, steps) + 1
    return table._replace(
        stand_first=first,
        step_cover=table.reach_cover[at],
        step=first[table.reach_block[at]] + y - 1,
        step_count=table.counted(at, y.astype(float)),
    )


def _carried(problem: Problem, covers: Covers, cover: Int) -> tuple[Int, Int, Int, Float]:
    """Cover, row and block of every pair that may serve or back up, and the units that a replica carries of the row."""
    reserve = problem.rules.reserve
    assert reserve is not None
    pair_row, pair_block, pair_load = standing(problem, reserve)
    first = firsts(pair_row, problem.demands)
    count = (first[1:] - first[:-1])[covers.row]
    entry = np.repeat(np.arange(len(cover)), count)
    pair = np.arange(len(entry)) - np.repeat(np.cumsum(count) - count, count) + first[covers.row][entry]
    if (pair_load[pair] <= 0).any():
        raise ValueError("a cover counts a pair without load by replicas: it proves nothing")
    carries = covers.weight[entry] / covers.unit[cover[entry]] / pair_load[pair]
    return cover[entry], covers.row[entry], pair_block[pair].astype(np.int64), carries


def spared(table: CoverTable, cover_usd: Float, rows: int) -> Float:
    """How much less leaving every row costs at these prices, I."""
    usd = cover_usd[table.row_cover] * table.row_weight
    return np.bincount(table.row, usd, minlength=rows).astype(np.float64)


def standing_usd(table: CoverTable, cover_usd: Float) -> Float:
    """What 1, 2, … replicas of every block earn, by `stand_first`; more than those earn no more."""
    usd = cover_usd[table.step_cover] * table.step_count
    return np.bincount(table.step, usd, minlength=int(table.stand_first[-1])).astype(np.float64)


def missing(table: CoverTable, replicas: Float, unserved: Float) -> Float:
    """How far every cover is broken by `replicas` (B) and `unserved` shares (I), F: the slope along their prices."""
    counted = table.counted(np.arange(len(table.reach_block)), replicas[table.reach_block])
    held = np.bincount(table.reach_cover, counted, minlength=table.number)
    left = np.bincount(table.row_cover, table.row_weight * unserved[table.row], minlength=table.number)
    return np.asarray(table.ceiling - held - left, np.float64)


def chosen_covers(covers: Covers, kept: Bool) -> Covers:
    """The covers of `kept` (F)."""
    rows = np.repeat(kept, np.diff(covers.row_first))
    first = np.append(0, np.cumsum(np.diff(covers.row_first)[kept]))
    return Covers(covers.unit[kept], first, covers.row[rows], covers.weight[rows])


def fresh_covers(known: Covers, new: Covers) -> Covers:
    """Those of `new` whose rows are not those of a known one: twice the same moves as one whose price is both's."""
    held = {rows.tobytes() for rows in np.split(known.row, known.row_first[1:-1])}
    return chosen_covers(new, np.array([rows.tobytes() not in held for rows in np.split(new.row, new.row_first[1:-1])]))


def joined_covers(one: Covers, other: Covers) -> Covers:
    """The covers of both, in this order."""
    return Covers(
        np.concatenate([one.unit, other.unit]),
        np.concatenate([one.row_first, one.row_first[-1] + other.row_first[1:]]),
        np.concatenate([one.row, other.row]),
        np.concatenate([one.weight, other.weight]),
    )
