"""A plan of yesterday made a plan of today: what no longer fits is taken away, and all else stays as it is.

In this order: servers beyond an offer's maximum, a site's limits or a limit row; replicas beyond what the servers can
hold or beside an exclusive one; shares beyond what replicas and links carry. What is left unserved is the search's to
place.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from solvers.problem import Bool, Float, Int, Problem
from solvers.search.ground import SIZES
from solvers.search.snapshot import Snapshot
from solvers.solution import Placement

_ROUNDING = 1e-12


class Repaired(NamedTuple):
    """A plan that keeps every rule but the budget, and the sites at which something was taken away."""

    shot: Snapshot
    touched: Bool  # P


def repair(problem: Problem, plan: Placement) -> Repaired:
    """What of `plan` the problem allows; the plan is in the problem's numbering, and may break its rules."""
    servers = _servers(problem, plan.servers)
    replicas = _replicas(problem, servers, np.clip(plan.replicas, 0, problem.block_max))
    pair = np.flatnonzero(plan.share > 0)
    before = np.minimum(plan.share[pair], 1.0)
    row, block = problem.pair_demand[pair].astype(np.int64), problem.pair_block[pair].astype(np.int64)
    served = np.bincount(row, before, minlength=problem.demands)
    share = before / np.maximum(served, 1.0)[row]
    slices = max(problem.slices, 1)
    slice_ = problem.demand_slice[row]
    room = np.repeat(problem.capacity_factor * replicas, slices)
    share = _scaled(share, problem.pair_load[pair], block * slices + slice_, room)
    share = np.where(replicas[block] > 0, share, 0.0)
    link = problem.block_site[block] * slices + slice_
    share = _scaled(share, problem.out_mbps[row], link, np.repeat(problem.uplink_mbps, slices))
    share = _scaled(share, problem.in_mbps[row], link, np.repeat(problem.downlink_mbps, slices))
    touched = np.zeros(problem.sites, np.bool_)
    touched[problem.offer_site[servers != plan.servers]] = True
    touched[problem.block_site[replicas != plan.replicas]] = True
    touched[problem.block_site[block[share < before - 1e-9]]] = True
    kept = share > 0
    return Repaired(Snapshot(pair[kept], share[kept], replicas, servers, np.nan), touched)


def _scaled(share: Float, weight: Float, key: Int, room: Float) -> Float:
    """Shares made smaller where Σ weight·share of a key exceeds its room."""
    used = np.bincount(key, weight * share, minlength=len(room))
    part = np.where(used > room, room * (1 - _ROUNDING) / np.where(used > room, used, 1.0), 1.0)
    return np.asarray(np.where(weight > 0, share * part[key], share), np.float64)


def _servers(problem: Problem, asked: Int) -> Int:
    """Servers that maxima, site limits and limit rows allow; the dearest of those that are too many go first."""
    servers = np.clip(asked, 0, problem.offer_max).astype(np.int64)
    use = problem.server_use[problem.offer_server]
    for resource in range(use.shape[1]):
        limit = problem.site_limit[:, resource]
        total = np.bincount(problem.offer_site, use[:, resource] * servers, minlength=problem.sites)
        for site in np.flatnonzero(total > limit * (1 + 1e-9)).tolist():
            here = np.flatnonzero(problem.offer_site == site)
            _drop(servers, here, use[here, resource], problem.offer_usd[here], limit[site])
    matrix = problem.limit_matrix.tocsr()
    for row in np.flatnonzero(
        matrix @ servers > problem.limit_rhs + 1e-9 * np.maximum(problem.limit_rhs, 1.0)
    ).tolist():
        span = slice(matrix.indptr[row], matrix.indptr[row + 1])
        here = matrix.indices[span].astype(np.int64)
        _drop(servers, here, matrix.data[span], problem.offer_usd[here], float(problem.limit_rhs[row]))
    return servers


def _drop(counts: Int, at: Int, use: Float, worth: Float, limit: float) -> None:
    """Take away from `counts[at]`, those of the highest worth first, until they use no more than the limit."""
    excess = float(use @ counts[at]) - limit
    for k in np.lexsort((at, -worth)).tolist():
        if excess <= 1e-9 * max(limit, 1.0):
            return
        if use[k] > 0 and counts[at[k]] > 0:
            gone = min(int(counts[at[k]]), int(np.ceil(excess / use[k] - 1e-9)))
            counts[at[k]] -= gone
            excess -= gone * use[k]


def _replicas(problem: Problem, servers: Int, asked: Int) -> Int:
    """Replicas that the servers hold (6), of blocks that exclude each other one; the largest go first."""
    replicas = _exclusive(problem, asked.astype(np.int64))
    stands = np.full(problem.blocks, -1) if problem.block_slice is None else problem.block_slice
    quarters = problem.shape_quarters[problem.block_shape]
    types = int(max(problem.shape_gpu.max(initial=-1), problem.server_gpu.max(initial=-1))) + 1
    unit = problem.block_site * types + problem.shape_gpu[problem.block_shape]
    gpu, held = problem.server_gpu[problem.offer_server], 4 * problem.server_gpus[problem.offer_server]
    for t in range(max(problem.slices, 1)):
        here = (stands < 0) | (stands == t)
        for size in SIZES[::-1].tolist():
            counts = (gpu >= 0) & (held >= size)
            room = np.bincount(
                (problem.offer_site * types + gpu)[counts], (held * servers)[counts], minlength=problem.sites * types
            )
            large = here & (quarters >= size)
            taken = np.bincount(unit[large], (quarters * replicas)[large], minlength=len(room))
            for over in np.flatnonzero(taken > room).tolist():
                at = np.flatnonzero(large & (unit == over))
                _drop(replicas, at, quarters[at].astype(float), -quarters[at].astype(float), float(room[over]))
    return replicas


def _exclusive(problem: Problem, replicas: Int) -> Int:
    """Of standing blocks of one choice the one with the most replicas."""
    at = np.flatnonzero((problem.block_choice >= 0) & (replicas > 0))
    order = at[np.lexsort((at, -replicas[at], problem.block_choice[at]))]
    again = np.zeros(len(order), np.bool_)
    again[1:] = np.diff(problem.block_choice[order]) == 0
    kept = replicas.copy()
    kept[order[again]] = 0
    return kept


def same_sizes(problem: Problem, plan: Placement) -> bool:
    """Whether a plan has the problem's numbers of everything."""
    lengths: list[tuple[NDArray[np.generic], int]] = [
        (plan.open, problem.sites), (plan.servers, problem.offers), (plan.replicas, problem.blocks),
        (plan.share, problem.pairs), (plan.unserved, problem.demands),
    ]  # fmt: skip
    return all(len(values) == wanted for values, wanted in lengths)
