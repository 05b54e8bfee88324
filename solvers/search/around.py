"""The base problem around what must stand: pinned replicas and gangs of jobs are there before the search begins.

Their servers are sunk: they take power, rack units, stock and budget, cost nothing more and open their sites. What
they leave free is offered for nothing. A pinned replica is a block of its own on GPUs of its own, so that the search
fills it with demand and never with another model.
"""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from solvers.check.rules import spent_usd
from solvers.complete.draft import SIZES, Draft
from solvers.complete.standing import nothing
from solvers.problem import Float, Int, Problem
from solvers.solution import Placement


@dataclass(frozen=True)
class Around:
    """The problem that is left, O' offers, B' blocks, N' pairs, and how a plan of it is one of the whole."""

    problem: Problem
    stand: Placement  # of the whole
    sunk_usd: float  # what it costs a month, without what is unserved
    offer: Int  # O': offer of the whole, -1 for what is left free of sunk servers
    block: Int  # B': block of the whole, -1 for pinned replicas
    pair: Int  # N': pair of the whole

    def whole(self, found: Placement) -> Placement:
        """A plan of the whole problem, jobs and pins in it."""
        stand = self.stand
        servers = _with(stand.servers, self.offer, found.servers)
        replicas = _with(stand.replicas, self.block, found.replicas)
        share = np.bincount(self.pair, found.share, minlength=len(stand.share)).astype(float)
        return Placement(stand.open | found.open, servers, replicas, share, found.unserved, stand.jobs)

    def clipped(self, most: Int) -> Problem:
        """The problem left where no more than `most` (B, of the whole) replicas may stand."""
        own = np.maximum(most - self.stand.replicas, 0)
        return replace(
            self.problem,
            block_max=np.where(
                self.block < 0, self.problem.block_max, np.minimum(self.problem.block_max, own[self.block])
            ),
        )

    def dearer(self, usd: Float, spent_usd: float = 0.0) -> Problem:
        """The problem left where a replica of every block costs `usd` (B, of the whole) more; pinned ones do not.

        So many `spent_usd` a month are no real spending and are added to the budget.
        """
        more = np.where(self.block < 0, 0.0, usd[self.block])
        problem = self.problem
        return replace(
            problem,
            replica_usd=problem.each_replica_usd + more,
            monthly_budget_usd=problem.monthly_budget_usd + spent_usd,
        )

    def within(self, usd: float) -> "Around":
        """The same with another monthly budget for the whole."""
        return replace(self, problem=replace(self.problem, monthly_budget_usd=max(usd - self.sunk_usd, 0.0)))


def _with(stand: Int, index: Int, found: Int) -> Int:
    own = index >= 0
    return stand + np.bincount(index[own], found[own], minlength=len(stand)).astype(np.int64)


def nothing_stands(base: Problem) -> Around:
    """The whole problem."""
    offers, blocks, pairs = (np.arange(size) for size in (base.offers, base.blocks, base.pairs))
    return Around(base, nothing(base), 0.0, offers, blocks, pairs)


def around(base: Problem, draft: Draft) -> Around:
    """`base` (a problem without rules) around what stands in `draft`, a draft of the problem with its rules."""
    stand = draft.placement()
    paid = base.open_usd @ stand.open + base.offer_usd @ stand.servers + base.each_replica_usd @ stand.replicas
    sunk_usd = float(paid + spent_usd(draft.problem, stand))
    less = replace(
        base,
        open_usd=np.where(stand.open, 0.0, base.open_usd),
        site_limit=np.maximum(base.site_limit - draft.use, 0.0),
        offer_max=base.offer_max - np.minimum(stand.servers, base.offer_max),
        limit_rhs=np.maximum(base.limit_rhs - draft.drawn, 0.0),
        monthly_budget_usd=max(base.monthly_budget_usd - sunk_usd, 0.0),
        block_max=_others(base, draft),
    )
    free, left = _with_left(less, draft)
    problem, at, block, pair = _with_pinned(free, stand.replicas)
    return Around(problem, stand, sunk_usd, np.where(at >= 0, left[at], -1), block, pair)


def _others(base: Problem, draft: Draft) -> Int:
    """Replicas that may be added to those that stand, B; none beside another one of the same choice."""
    choice = base.block_choice
    user = np.where(choice >= 0, draft.user[choice], -1)
    mine = (user < 0) | (user == np.arange(base.blocks))
    return np.asarray(np.where(mine, np.maximum(base.block_max - draft.replicas, 0), 0), np.int64)


