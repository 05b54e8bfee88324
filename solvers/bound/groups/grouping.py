"""Which sites make a group: those that share demand, so that what one of them loses another gains.

Two sites are near by the worth of the rows that both may serve, each row's worth spread over its pairs of sites; rows
that both serve in the averaged relaxation count for more. Sites are then joined two clusters at a time, those first
that share most for their size, up to a size.
"""

import heapq

import numpy as np
import scipy.sparse as sp
from numba import njit
from numpy.typing import NDArray

from solvers.problem import Index, Problem

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

ADMITTED = 0.02
"""What a pair counts by existing, against a whole share."""


def affinity(problem: Problem, row_usd: Float, shares: Float) -> sp.csr_matrix:
    """P × P, symmetric, no diagonal: USD of demand that two sites share."""
    value = np.maximum(shares, 0.0) + ADMITTED / np.maximum(np.bincount(problem.pair_demand), 1)[problem.pair_demand]
    of_site = sp.csr_matrix((value, (problem.pair_demand, problem.pair_site)), (problem.demands, problem.sites))
    of_site.sum_duplicates()
    of_site.data = np.sqrt(of_site.data)
    worth = sp.diags_array(np.maximum(row_usd, 0.0))
    shared = sp.csr_matrix(of_site.T @ worth @ of_site)
    shared.setdiag(0)
    shared.eliminate_zeros()
    return shared


def components(problem: Problem) -> list[Int]:
    """Sites by component of the graph of rows and sites, those with a pair only; largest first."""
    root = np.arange(problem.sites)
    used = np.zeros(problem.sites, np.bool_)
    _join(problem.row_first, problem.pair_block, problem.block_site, root, used)
    sites = np.flatnonzero(used)
    label = np.array([_root(root, p) for p in sites.tolist()], np.int64)
    found = [sites[label == k] for k in np.unique(label)]
    return sorted(found, key=lambda sites: (-len(sites), int(sites[0])))


@njit(cache=True, nogil=True)
def _join(first: Int, block: Index, block_site: Int, root: Int, used: Bool) -> None:
    """Join the sites of every row (Galler and Fischer 1964), in one pass: there may be a hundred million pairs.

    Blocks are sorted by site, so that a row's pairs at one site follow each other.
    """
    for i in range(len(first) - 1):
        last = -1
        for n in range(first[i], first[i + 1]):
            p = block_site[block[n]]
            if p == last:
                continue
            used[p] = True
            if last >= 0:
                one, other = _root(root, last), _root(root, p)
                root[max(one, other)] = min(one, other)
            last = p


@njit(cache=True, nogil=True)
def _root(root: Int, site: int) -> int:
    """The first site of the component that `site` is known to be in."""
    while root[site] != site:
        root[site] = root[root[site]]
        site = root[site]
    return site


def clusters(shared: sp.csr_matrix, sites: Int, most: int) -> list[Int]:
    """A partition of `sites` into clusters of up to `most` that share much; those of one site too."""
    position = {int(p): k for k, p in enumerate(sites)}
    members: dict[int, list[int]] = {k: [int(p)] for p, k in position.items()}
    links: dict[int, dict[int, float]] = {k: {} for k in members}
    found = sp.coo_matrix(shared[sites][:, sites])
    for a, b, usd in zip(found.row.tolist(), found.col.tolist(), found.data.tolist(), strict=True):
        links[a][b] = usd
    heap = [(-usd / 2, a, b) for a, near in links.items() for b, usd in near.items() if a < b]
    heapq.heapify(heap)
    fresh = len(sites)
    while heap:
        _, a, b = heapq.heappop(heap)
        if a not in members or b not in members or len(members[a]) + len(members[b]) > most:
            continue
        members[fresh] = members.pop(a) + members.pop(b)
        near = links.pop(a)
        for k, usd in links.pop(b).items():
            near[k] = near.get(k, 0.0) + usd
        links[fresh] = {k: usd for k, usd in sorted(near.items()) if k in members and k != fresh}
        for k, usd in links[fresh].items():
            links[k][fresh] = usd
            size = len(members[k]) + len(members[fresh])
            if size <= most:
                heapq.heappush(heap, (-usd / size, k, fresh))
        fresh += 1
    return sorted((np.array(sorted(group)) for group in members.values()), key=lambda g: (-len(g), int(g[0])))
