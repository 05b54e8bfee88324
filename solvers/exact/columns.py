"""Where each decision of a problem stands among the columns of its model."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from solvers.problem import Bool, Float, Int, Problem


@dataclass(frozen=True)
class Columns:
    """Columns in the order open, servers, replicas, choices, share, unserved; each field is where its kind begins.

    A choice column is the 0/1 decision "this operating point is the one used". Only blocks that exclude others
    and may hold more than one replica have one; where a block holds one replica at most, the replica says it.
    """

    open: int
    servers: int
    replicas: int
    choices: int
    share: int
    unserved: int
    count: int
    choice_block: Int  # block of every choice column

    def names(self) -> Iterator[str]:
        """The column names of an LP file, in order."""
        kinds = (("open", self.servers), ("servers", self.replicas - self.servers),
                 ("replicas", self.choices - self.replicas))  # fmt: skip
        for kind, length in kinds:
            yield from (f"{kind}_{k}" for k in range(length))
        yield from (f"choice_{block}" for block in self.choice_block)
        yield from (f"share_{k}" for k in range(self.unserved - self.share))
        yield from (f"unserved_{k}" for k in range(self.count - self.unserved))


def layout(problem: Problem, most: "Most") -> Columns:
    """The columns of `problem`."""
    choice_block = np.flatnonzero(excludes_others(problem) & (most.replicas > 1)).astype(np.int64)
    lengths = (problem.sites, problem.offers, problem.blocks, len(choice_block), problem.pairs, problem.demands)
    servers, replicas, choices, share, unserved, count = np.cumsum(lengths).tolist()
    return Columns(0, servers, replicas, choices, share, unserved, count, choice_block)


def excludes_others(problem: Problem) -> Bool:
    """Blocks that share their choice with another block, B."""
    chosen = problem.block_choice >= 0
    times = np.bincount(problem.block_choice[chosen])
    shared = np.zeros(problem.blocks, np.bool_)
    shared[chosen] = times[problem.block_choice[chosen]] > 1
    return shared


@dataclass(frozen=True)
class Most:
    """The most of each decision that any useful plan can hold: valid upper bounds, often tighter than the problem's."""

    servers: Int  # O
    replicas: Int  # B
    share: Float  # N


def most(problem: Problem) -> Most:
    """Upper bounds that no plan needs to exceed.

    Servers: offer_max, what a site's limits carry, what one limit row carries. Replicas: block_max, what the demand
    could use in the busiest slice (replicas cost nothing themselves, so more are never needed), and the GPUs the
    site could hold. Servers again: what those replicas could fill. Shares: what that many replicas could serve.
    """
    servers = _most_servers(problem)
    replicas = np.minimum(problem.block_max, _replicas_of_demand(problem))
    replicas = np.minimum(replicas, _replicas_of_gpus(problem, servers)).astype(np.int64)
    servers = np.minimum(servers, _servers_of_replicas(problem, replicas))
    carried = problem.capacity_factor * replicas[problem.pair_block]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(problem.pair_load > carried, carried / problem.pair_load, 1.0)
    share[replicas[problem.pair_block] == 0] = 0.0
    return Most(servers, replicas, share)


def _whole(ratio: Float) -> Float:
    """Floor, forgiving the last digits that a division loses."""
    return np.asarray(np.floor(ratio * (1 + 1e-12) + 1e-9), np.float64)


def _most_servers(problem: Problem) -> Int:
    result = problem.offer_max.astype(np.float64)
    use = problem.server_use[problem.offer_server]
    with np.errstate(divide="ignore", invalid="ignore"):
        fits = np.where(use > 0, _whole(problem.site_limit[problem.offer_site] / use), np.inf)
        result = np.minimum(result, fits.min(axis=1, initial=np.inf))
        entries = problem.limit_matrix.tocoo()
        allowed = np.where(entries.data > 0, _whole(problem.limit_rhs[entries.row] / entries.data), np.inf)
    np.minimum.at(result, entries.col, allowed)
    return np.asarray(np.maximum(result, 0.0), np.int64)


def _replicas_of_demand(problem: Problem) -> Float:
    slices = max(problem.slices, 1)
    key = problem.pair_block * slices + problem.demand_slice[problem.pair_demand]
    load = np.bincount(key, problem.pair_load, minlength=problem.blocks * slices)
    busiest = load.reshape(problem.blocks, slices).max(axis=1, initial=0.0)
    wanted = np.bincount(problem.pair_block, minlength=problem.blocks) > 0
    return np.asarray(np.maximum(np.ceil(busiest / problem.capacity_factor), wanted), np.float64)


def _replicas_of_gpus(problem: Problem, servers: Int) -> Float:
    """floor(quarter GPUs that servers large enough could hold / quarters of a replica), B."""
    gpus = int(max(problem.shape_gpu.max(initial=0), problem.server_gpu.max(initial=0))) + 1
    offer_key = problem.offer_site * gpus + problem.server_gpu[problem.offer_server]
    block_key = problem.block_site * gpus + problem.shape_gpu[problem.block_shape]
    quarters = problem.shape_quarters[problem.block_shape]
    held = 4 * problem.server_gpus[problem.offer_server]
    use = problem.server_use[problem.offer_server]
    result = np.zeros(problem.blocks)
    for size in np.unique(quarters):
        large = held >= (size if size >= 8 else 1)
        there = np.bincount(offer_key[large], (held * servers)[large], minlength=problem.sites * gpus)
        for resource in range(use.shape[1]):
            there = np.minimum(there, _carried(problem, offer_key, large, held, use[:, resource], resource, gpus))
        here = quarters == size
        result[here] = _whole(there[block_key[here]] / size)
    return result


def _servers_of_replicas(problem: Problem, replicas: Int) -> Int:
    """Servers that would hold every replica of their GPU type at the site, O; no bound where a server earns money."""
    gpus = int(max(problem.shape_gpu.max(initial=0), problem.server_gpu.max(initial=0))) + 1
    block_key = problem.block_site * gpus + problem.shape_gpu[problem.block_shape]
    quarters = problem.shape_quarters[problem.block_shape] * replicas
    wanted = np.bincount(block_key, quarters, minlength=problem.sites * gpus)
    key = problem.offer_site * gpus + problem.server_gpu[problem.offer_server]
    held = np.maximum(4 * problem.server_gpus[problem.offer_server], 1)
    enough = np.ceil(wanted[key] / held)
    return np.where(problem.offer_usd >= 0, enough, problem.offer_max).astype(np.int64)


def _carried(problem: Problem, offer_key: Int, kept: Bool, held: Int, use: Float, resource: int, gpus: int) -> Float:
    """Quarter GPUs of each (site, GPU type) that one limit could carry on its densest server."""
    density = np.zeros(problem.sites * gpus)
    with np.errstate(divide="ignore"):
        np.maximum.at(density, offer_key[kept], np.where(use > 0, held / use, np.inf)[kept])
    limit = np.repeat(problem.site_limit[:, resource], gpus)
    with np.errstate(invalid="ignore"):
        return np.where((density > 0) & (limit > 0), density * limit, np.where(np.isinf(density), np.inf, 0.0))
