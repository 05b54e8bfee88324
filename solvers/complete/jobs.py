"""(15) Jobs beside a plan: gangs go where GPUs idle in their slices, else where more servers cost least."""

import numpy as np

from solvers.complete.draft import SIZES, Draft
from solvers.complete.servers import cheapest, trim
from solvers.problem import Int


def place_jobs(draft: Draft) -> str:
    """Choose an option for every job, the largest gangs first, then each once more; what failed in words, else ""."""
    jobs = draft.problem.rules.jobs
    if jobs is None:
        return ""
    largest = np.zeros(jobs.jobs, np.int64)
    np.maximum.at(largest, jobs.option_job, jobs.option_quarters)
    order = np.lexsort((np.arange(jobs.jobs), -largest)).tolist()
    for job in order:
        if not _place(draft, job):
            return f"(15) no room for job {job}"
    for job in order:
        replace_job(draft, job)
    return ""


def replace_job(draft: Draft, job: int) -> None:
    """Take one job out, give back what it alone needed, and place it again."""
    old = int(draft.jobs[job])
    kept = draft.servers.copy()
    draft.gang(old, -1)
    draft.jobs[job] = -1
    trim(draft)
    if not _place(draft, job):
        for offer in np.flatnonzero(kept != draft.servers).tolist():
            draft.buy(offer, int(kept[offer] - draft.servers[offer]))
        draft.gang(old, 1)
        draft.jobs[job] = old


def _place(draft: Draft, job: int) -> bool:
    """Give a job its cheapest option."""
    jobs = draft.problem.rules.jobs
    assert jobs is not None
    options = np.flatnonzero(jobs.option_job == job)
    order = options[np.lexsort((options, jobs.option_usd[options]))]
    best, best_usd = -1, np.inf
    for option in order.tolist():
        usd = float(jobs.option_usd[option])
        if usd >= best_usd:
            break
        unit = int(jobs.option_site[option] * draft.types + jobs.option_gpu[option])
        usd += cheapest(draft, unit, _lack(draft, option, unit))[0]
        if usd < best_usd:
            best, best_usd = option, usd
    if best < 0:
        return False
    unit = int(jobs.option_site[best] * draft.types + jobs.option_gpu[best])
    for offer, count in cheapest(draft, unit, _lack(draft, best, unit))[1]:
        draft.buy(offer, count)
    draft.gang(best, 1)
    draft.jobs[job] = best
    return True


def _lack(draft: Draft, option: int, unit: int) -> Int:
    """Quarters missing by size if the option ran, too."""
    jobs = draft.problem.rules.jobs
    assert jobs is not None
    when = np.zeros(draft.slices, np.bool_)
    when[: jobs.option_slices.shape[1]] = jobs.option_slices[option]
    if not when.any():
        return np.zeros(len(SIZES), np.int64)
    most = draft.taken[unit][:, when].max(axis=1)
    gang = np.where(jobs.option_size[option] >= SIZES, jobs.option_quarters[option], 0)
    return np.asarray(np.maximum(most + gang - draft.held[unit], 0) * (gang > 0), np.int64)
