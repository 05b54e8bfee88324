"""A plan of another day made to fit a problem: what is too much is taken away, what carries least first.

Servers within the offers, the sites and the limits (7, 8, 10–12), replicas within the GPUs (6), shares within replicas
and wires (4, 9). What falls away is left unserved, for the search to place anew; rules beyond these are not looked at.
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from solvers.check.rules import all_slices, standing
from solvers.problem import Bool, Float, Int, Problem
from solvers.solution import Placement

_TOLERANCE = 1e-9


def fitted(problem: Problem, plan: Placement) -> Placement:
    """`plan` in the problem's numbering with less of everything that does not fit any more."""
    servers = _within_limits(problem, _within_sites(problem, np.minimum(plan.servers, problem.offer_max)))
    load = _busiest(_loads(problem, plan.share))
    replicas = _one_choice(problem, np.minimum(plan.replicas, problem.block_max), load)
    replicas = _within_gpus(problem, servers, replicas, load)
    share = _within_wires(problem, _within_replicas(problem, replicas, plan.share))
    served = np.bincount(problem.pair_demand, share, problem.demands)
    share = share / np.maximum(served, 1.0)[problem.pair_demand]
    left = np.maximum(1.0 - np.minimum(served, 1.0), 0.0)
    opened = np.bincount(problem.offer_site, servers, minlength=problem.sites) > 0
    return replace(plan, open=opened, servers=servers, replicas=replicas, share=share, unserved=left)


def _within_sites(problem: Problem, servers: Int) -> Int:
    """(7, 8): one server after the other leaves a site that cannot hold them, of the offer with most of them first."""
    servers = servers.copy()
    use = problem.server_use[problem.offer_server]
    for resource in range(problem.site_limit.shape[1]):
        limit = problem.site_limit[:, resource]
        total = np.bincount(problem.offer_site, use[:, resource] * servers, minlength=problem.sites)
        for p in np.flatnonzero(total > limit + _TOLERANCE * np.maximum(1, np.abs(limit))).tolist():
            mine = np.flatnonzero((problem.offer_site == p) & (use[:, resource] > 0))
            _take_away(servers, mine, use[mine, resource], float(limit[p]))
    return servers


def _within_limits(problem: Problem, servers: Int) -> Int:
    """(10–12)."""
    servers = servers.copy()
    matrix = problem.limit_matrix.tocsr()
    for row, limit in enumerate(problem.limit_rhs.tolist()):
        entries = slice(matrix.indptr[row], matrix.indptr[row + 1])
        _take_away(servers, matrix.indices[entries].astype(np.int64), matrix.data[entries], limit)
    return servers


def _take_away(servers: Int, offers: Int, each: Float, limit: float) -> None:
    """Fewer of the `offers` until they use no more than `limit`, the most numerous first."""
    while each @ servers[offers] > limit + _TOLERANCE * max(1.0, abs(limit)):
        counted = np.where(each > 0, servers[offers], 0)
        if not counted.any():
            return
        servers[offers[int(counted.argmax())]] -= 1


def _loads(problem: Problem, share: Float) -> Float:
    """Replicas that are busy, blocks × slices."""
    slices = max(problem.slices, 1)
    cell = problem.pair_block * slices + problem.demand_slice[problem.pair_demand]
    load = np.bincount(cell, problem.pair_load * share, minlength=problem.blocks * slices)
    return np.asarray(load.reshape(problem.blocks, slices), np.float64)


def _busiest(load: Float) -> Float:
    return np.asarray(load.max(axis=1, initial=0.0), np.float64)


def _one_choice(problem: Problem, replicas: Int, load: Float) -> Int:
    """(6) Of the blocks that exclude each other the busiest stays."""
    used = np.flatnonzero((problem.block_choice >= 0) & (replicas > 0))
    order = used[np.lexsort((used, -load[used], problem.block_choice[used]))]
    choice = problem.block_choice[order]
    others = order[1:][choice[1:] == choice[:-1]]
    kept = replicas.copy()
    kept[others] = 0
    return kept


def _within_gpus(problem: Problem, servers: Int, replicas: Int, load: Float) -> Int:
    """(6) One replica after the other leaves a site without the GPUs for it, the one that carries least first."""
    replicas = replicas.copy()
    quarters = problem.shape_quarters[problem.block_shape]
    for blocks, there in _gpu_rows(problem, servers):
        taken = np.bincount(problem.block_site[blocks], (quarters * replicas)[blocks], minlength=problem.sites)
        for p in np.flatnonzero(taken > there).tolist():
            mine = np.flatnonzero(blocks & (problem.block_site == p))
            while (quarters[mine] * replicas[mine]).sum() > there[p]:
                standing_here = mine[replicas[mine] > 0]
                carried = load[standing_here] / replicas[standing_here] / quarters[standing_here]
                replicas[standing_here[int(carried.argmin())]] -= 1
    return replicas


def _gpu_rows(problem: Problem, servers: Int) -> Iterator[tuple[Bool, Float]]:
    """The rows of (6): the blocks that count, and the quarter GPUs that every site has for them."""
    quarters, gpu = problem.shape_quarters[problem.block_shape], problem.shape_gpu[problem.block_shape]
    held = 4 * problem.server_gpus[problem.offer_server]
    for number in range(all_slices(problem)):
        stands = standing(problem, number)
        for kind in np.unique(gpu).tolist():
            for size in (1, 8, 16, 32):
                offers = (problem.server_gpu[problem.offer_server] == kind) & (held >= size)
                there = np.bincount(problem.offer_site[offers], (held * servers)[offers], minlength=problem.sites)
                yield stands & (gpu == kind) & (quarters >= size), there.astype(np.float64)


def _within_replicas(problem: Problem, replicas: Int, share: Float) -> Float:
    """(4) Shares of a block that is asked for too much shrink alike."""
    share = np.where(replicas[problem.pair_block] > 0, share, 0.0)
    load, room = _loads(problem, share), problem.capacity_factor * replicas[:, None]
    part = np.minimum(1.0, room / np.maximum(load, 1e-300))
    return np.asarray(share * part[problem.pair_block, problem.demand_slice[problem.pair_demand]], np.float64)


def _within_wires(problem: Problem, share: Float) -> Float:
    """(9) Shares of a site whose wire is too thin shrink alike."""
    slices = max(problem.slices, 1)
    cell = problem.pair_site * slices + problem.demand_slice[problem.pair_demand]
    for mbps, limit in ((problem.out_mbps, problem.uplink_mbps), (problem.in_mbps, problem.downlink_mbps)):
        flow = np.bincount(cell, mbps[problem.pair_demand] * share, minlength=problem.sites * slices)
        part = np.minimum(1.0, np.repeat(limit, slices) / np.maximum(flow, 1e-300))
        share = share * part[cell]
    return np.asarray(share, np.float64)
