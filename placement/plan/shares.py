"""Shares as parts per billion: whole numbers that sum exactly, whatever the numbering of the arrays."""

import numpy as np
from numpy.typing import NDArray

from placement.plan.exact import Int
from placement.problem.names import Names
from solvers.problem import Problem
from solvers.solution import Placement

BILLION = 10**9
WEIGHT = 2**32  # of a row's whole backup: times a share in parts per billion it stays within 64 bits

Float = NDArray[np.float64]


def parts_per_billion(problem: Problem, placement: Placement, rank: Int | None = None) -> tuple[Int, Int]:
    """Shares of pairs (N) and unserved (I) as integers that sum to 10^9 in every demand row.

    Each is rounded down and the few parts that are missing go to the row's largest entry (of equal ones to the block
    with the higher `rank`, B), so that no share grows by more than its row has entries; the solver keeps 10^-6 of
    capacity free for them.
    """
    share = np.floor(np.clip(placement.share, 0.0, 1.0) * BILLION).astype(np.int64)
    left = np.floor(np.clip(placement.unserved, 0.0, 1.0) * BILLION).astype(np.int64)
    summed = np.bincount(problem.pair_demand, share, problem.demands).astype(np.int64) + left
    missing = BILLION - summed
    largest = np.full(problem.demands, -1, np.int64)
    ties = problem.pair_block if rank is None else rank[problem.pair_block]
    some = np.flatnonzero(share)
    order = some[np.lexsort((ties[some], share[some], problem.pair_demand[some]))]
    largest[problem.pair_demand[order]] = order
    routed = np.flatnonzero(largest >= 0)
    to_left = np.ones(problem.demands, np.bool_)
    to_left[routed] = left[routed] > share[largest[routed]]
    left = left + np.where(to_left, missing, 0)
    rows = np.flatnonzero(~to_left)
    share[largest[rows]] += missing[rows]
    return share, left


def apportion(totals: Int, group: Int, weight: Int, rank: Int) -> Int:
    """Whole parts of `totals` (G) by `weight` within each group, largest remainder first; of equal ones the least rank.

    Every total is at most 10^9, every weight at most 2^32; a group of weight 0 gets nothing. Sums are exact.
    """
    summed = np.zeros(len(totals), np.int64)
    np.add.at(summed, group, weight)
    share, rest = np.divmod(totals[group] * weight, np.maximum(summed, 1)[group])
    given = np.zeros(len(totals), np.int64)
    np.add.at(given, group, share)
    missing = np.where(summed > 0, totals - given, 0)
    order = np.lexsort((rank, -rest, group))
    starts = np.searchsorted(group[order], np.arange(len(totals)))
    place = np.empty(len(group), np.int64)
    place[order] = np.arange(len(group)) - starts[group[order]]
    return np.asarray(share + (place < missing[group]), np.int64)


def whole_weights(group: Int, value: Float, groups: int) -> Int:
    """Weights of `apportion` from shares: of each group 2^32 in all, never all zero unless the shares are."""
    summed = np.bincount(group, value, groups)
    with np.errstate(invalid="ignore", divide="ignore"):
        part = np.where(summed[group] > 0, value / summed[group], 0.0)
    return np.asarray(np.rint(np.clip(part, 0.0, 1.0) * WEIGHT), np.int64)


def name_ranks(problem: Problem, names: Names) -> Int:
    """Place of every block in the order of (site, shape, tenant, slice) by name, B."""
    stands = problem.block_slice
    keys = [
        (
            names.sites[p],
            names.shapes[d].shape,
            names.shapes[d].tenant,
            "" if stands is None or stands[b] < 0 else names.slices[stands[b]],
        )
        for b, (p, d) in enumerate(zip(problem.block_site.tolist(), problem.block_shape.tolist(), strict=True))
    ]
    rank = np.empty(len(keys), np.int64)
    rank[sorted(range(len(keys)), key=keys.__getitem__)] = np.arange(len(keys))
    return rank
