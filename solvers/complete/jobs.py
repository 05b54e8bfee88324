"""(15) Jobs beside a plan: gangs go where GPUs idle in their slices, else where more servers cost least.

A job must run and demand need not be served: where no server is to be had, replicas that earn least make room.
"""

import numpy as np

from solvers.complete.draft import SIZES, Draft
from solvers.complete.pins import drop_replica, with_least
from solvers.complete.servers import cheapest, trim
from solvers.problem import Float, Int
from solvers.rules import Jobs


def place_jobs(draft: Draft) -> str:
    """Choose an option for every job, the largest gangs first, then each once more; what failed in words, else ""."""
    jobs = draft.problem.rules.jobs
    if jobs is None:
        return ""
    order = by_size(jobs)
    for job in order:
        if draft.jobs[job] < 0 and not place(draft, job) and not _make_room(draft, job):
            return f"(15) no room for job {job}"
    for job in order:
        replace_job(draft, job)
    return ""


def by_size(jobs: Jobs) -> list[int]:
    """Jobs in order, the largest gangs first."""
    largest = np.zeros(jobs.jobs, np.int64)
    np.maximum.at(largest, jobs.option_job, jobs.option_quarters)
    order: list[int] = np.lexsort((np.arange(jobs.jobs), -largest)).tolist()
    return order


def replace_job(draft: Draft, job: int) -> None:
    """Take one job out, give back what it alone needed, and place it again."""
    old = int(draft.jobs[job])
    kept = draft.servers.copy()
    draft.gang(old, -1)
    draft.jobs[job] = -1
    trim(draft)
    if not place(draft, job):
        for offer in np.flatnonzero(kept != draft.servers).tolist():
            draft.buy(offer, int(kept[offer] - draft.servers[offer]))
        draft.gang(old, 1)
        draft.jobs[job] = old


def place(draft: Draft, job: int) -> bool:
    """Give a job its cheapest option; of those that cost the same, the one that costs least by itself."""
    jobs = draft.problem.rules.jobs
    assert jobs is not None
    options = np.flatnonzero(jobs.option_job == job)
    least_usd = jobs.option_usd[options] + _least_usd(draft, options)
    best = (np.inf, np.inf, -1)
    for k in np.lexsort((options, least_usd)).tolist():
        if least_usd[k] > best[0] or least_usd[k] == np.inf:
            break
        option, own_usd = int(options[k]), float(jobs.option_usd[options[k]])
        unit = int(jobs.option_site[option] * draft.types + jobs.option_gpu[option])
        best = min(best, (own_usd + cheapest(draft, unit, _lack(draft, option, unit))[0], own_usd, option))
    if not np.isfinite(best[0]):
        return False
    _run(draft, job, best[2])
    return True


def _least_usd(draft: Draft, options: Int) -> Float:
    """What servers for each of some options cost at least, USD a month: the lacking quarters at the unit's best rate.

    Of thousands of sites few are worth a look at what they would cost in whole servers.
    """
    problem, jobs = draft.problem, draft.problem.rules.jobs
    assert jobs is not None
    site = jobs.option_site[options]
    unit = site * draft.types + jobs.option_gpu[options]
    sold = np.flatnonzero((draft.offer_unit >= 0) & (draft.offer_quarters > 0))
    rate = np.full(len(draft.held), np.inf)
    np.minimum.at(rate, draft.offer_unit[sold], problem.offer_usd[sold] / draft.offer_quarters[sold])
    lack = _lack_by_slice(draft, options, unit).max(axis=(1, 2), initial=0)
    opening = np.where(draft.count[site] == 0, problem.open_usd[site], 0.0)
    # where a server earns money, no number of them is the least
    usd = np.where(rate[unit] < 0, -np.inf, np.maximum(rate[unit], 0.0) * np.maximum(lack, 1) + opening)
    return np.where(lack > 0, np.where(np.isfinite(usd), usd - 1e-9 * np.abs(usd), usd), 0.0)


