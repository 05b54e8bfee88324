"""Which failure rows the bound prices: few of them matter, and any choice is sound.

A failure matters for the rows that the relaxation serves inside of the domain, and beside them for those that stand
where the former would go, since these leave no room there.
"""

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from solvers.bound.backup import secured, standing
from solvers.problem import Problem
from solvers.rules import Reserve

Float = NDArray[np.float64]
Int = NDArray[np.int64]

MOST_DOMAINS = 400
"""Failures looked at, those that hit the most first: the rest cost memory and hardly count."""

LEAST_PART = 0.02
"""Of a row, that a failure must strain to be priced."""


def promising(
    problem: Problem, usd: Float, shares: Float, replicas: Float, most_pairs: int, least: float = LEAST_PART
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
    pairs = np.bincount(reserve.pair_demand, minlength=problem.demands)[order % problem.demands]
    chosen = np.sort(order[np.cumsum(pairs) <= most_pairs])
    return domain[chosen // problem.demands], chosen % problem.demands


def strain(problem: Problem, reserve: Reserve, usd: Float, shares: Float, replicas: Float) -> tuple[Int, Float]:
    """Domains that hit the most, and D × I: how much of a row is lost in each, and how much of it is crowded.

    A loss comes to the row's blocks outside in the ratio of their replicas; what stands on a block in the same slice is
    crowded by the part of its replicas that would be wanted, at most wholly.
    """
    row, block, load = standing(problem, reserve)
    slices = max(problem.slices, 1)
    shape = (problem.demands, problem.blocks * slices)
    heard = (row, block * slices + problem.demand_slice[row])
    at = problem.pair_block * slices + problem.demand_slice[problem.pair_demand]
    served = sp.csr_matrix((shares, (problem.pair_demand, at)), shape)
    inside = sp.csr_matrix(reserve.domain_site.T.astype(float))[np.repeat(problem.block_site, slices)]
    lost = (served @ inside).tocsc()
    hit = np.asarray(lost.T @ usd).ravel()
    domain = np.sort(np.argsort(-hit, kind="stable")[:MOST_DOMAINS])
    domain = domain[hit[domain] > 0]
    loss, down = lost[:, domain].toarray(), inside[:, domain].toarray() > 0
    outside = sp.csr_matrix((replicas[block], heard), shape) @ ~down
    each = np.divide(loss, outside, out=np.zeros_like(loss), where=outside > 0)
    wanted = sp.csr_matrix((load, heard), shape).T @ each
    wanted[down] = 0.0
    return domain, np.asarray(loss + served @ np.minimum(wanted, 1.0), np.float64).T