def _with_left(base: Problem, draft: Draft) -> tuple[Problem, Int]:
    """The problem with offers of whole GPUs that sunk servers leave free in every slice, and the offer of each."""
    room = np.minimum.accumulate(np.maximum(draft.spare(), 0), axis=1)
    site, gpu, gpus, most = list[int](), list[int](), list[int](), list[int]()
    for unit in np.flatnonzero(room[:, 0] >= 4).tolist():
        taken = 0
        for level in range(len(SIZES) - 1, -1, -1):
            size = max(int(SIZES[level]), 4)
            count = (int(room[unit, level]) - taken) // size
            if count > 0:
                site.append(unit // draft.types)
                gpu.append(unit % draft.types)
                gpus.append(size // 4)
                most.append(count)
                taken += count * size
    return _offering(base, np.asarray([site, gpu, gpus, most], np.int64).reshape(4, -1))


def _offering(base: Problem, more: Int) -> tuple[Problem, Int]:
    """The problem with free offers; `more` holds site, GPU type, GPUs and most of each (4 × F)."""
    site, gpu, gpus, most = more
    kinds, kind = np.unique(np.stack([gpu, gpus]), axis=1, return_inverse=True)
    sites = np.concatenate([base.offer_site, site])
    order = np.argsort(sites, kind="stable")
    matrix = sp.hstack([base.limit_matrix, sp.csr_matrix((len(base.limit_rhs), len(site)))]).tocsc()
    problem = replace(
        base,
        server_gpu=np.concatenate([base.server_gpu, kinds[0]]),
        server_gpus=np.concatenate([base.server_gpus, kinds[1]]),
        server_use=np.concatenate([base.server_use, np.zeros((kinds.shape[1], base.server_use.shape[1]))]),
        offer_site=sites[order],
        offer_server=np.concatenate([base.offer_server, len(base.server_gpu) + kind.ravel()])[order],
        offer_max=np.concatenate([base.offer_max, most])[order],
        offer_usd=np.concatenate([base.offer_usd, np.zeros(len(site))])[order],
        limit_matrix=matrix[:, order].tocsr(),
    )
    return problem, np.concatenate([np.arange(base.offers), np.full(len(site), -1)])[order]


def _with_pinned(base: Problem, replicas: Int) -> tuple[Problem, Int, Int, Int]:
    """The problem with blocks for the replicas that stand, on GPUs of their own; offer, block and pair of each."""
    pinned = np.flatnonzero(replicas)
    shapes, shape = np.unique(base.block_shape[pinned], return_inverse=True)
    types = int(max(base.shape_gpu.max(initial=-1), base.server_gpu.max(initial=-1))) + 1
    quarters = base.shape_quarters[shapes]
    site, gpus = base.block_site[pinned], np.maximum(quarters // 4, 1)[shape]
    most = -(-replicas[pinned] * quarters[shape] // (4 * gpus))
    problem, offer = _offering(base, np.stack([site, types + shape, gpus, most]))
    block = np.concatenate([np.arange(base.blocks), pinned])
    new_shape = np.concatenate([base.block_shape, len(base.shape_gpu) + shape])
    stands = np.full(len(block), -1) if base.block_slice is None else base.block_slice[block]
    order = np.lexsort((stands, new_shape, base.block_site[block]))
    place = np.empty(len(block), np.int64)
    place[order] = np.arange(len(block))
    copied = np.flatnonzero(replicas[base.pair_block] > 0)
    at = np.searchsorted(pinned, base.pair_block[copied])
    pair = np.concatenate([np.arange(base.pairs), copied])
    pair_block = place[np.concatenate([base.pair_block, base.blocks + at]).astype(np.int64)]
    by_row = np.lexsort((pair_block, base.pair_demand[pair]))
    pair = pair[by_row]
    again = np.arange(len(block)) >= base.blocks
    price = None if base.replica_usd is None else np.where(again, 0.0, base.replica_usd[block])[order]
    problem = replace(
        problem,
        shape_gpu=np.concatenate([base.shape_gpu, types + np.arange(len(shapes))]),
        shape_quarters=np.concatenate([base.shape_quarters, quarters]),
        shape_model=np.concatenate([base.shape_model, base.shape_model[shapes]]),
        block_site=base.block_site[block][order],
        block_shape=new_shape[order],
        block_max=np.concatenate([base.block_max, replicas[pinned]])[order],
        block_choice=np.where(again, -1, base.block_choice[block])[order],
        block_slice=None if base.block_slice is None else stands[order],
        replica_usd=price,
        pair_demand=base.pair_demand[pair],
        pair_block=pair_block[by_row].astype(base.pair_block.dtype),
        pair_load=base.pair_load[pair],
        pair_usd=base.pair_usd[pair],
    )
    return problem, offer, np.where(again, -1, block)[order], pair