def _run(draft: Draft, job: int, option: int) -> None:
    """Let the job run by the option, on servers bought for it where need be."""
    jobs = draft.problem.rules.jobs
    assert jobs is not None
    unit = int(jobs.option_site[option] * draft.types + jobs.option_gpu[option])
    for offer, count in cheapest(draft, unit, _lack(draft, option, unit))[1]:
        draft.buy(offer, count)
    draft.gang(option, 1)
    draft.jobs[job] = option


def _make_room(draft: Draft, job: int) -> bool:
    """Run the job where the replicas in its way earn least; False where they do not make room enough anywhere."""
    jobs = draft.problem.rules.jobs
    assert jobs is not None
    gain = replica_gain(draft)
    best, best_usd, dropped = -1, np.inf, list[tuple[int, int]]()
    for option in np.flatnonzero(jobs.option_job == job).tolist():
        unit = int(jobs.option_site[option] * draft.types + jobs.option_gpu[option])
        found = _in_the_way(draft, option, unit, gain)
        if found is not None and found[0] + jobs.option_usd[option] < best_usd:
            best, best_usd, dropped = option, found[0] + float(jobs.option_usd[option]), found[1]
    if best < 0:
        return False
    for block, count in dropped:
        for _ in range(count):
            drop_replica(draft, block)
    _run(draft, job, best)
    return True


def _in_the_way(draft: Draft, option: int, unit: int, gain: Float) -> tuple[float, list[tuple[int, int]]] | None:
    """USD a month that replicas earn which stand in an option's way, and which; None where others are in the way."""
    lack = _lack_by_slice(draft, np.array([option]), np.array([unit]))[0]
    pinned = with_least(draft, np.zeros(draft.problem.blocks, np.int64))
    blocks = np.flatnonzero((draft.block_unit == unit) & (draft.replicas > 0))
    usd, dropped = 0.0, list[tuple[int, int]]()
    for k in np.lexsort((blocks, gain[blocks] / draft.quarters[blocks])).tolist():
        block, size = int(blocks[k]), int(draft.quarters[blocks[k]])
        when = slice(None) if draft.stands[block] < 0 else slice(int(draft.stands[block]), int(draft.stands[block]) + 1)
        level = int(draft.level[block]) + 1
        most = int(lack[:level, when].max(initial=0))
        count = min(int(draft.replicas[block] - pinned[block]), -(-most // size))
        if count > 0:
            lack[:level, when] -= count * size
            usd += count * float(gain[block])
            dropped.append((block, count))
    return None if (lack > 0).any() else (usd, dropped)


def replica_gain(draft: Draft) -> Float:
    """USD a month that a replica of every block saves: what its rows would cost unserved, less what they cost, B."""
    problem = draft.problem
    used = np.flatnonzero(draft.share > 0)
    usd = np.minimum(problem.unserved_usd[problem.pair_demand[used]], 1e12) - problem.pair_usd[used]
    total = np.bincount(problem.pair_block[used], usd * draft.share[used], minlength=problem.blocks)
    return np.asarray(total / np.maximum(draft.replicas, 1), np.float64)


def _lack(draft: Draft, option: int, unit: int) -> Int:
    """Quarters missing by size if the option ran, too."""
    lack = _lack_by_slice(draft, np.array([option]), np.array([unit]))[0]
    return np.asarray(np.maximum(lack, 0).max(axis=1, initial=0), np.int64)


def _lack_by_slice(draft: Draft, options: Int, units: Int) -> Int:
    """Quarters missing by size and slice if each option ran by itself, O × 4 × T; at most 0 where it does not run."""
    jobs = draft.problem.rules.jobs
    assert jobs is not None
    when = np.zeros((len(options), draft.slices), np.bool_)
    when[:, : jobs.option_slices.shape[1]] = jobs.option_slices[options]
    larger = jobs.option_size[options][:, None] >= SIZES[None, :]
    gang = np.where(larger, jobs.option_quarters[options][:, None], 0)
    lack = draft.taken[units] + gang[:, :, None] - draft.held[units][:, :, None]
    return np.asarray(np.where(when[:, None, :] & (gang > 0)[:, :, None], lack, 0), np.int64)
