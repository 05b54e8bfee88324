"""(13) restated on a plan of many pairs: every domain fails once, by sums over the backups that are used."""

import numpy as np

from solvers.problem import Bool, Float, Int, Problem
from solvers.solution import Placement

TOLERANCE = 1e-9


def failures(problem: Problem, plan: Placement) -> list[str]:
    """What a domain's failure breaks under planned failover, a line each; empty when every domain may fail."""
    reserve = problem.rules.reserve
    assert reserve is not None
    if plan.backup is None or plan.backup.shape != (reserve.domains, reserve.pairs):
        return ["(13) backup is missing or of another shape"]
    slices = max(problem.slices, 1)
    used = np.flatnonzero(plan.share > 0)
    row, block, share = problem.pair_demand[used], problem.pair_block[used], plan.share[used]
    site = problem.block_site[block]
    first = np.searchsorted(reserve.pair_demand, np.arange(problem.demands + 1))
    found = []
    for e in range(reserve.domains):
        down = reserve.domain_site[e]
        span = slice(plan.backup.indptr[e], plan.backup.indptr[e + 1])
        pair, taken = plan.backup.indices[span].astype(np.int64), plan.backup.data[span]
        to_row, to_block = reserve.pair_demand[pair], reserve.pair_block[pair]
        to_site, stays = problem.block_site[to_block], ~down[site]
        if (taken < 0).any() or (down[to_site] | ~plan.open[to_site] | (plan.replicas[to_block] == 0)).any():
            found.append(f"(13) domain {e}: backup where nothing survives")
        loss = np.bincount(row[~stays], share[~stays], problem.demands)
        short = np.abs(np.bincount(to_row, taken, problem.demands) - loss) > TOLERANCE
        if any(not _exempt(problem, down, reserve.pair_block[first[i] : first[i + 1]]) for i in np.flatnonzero(short)):
            found.append(f"(13) domain {e}: backup and loss differ")
        cells = problem.blocks * slices
        load = np.bincount(
            _cell(problem, block[stays], row[stays]), problem.pair_load[used][stays] * share[stays], cells
        )
        load += np.bincount(_cell(problem, to_block, to_row), reserve.pair_load[pair] * taken, cells)
        room = problem.capacity_factor * np.repeat(plan.replicas, slices)
        if (load > room + TOLERANCE * np.maximum(1.0, room)).any():
            found.append(f"(13) domain {e}: a survivor is full")
        for mbps, limit in ((problem.out_mbps, problem.uplink_mbps), (problem.in_mbps, problem.downlink_mbps)):
            flow: Float = np.zeros((problem.sites, slices))
            np.add.at(flow, (site[stays], problem.demand_slice[row[stays]]), mbps[row[stays]] * share[stays])
            np.add.at(flow, (to_site, problem.demand_slice[to_row]), mbps[to_row] * taken)
            most = np.where(np.isfinite(limit), limit * (1 + TOLERANCE) + TOLERANCE, np.inf)
            if (flow[~down] > most[~down, None]).any():
                found.append(f"(13) domain {e}: a survivor's link is full")
    return found


def _cell(problem: Problem, block: Int, row: Int) -> Int:
    return np.asarray(block * max(problem.slices, 1) + problem.demand_slice[row], np.int64)


def _exempt(problem: Problem, down: Bool, blocks: Int) -> bool:
    """Whether all of a row's backup pairs fail with the domain."""
    return bool(down[problem.block_site[blocks]].all())
