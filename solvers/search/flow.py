"""The closing linear programs: the best shares for the servers of a plan; replicas and servers that fall idle go.

With the replicas fixed, rows of different models or slices share nothing but links. So where there are many pairs each
(model, slice) is a program of its own, which may use what the others leave of the links: twenty programs are solved
much sooner than one that is twenty times as large, and none can make the plan dearer. What the first leave of full
links is not always what is best: at 1,000 sites that costs 0.1 %.
"""

from dataclasses import replace

import numpy as np
import scipy.sparse as sp
from numba import njit
from numpy.typing import NDArray

from solvers.complete.draft import Draft
from solvers.complete.servers import trim
from solvers.exact.flow import best_flow
from solvers.problem import Index, Problem
from solvers.rules import NO_RULES
from solvers.solution import Placement

Float = NDArray[np.float64]
Int = NDArray[np.int64]

KEEP = 12
"""Standing blocks kept for every demand row, cheapest first, besides those that serve it."""
FAVOUR = 1e-3
WHOLE = 100_000
"""Pairs of a program up to which it is not taken apart."""


def reroute(problem: Problem, placement: Placement, stay: Int | None = None, keep: int = KEEP) -> Placement | None:
    """The cheapest shares with sites, servers and replicas as they stand; None when no program has an answer.

    Only what the search knows is kept: the problem has no further rules. Pairs in `stay` are taken before others that
    are as cheap to a thousandth: there are many cheapest plans, and demand should not move between them.
    """
    pair = _useful_pairs(problem, placement, keep, stay)
    if stay is not None:
        problem = replace(problem, pair_usd=_favoured(problem, stay))
    if len(pair) > WHOLE:
        return _by_parts(problem, placement, pair)
    part = replace(
        problem, pair_demand=problem.pair_demand[pair], pair_block=problem.pair_block[pair],
        pair_load=problem.pair_load[pair], pair_usd=problem.pair_usd[pair],
    )  # fmt: skip
    found = best_flow(part, placement.open, placement.servers, placement.replicas)
    if found is None:
        return None
    share = np.zeros(problem.pairs)
    share[pair] = found.share
    return _lean(problem, placement, share, found.unserved)


def _lean(problem: Problem, placement: Placement, share: Float, unserved: Float) -> Placement:
    replicas = _needed_replicas(problem, share, placement.replicas)
    left = Draft(problem, replace(placement, replicas=replicas, share=share[:0], unserved=unserved[:0]))
    trim(left)  # no move starts from a site without demand, so that idle servers would stand for ever
    return Placement(left.open, left.servers, replicas, share, unserved)


def _by_parts(problem: Problem, placement: Placement, pair: Int) -> Placement | None:
    """The same, one (model, slice) after another."""
    row = problem.pair_demand[pair].astype(np.int64)
    site = problem.block_site[problem.pair_block[pair]]
    slices = max(problem.slices, 1)
    slice_ = problem.demand_slice[row]
    part = problem.demand_model[row] * slices + slice_
    share, unserved = placement.share.copy(), placement.unserved.copy()
    links = _Links(problem, site * slices + slice_, row)
    links.count(np.arange(len(pair)), share[pair], 1)
    solved = False
    order = np.argsort(part, kind="stable")
    for at in np.split(order, np.flatnonzero(np.diff(part[order])) + 1):
        if not len(at):
            continue
        links.count(at, share[pair[at]], -1)
        rows, new = _solve(problem, placement, pair[at], links.room(int(slice_[at[0]]), slices))
        if new is not None:
            share[pair[at]], unserved[rows] = new.share, new.unserved
            solved = True
        links.count(at, share[pair[at]], 1)
    return _lean(problem, placement, share, unserved) if solved else None


class _Links:
    """Mbit/s of every (site, slice) in use while one part after another is routed anew."""

    def __init__(self, problem: Problem, key: Int, row: Int) -> None:
        self.problem, self.key = problem, key
        self.mbps = (problem.out_mbps[row], problem.in_mbps[row])
        self.used = np.zeros((2, problem.sites * max(problem.slices, 1)))

    def count(self, at: Int, share: Float, sign: int) -> None:
        for link, mbps in enumerate(self.mbps):
            self.used[link] += sign * np.bincount(self.key[at], mbps[at] * share, minlength=self.used.shape[1])

    def room(self, slice_: int, slices: int) -> tuple[Float, Float]:
        """What is left of the uplinks and downlinks in one slice, P each."""
        used = np.maximum(self.used.reshape(2, -1, slices)[:, :, slice_], 0.0)
        return (
            np.maximum(self.problem.uplink_mbps - used[0], 0.0),
            np.maximum(self.problem.downlink_mbps - used[1], 0.0),
        )


def _solve(
    problem: Problem, placement: Placement, pair: Int, room: tuple[Float, Float]
) -> tuple[Int, Placement | None]:
    """(the rows of the pairs, their best shares on the blocks as they stand, None when there are none)."""
    blocks, block = np.unique(problem.pair_block[pair], return_inverse=True)
    sites, site = np.unique(problem.block_site[blocks], return_inverse=True)
    rows, row = np.unique(problem.pair_demand[pair], return_inverse=True)
    nothing = np.zeros(0, np.int64)
    part = replace(
        problem,
        open_usd=problem.open_usd[sites], uplink_mbps=room[0][sites], downlink_mbps=room[1][sites],
        site_limit=problem.site_limit[sites],
        offer_site=nothing, offer_server=nothing, offer_max=nothing, offer_usd=np.zeros(0),
        block_site=site, block_shape=problem.block_shape[blocks], block_max=problem.block_max[blocks],
        block_choice=np.full(len(blocks), -1), block_slice=None, replica_usd=None,
        demand_model=problem.demand_model[rows], demand_slice=np.zeros(len(rows), np.int64),
        unserved_usd=problem.unserved_usd[rows], out_mbps=problem.out_mbps[rows], in_mbps=problem.in_mbps[rows],
        pair_demand=row, pair_block=block, pair_load=problem.pair_load[pair], pair_usd=problem.pair_usd[pair],
        limit_matrix=sp.csr_matrix((0, 0)), limit_rhs=np.zeros(0), monthly_budget_usd=np.inf, rules=NO_RULES,
    )  # fmt: skip
    return rows, best_flow(part, np.ones(len(sites), np.bool_), nothing, placement.replicas[blocks])


def _favoured(problem: Problem, stay: Int) -> Float:
    """Costs of the pairs, N, those in `stay` a little less."""
    usd = problem.pair_usd.astype(np.float64)
    usd[stay] -= FAVOUR * (usd[stay] + float(usd[stay].mean()) if len(stay) else 0.0)
    return usd


def _useful_pairs(problem: Problem, placement: Placement, keep: int, stay: Int | None) -> Int:
    """Pairs on standing blocks: those in use, those in `stay` and the `keep` cheapest of every row."""
    standing = _standing(problem.pair_block, placement.replicas)
    row = problem.pair_demand[standing]
    order = np.lexsort((problem.pair_usd[standing], row))
    first = np.searchsorted(row[order], np.arange(problem.demands))
    rank = np.empty(len(standing), np.int64)
    rank[order] = np.arange(len(standing)) - first[row[order]]
    used = placement.share[standing] > 0
    if stay is not None:
        used |= np.isin(standing, stay)
    return np.asarray(standing[(rank < keep) | used], np.int64)


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
