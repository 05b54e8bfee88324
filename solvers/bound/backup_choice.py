"""Which failure rows the bound prices: few of them matter, and any choice is sound.

A failure matters for the rows that the relaxation serves inside of the domain, and beside them for those that stand
where the former would go, since these leave no room there.
"""

import numpy as np
import scipy.sparse as sp
from numba import njit
from numpy.typing import NDArray

from solvers.bound.backup import secured, standing
from solvers.problem import Figures, Problem, firsts
from solvers.rules import Reserve

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

MOST_DOMAINS = 400
"""Failures looked at, those that hit the most first: the rest cost memory and hardly count."""

LEAST_PART = 0.02
"""Of a row, that a failure must strain to be priced."""


def promising(
    problem: Problem, usd: Float, shares: Figures, replicas: Float, most_pairs: int, least: float = LEAST_PART
) -> tuple[Int, Int]:
    """Domain and row of the failures that count most, their pairs together at most `most_pairs`.

    `shares` (N) and `replicas` (B) are those of the relaxation, `usd` (I) says what a row is worth. Whatever counts
    for less than `least` of the row is left out. Sorted by domain, then row.
    """
    reserve = problem.rules.reserve
    assert reserve is not None
    domain, strained = strain(problem, reserve, usd, shares, replicas)
    strained[~secured(problem)[domain]] = 0.0
    order = np.argsort(-(strained * usd[None, :]).ravel(), kind="stable")
    order = order[strained.ravel()[order] > least]
    pairs = np.diff(firsts(reserve.pair_demand, problem.demands))[order % problem.demands]
    chosen = np.sort(order[np.cumsum(pairs) <= most_pairs])
    return domain[chosen // problem.demands], chosen % problem.demands


def strain(problem: Problem, reserve: Reserve, usd: Float, shares: Figures, replicas: Float) -> tuple[Int, Float]:
    """Domains that hit the most, and D × I: how much of a row is lost in each, and how much of it is crowded.

    A loss comes to the row's blocks outside in the ratio of their replicas; what stands on a block in the same slice is
    crowded by the part of its replicas that would be wanted, at most wholly.
    """
    row, block, load = standing(problem, reserve)
    served = np.flatnonzero(shares > 0)
    at, who = problem.block_site[problem.pair_block[served]], problem.pair_demand[served]
    part = shares[served].astype(float)
    stands = sp.csr_matrix((part, (who, at)), (problem.demands, problem.sites))
    lost = (stands @ sp.csr_matrix(reserve.domain_site.T.astype(float))).tocsc()
    hit = np.asarray(lost.T @ usd).ravel()
    domain = np.sort(np.argsort(-hit, kind="stable")[:MOST_DOMAINS])
    domain = domain[hit[domain] > 0]
    return domain, _strained(
        np.ascontiguousarray(lost[:, domain].toarray().T), reserve.domain_site[domain][:, problem.block_site],
        problem.demand_slice, max(problem.slices, 1), replicas, firsts(row, problem.demands), block, load,
        firsts(who, problem.demands), problem.pair_block[served], part,
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _strained(
    loss: Float, down: Bool, row_slice: Int, slices: int, replicas: Float, first: Int, block: Int, load: Float,
    served_first: Int, served_block: Int, served_share: Float,
) -> Float:  # fmt: skip
    """D × I, of `loss` (D × I), `down` (D × B), and by row what may stand in and what serves."""
    found = loss.copy()
    for d in range(len(loss)):
        wanted = np.zeros((len(replicas), slices))
        for i in range(loss.shape[1]):
            if loss[d, i] > 0:
                _ask(loss[d, i], down[d], replicas, block[first[i] : first[i + 1]], load[first[i] : first[i + 1]],
                     wanted[:, row_slice[i]])  # fmt: skip
        for i in range(loss.shape[1]):
            for k in range(served_first[i], served_first[i + 1]):
                found[d, i] += served_share[k] * min(wanted[served_block[k], row_slice[i]], 1.0)
    return found


@njit(cache=True, nogil=True)
def _ask(loss: float, down: Bool, replicas: Float, block: Int, load: Float, wanted: Float) -> None:
    """What a row's loss wants of its blocks outside, in replicas, added to `wanted` (B)."""
    stand = 0.0
    for b in block:
        if not down[b]:
            stand += replicas[b]
    if stand > 0:
        for k in range(len(block)):
            if not down[block[k]]:
                wanted[block[k]] += load[k] * loss / stand
