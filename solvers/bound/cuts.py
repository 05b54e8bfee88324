"""Rounding (MIR) cuts as the sweep prices them: what they add to the sites' earnings, and how far each is broken.

`docs/certificate.md` (C) derives the coefficients. With R the unit, f = frac(W/R) and F(α) = ⌊α⌋ + min(1, frac(α)/f) a
cut says

    Σ_{b∈B} F(α_b)·y_b + Σ_{n∉B, i∈S} w_i/(R·f)·x_n + Σ_{i∈S} w_i/(R·f)·u_i ≥ ⌈W/R⌉

At a price γ a replica of b ∈ B costs γ·F(α_b) less and its pairs of rows of S earn γ·w_i/(R·f) less; the demand prices
include what the cuts pay for shares, so that all other pairs stay as they are.
"""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.layout import Layout, Structure, cell_of
from solvers.problem import Index
from solvers.solution import Cuts

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]

LEAST_FRACTION = 1e-6
"""f of a cut must be further than this from 0 and from 1."""


class CutTable(NamedTuple):
    """Cuts against one layout, sparse: only the pairs on blocks of B and of rows of S are named.

    A *slot* is such a pair, whichever cuts it is in; slots are sorted as the structure's pairs are.
    """

    slot_first: Int  # C + 1: slots of a cell
    slot_pair: Int32  # position in the structure's pair order
    entry_slot: Int32  # one entry for every (cut, slot)
    entry_cut: Int32
    entry_weight: Float  # w_i/(R·f)
    reach_cut: Int32  # one for every (cut, block of B)
    reach_block: Int
    reach_round: Float  # F(α_b)
    row_cut: Int32  # one for every (cut, row of S), as in `Cuts.row`
    row_weight: Float  # w_i/(R·f)
    ceiling: Float  # C: ⌈W/R⌉
    weight: Float  # C: Σ_S w_i/(R·f)

    @property
    def number(self) -> int:
        return len(self.ceiling)


def rounded(alpha: Float, fraction: Float) -> Float:
    """F(α) at f: how often a replica counts."""
    whole = np.floor(alpha)
    return np.asarray(whole + np.minimum(1.0, (alpha - whole) / fraction), np.float64)


def fractions(cuts: Cuts) -> tuple[Float, Float]:
    """f and ⌈W/R⌉ of every cut, C each.

    Raises ValueError for a cut whose f is too near to a whole number to be sure of it.
    """
    cut = np.repeat(np.arange(cuts.count), np.diff(cuts.row_first))
    total = np.bincount(cut, cuts.weight, minlength=cuts.count) / cuts.unit
    fraction = total - np.floor(total)
    if ((fraction < LEAST_FRACTION) | (fraction > 1 - LEAST_FRACTION)).any():
        raise ValueError("a cut's weights add up to a whole number of units: it proves nothing")
    return np.asarray(fraction, np.float64), np.asarray(np.floor(total) + 1.0, np.float64)


def table_of(layout: Layout, cuts: Cuts) -> CutTable:
    """The coefficients of `cuts`.

    Raises ValueError for a cut that proves nothing: one of a whole number of units, or one with a pair of no load in B.
    """
    problem, s = layout.problem, layout.structure
    slices = max(problem.slices, 1)
    fraction, ceiling = fractions(cuts)
    cut = np.repeat(np.arange(cuts.count), np.diff(cuts.row_first))
    weight = cuts.weight / (cuts.unit * fraction)[cut]
    most = int((np.diff(cuts.row_first) * np.diff(cuts.block_first)).sum())
    entry_pair, entry_cut = np.empty(most, np.int32), np.empty(most, np.int32)
    entry_weight, alpha = np.empty(most), np.zeros(len(cuts.block))
    found = _find(
        s, problem.demand_slice.astype(np.int64), cuts.unit, cuts.row_first, cuts.row, cuts.weight, weight,
        cuts.block_first, cuts.block, slices, entry_pair, entry_cut, entry_weight, alpha,
    )  # fmt: skip
    if found < 0:
        raise ValueError("a cut counts a pair without load by replicas: it proves nothing")
    reach_cut = np.repeat(np.arange(cuts.count), np.diff(cuts.block_first))
    slot_pair, entry_slot = np.unique(entry_pair[:found], return_inverse=True)
    return CutTable(
        np.searchsorted(slot_pair, s.cell_first).astype(np.int64),
        slot_pair,
        entry_slot.astype(np.int32),
        entry_cut[:found].copy(),
        entry_weight[:found].copy(),
        reach_cut.astype(np.int32),
        cuts.block.astype(np.int64),
        rounded(problem.capacity_factor * alpha, fraction[reach_cut]),
        cut.astype(np.int32),
        weight,
        ceiling,
        np.bincount(cut, weight, minlength=cuts.count).astype(np.float64),
    )


