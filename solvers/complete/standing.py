"""What must stand whatever is served: the replicas that pins ask for, and the gangs of jobs, where they cost least.

Both orders are tried, pins first and jobs first. A job that finds no room goes before all others next time.
"""

import numpy as np

from solvers.complete.draft import Draft
from solvers.complete.jobs import by_size, place
from solvers.complete.pins import keep_pins
from solvers.problem import Problem
from solvers.solution import Placement, cost_usd


def nothing(problem: Problem) -> Placement:
    """The plan in which nothing stands and nothing is served."""
    return Placement(
        np.zeros(problem.sites, np.bool_),
        np.zeros(problem.offers, np.int64),
        np.zeros(problem.blocks, np.int64),
        np.zeros(problem.pairs),
        np.ones(problem.demands),
    )


def standing(problem: Problem) -> Draft | None:
    """The cheapest draft found in which pins and jobs are kept and nothing is served; None where none was found."""
    jobs = problem.rules.jobs
    first = [] if jobs is None else by_size(jobs)
    drafts = [draft for pins in (True, False) if (draft := _promoting(problem, first, pins_first=pins)) is not None]
    return min(drafts, key=lambda draft: cost_usd(problem, draft.placement()), default=None)


def _promoting(problem: Problem, order: list[int], *, pins_first: bool) -> Draft | None:
    """A draft by the order of jobs; the one that finds no room is promoted, as often as there are jobs."""
    for _ in range(len(order) + 1):
        draft = Draft(problem, nothing(problem))
        if pins_first and keep_pins(draft):
            return None
        failed = next((job for job in order if not place(draft, job)), None)
        if failed is None:
            return draft if pins_first or not keep_pins(draft) else None
        if failed == order[0]:
            return None
        order = [failed, *(job for job in order if job != failed)]
    return None
