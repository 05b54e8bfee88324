"""The closing linear program: the best shares for the servers of a plan; replicas that fall idle are taken away."""

from dataclasses import replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.exact.flow import best_flow
from solvers.problem import Index, Problem
from solvers.solution import Placement

Float = NDArray[np.float64]
Int = NDArray[np.int64]

KEEP = 12
"""Standing blocks kept for every demand row, cheapest first, besides those that serve it."""


def reroute(problem: Problem, placement: Placement, keep: int = KEEP) -> Placement | None:
    """The cheapest shares with sites, servers and replicas as they stand; None when the program fails."""
    pairs = _useful_pairs(problem, placement, keep)
    part = replace(
        problem,
        pair_demand=problem.pair_demand[pairs],
        pair_block=problem.pair_block[pairs],
        pair_load=problem.pair_load[pairs],
        pair_usd=problem.pair_usd[pairs],
    )
    found = best_flow(part, placement.open, placement.servers, placement.replicas)
    if found is None:
        return None
    share = np.zeros(problem.pairs)
    share[pairs] = found.share
    replicas = _needed_replicas(problem, share, placement.replicas)
    return Placement(placement.open, placement.servers, replicas, share, found.unserved)


def _useful_pairs(problem: Problem, placement: Placement, keep: int) -> Int:
    """Pairs on standing blocks: those in use and the `keep` cheapest of every row."""
    standing = _standing(problem.pair_block, placement.replicas)
    row = problem.pair_demand[standing]
    order = np.lexsort((problem.pair_usd[standing], row))
    first = np.searchsorted(row[order], np.arange(problem.demands))
    rank = np.empty(len(standing), np.int64)
    rank[order] = np.arange(len(standing)) - first[row[order]]
    return np.asarray(standing[(rank < keep) | (placement.share[standing] > 0)], np.int64)


@njit(cache=True)
def _standing(pair_block: Index, replicas: Int) -> Int:
    """The pairs on blocks with replicas, in two passes, so that nothing is made that is as long as the pairs."""
    count = 0
    for n in range(len(pair_block)):
        count += replicas[pair_block[n]] > 0
    found = np.empty(count, np.int64)
    count = 0
    for n in range(len(pair_block)):
        if replicas[pair_block[n]] > 0:
            found[count] = n
            count += 1
    return found


def _needed_replicas(problem: Problem, share: Float, replicas: Int) -> Int:
    """Replicas that the loads ask for; never more than stand."""
    slices = max(problem.slices, 1)
    pair = np.flatnonzero(share)
    block = problem.pair_block[pair].astype(np.int64)
    cell = block * slices + problem.demand_slice[problem.pair_demand[pair]]
    load = np.bincount(cell, problem.pair_load[pair] * share[pair], minlength=problem.blocks * slices)
    load = load.reshape(-1, slices)
    used = np.bincount(block, share[pair] > 0, minlength=problem.blocks) > 0
    need = np.ceil(load.max(axis=1, initial=0) / problem.capacity_factor - 1e-9).astype(np.int64)
    return np.asarray(np.minimum(np.maximum(need, used), replicas), np.int64)