@njit(cache=True, nogil=True)
def _find(
    s: Structure, demand_slice: Int, unit: Float, row_first: Int, row: Int, row_weight: Float, share_weight: Float,
    block_first: Int, block: Int, slices: int, entry_pair: Int32, entry_cut: Int32, entry_weight: Float, alpha: Float,
) -> int:  # fmt: skip
    """Write all entries, and Σ_t max w/(a·R) of the blocks; returns the entries, -1 where a pair has no load."""
    found = 0
    best = np.zeros(slices)
    for c in range(len(unit)):
        for at in range(block_first[c], block_first[c + 1]):
            best[:] = 0.0
            for k in range(row_first[c], row_first[c + 1]):
                t = demand_slice[row[k]]
                cell = cell_of(s, block[at], t)
                if cell < 0:
                    continue
                j = find_pair(s.pair_demand, s.cell_first[cell], s.cell_first[cell + 1], row[k])
                if j < 0:
                    continue
                if s.pair_load[j] <= 0.0:
                    return -1
                best[t] = max(best[t], row_weight[k] / s.pair_load[j])
                entry_pair[found] = j
                entry_cut[found] = c
                entry_weight[found] = share_weight[k]
                found += 1
            for t in range(slices):
                alpha[at] += best[t] / unit[c]
    return found


@njit(cache=True, nogil=True)
def find_pair(pair_of: Index, low: int, end: int, wanted: int) -> int:
    """The position of `wanted` (a row, or a block) among the sorted pair_of[low:end], -1 without."""
    high = end
    while low < high:
        middle = (low + high) // 2
        if pair_of[middle] < wanted:
            low = middle + 1
        else:
            high = middle
    return low if low < end and pair_of[low] == wanted else -1


def slot_usd(table: CutTable, cut_usd: Float) -> Float:
    """What every slot earns less at these prices."""
    usd = cut_usd[table.entry_cut] * table.entry_weight
    return np.bincount(table.entry_slot, usd, minlength=len(table.slot_pair)).astype(np.float64)


def replica_gain(table: CutTable, cut_usd: Float, blocks: int) -> Float:
    """What every replica costs less, B."""
    usd = cut_usd[table.reach_cut] * table.reach_round
    return np.bincount(table.reach_block, usd, minlength=blocks).astype(np.float64)


def broken(table: CutTable, share: Float, replicas: Float) -> Float:
    """How far every cut is broken by shares of the slots and `replicas` of all blocks, where rows are served once, C.

    It is the slope of the bound along the cuts' prices, the demand prices kept.
    """
    held = np.bincount(table.reach_cut, table.reach_round * replicas[table.reach_block], minlength=table.number)
    inside = np.bincount(table.entry_cut, table.entry_weight * share[table.entry_slot], minlength=table.number)
    return np.asarray(table.ceiling - table.weight + inside - held, np.float64)


def chosen(cuts: Cuts, kept: NDArray[np.bool_]) -> Cuts:
    """The cuts of `kept` (C)."""
    rows, blocks = np.repeat(kept, np.diff(cuts.row_first)), np.repeat(kept, np.diff(cuts.block_first))
    return Cuts(
        cuts.unit[kept],
        np.append(0, np.cumsum(np.diff(cuts.row_first)[kept])),
        cuts.row[rows],
        cuts.weight[rows],
        np.append(0, np.cumsum(np.diff(cuts.block_first)[kept])),
        cuts.block[blocks],
    )


def together(one: Cuts, other: Cuts) -> Cuts:
    """The cuts of both, in this order."""
    return Cuts(
        np.concatenate([one.unit, other.unit]),
        np.concatenate([one.row_first, one.row_first[-1] + other.row_first[1:]]),
        np.concatenate([one.row, other.row]),
        np.concatenate([one.weight, other.weight]),
        np.concatenate([one.block_first, one.block_first[-1] + other.block_first[1:]]),
        np.concatenate([one.block, other.block]),
    )
