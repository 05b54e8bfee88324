"""A job's cheapest option is found without a look at all of them, and is the one that a look at all finds."""

import numpy as np

from solvers.complete.draft import SIZES, Draft
from solvers.complete.jobs import place
from solvers.complete.servers import cheapest
from solvers.complete.standing import nothing
from solvers.instances.tiny_ruled import random_ruled
from solvers.relax import base_problem


def least(draft: Draft, job: int) -> tuple[float, float, int]:
    """(USD with the servers to buy, USD of its own, option), the least over every option, one by one."""
    jobs = draft.problem.rules.jobs
    assert jobs is not None
    found = []
    for option in np.flatnonzero(jobs.option_job == job).tolist():
        unit = int(jobs.option_site[option] * draft.types + jobs.option_gpu[option])
        lack = [0, 0, 0, 0]
        for k, size in enumerate(SIZES.tolist()):
            for t in np.flatnonzero(jobs.option_slices[option]).tolist():
                if jobs.option_size[option] >= size:
                    more = draft.taken[unit, k, t] + jobs.option_quarters[option] - draft.held[unit, k]
                    lack[k] = max(lack[k], int(more))
        usd = cheapest(draft, unit, np.array(lack))[0]
        found.append((float(jobs.option_usd[option]) + usd, float(jobs.option_usd[option]), option))
    return min(found)


def test_a_job_goes_where_a_look_at_every_option_sends_it() -> None:
    placed = bought = 0
    for seed in range(400):
        problem = random_ruled(seed, ["jobs"])
        draft = Draft(problem, nothing(base_problem(problem)))
        assert problem.rules.jobs is not None
        for job in range(problem.rules.jobs.jobs):
            usd, _, option = least(draft, job)
            before = draft.servers.sum()
            assert place(draft, job) == np.isfinite(usd)
            if np.isfinite(usd):
                assert draft.jobs[job] == option, seed
                placed, bought = placed + 1, bought + int(draft.servers.sum() > before)
    assert placed > 300
    assert bought > 100
