"""The most of each decision that any useful plan can hold: valid upper bounds, often tighter than the problem's."""

from dataclasses import dataclass

import numpy as np

from solvers.problem import Bool, Float, Int, Problem


@dataclass(frozen=True)
class Most:
    """Upper bounds that no plan needs to exceed."""

    servers: Int  # O
    replicas: Int  # B
    share: Float  # N


def most(problem: Problem) -> Most:
    """Upper bounds that no plan needs to exceed.

    Servers: offer_max, what a site's limits carry, what one limit row carries. Replicas: block_max, what the demand
    (with the backup shares, where there are any) could use in the busiest slice or a pin asks for (replicas cost
    nothing themselves, so more are never needed), and the GPUs the site could hold. Servers again: what those
    replicas and the gangs of jobs could fill. Shares: what that many replicas could serve.
    """
    servers = _most_servers(problem)
    replicas = np.minimum(problem.block_max, np.maximum(_replicas_of_demand(problem), _replicas_of_pins(problem)))
    replicas = np.minimum(replicas, _replicas_of_gpus(problem, servers)).astype(np.int64)
    servers = np.minimum(servers, _servers_of_replicas(problem, replicas))
    carried = problem.capacity_factor * replicas[problem.pair_block]
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(problem.pair_load > carried, carried / problem.pair_load, 1.0)
    share[replicas[problem.pair_block] == 0] = 0.0
    return Most(servers, replicas, share)


def slices_of(problem: Problem) -> int:
    """Slices that anything of the problem speaks of, one at least."""
    jobs, transit = problem.rules.jobs, problem.rules.transit
    stands = -1 if problem.block_slice is None else int(problem.block_slice.max(initial=-1))
    spoken = [1, problem.slices, stands + 1]
    spoken += [] if jobs is None else [jobs.option_slices.shape[1]]
    spoken += [] if transit is None else [len(transit.slice_share)]
    return max(spoken)


def gpu_types(problem: Problem) -> int:
    """GPU types that a shape, a server or a job speaks of, one at least."""
    jobs = problem.rules.jobs
    named = [problem.shape_gpu, problem.server_gpu] + ([] if jobs is None else [jobs.option_gpu])
    return max(int(gpu.max(initial=0)) for gpu in named) + 1


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
    """Replicas that the loads of a block keep busy in its busiest slice, B; one where a load is nothing.

    A survivor carries x and z of a row whose primary share fails with the domain: x + z ≤ 1, so the larger load of
    the two counts once.
    """
    demand, block, load = problem.pair_demand.astype(np.int64), problem.pair_block, problem.pair_load
    reserve = problem.rules.reserve
    if reserve is not None:
        blocks = max(problem.blocks, 1)
        backed = reserve.pair_demand.astype(np.int64)
        key = np.concatenate([demand * blocks + block, backed * blocks + reserve.pair_block])
        pair, which = np.unique(key, return_inverse=True)
        largest = np.zeros(len(pair))
        np.maximum.at(largest, which, np.concatenate([load, reserve.pair_load]))
        demand, block, load = pair // blocks, pair % blocks, largest
    slices = slices_of(problem)
    key = block * slices + problem.demand_slice[demand]
    total = np.bincount(key, load, minlength=problem.blocks * slices)
    busiest = total.reshape(problem.blocks, slices).max(axis=1, initial=0.0)
    wanted = np.bincount(block, minlength=problem.blocks) > 0
    return np.asarray(np.maximum(np.ceil(busiest / problem.capacity_factor), wanted), np.float64)


def _replicas_of_pins(problem: Problem) -> Float:
    """The largest count that a pin asks of blocks to which this one belongs, B."""
    result = np.zeros(problem.blocks)
    pins = problem.rules.pins
    if pins is not None:
        np.maximum.at(result, pins.entry_block, pins.least[pins.entry_pin].astype(np.float64))
    return result


def _replicas_of_gpus(problem: Problem, servers: Int) -> Float:
    """floor(quarter GPUs that servers large enough could hold / quarters of a replica), B."""
    gpus = gpu_types(problem)
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
    """Servers that would hold every replica and gang of their GPU type at the site, O.

    No bound where a server earns money or helps to keep a row of totals.
    """
    gpus = gpu_types(problem)
    block_key = problem.block_site * gpus + problem.shape_gpu[problem.block_shape]
    quarters = problem.shape_quarters[problem.block_shape] * replicas
    wanted = np.bincount(block_key, quarters, minlength=problem.sites * gpus) + _quarters_of_jobs(problem, gpus)
    key = problem.offer_site * gpus + problem.server_gpu[problem.offer_server]
    held = np.maximum(4 * problem.server_gpus[problem.offer_server], 1)
    enough = np.ceil(wanted[key] / held)
    useless = problem.offer_usd >= 0
    for total in problem.rules.totals:
        if total.offer is not None:
            useless &= total.offer >= 0
    return np.where(useless, enough, problem.offer_max).astype(np.int64)


def _quarters_of_jobs(problem: Problem, gpus: int) -> Float:
    """Quarter GPUs of each (site, GPU type) that the jobs take when every one of them runs there, P·types."""
    result = np.zeros(problem.sites * gpus)
    jobs = problem.rules.jobs
    if jobs is not None and jobs.options:
        place = jobs.option_site * gpus + jobs.option_gpu
        run, which = np.unique(jobs.option_job * len(result) + place, return_inverse=True)
        largest = np.zeros(len(run))
        np.maximum.at(largest, which, jobs.option_quarters.astype(np.float64))
        np.add.at(result, run % len(result), largest)
    return result


def _carried(problem: Problem, offer_key: Int, kept: Bool, held: Int, use: Float, resource: int, gpus: int) -> Float:
    """Quarter GPUs of each (site, GPU type) that one limit could carry on its densest server."""
    density = np.zeros(problem.sites * gpus)
    with np.errstate(divide="ignore"):
        np.maximum.at(density, offer_key[kept], np.where(use > 0, held / use, np.inf)[kept])
    limit = np.repeat(problem.site_limit[:, resource], gpus)
    with np.errstate(invalid="ignore"):
        return np.where((density > 0) & (limit > 0), density * limit, np.where(np.isinf(density), np.inf, 0.0))
