"""What must stand whatever is served: the replicas that pins ask for, and the gangs of jobs, where they cost least.

Both orders are tried, pins first and jobs first. A job that finds no room goes before all others next time. Where that
leads nowhere, pins and jobs without demand are one small integer program.
"""

from dataclasses import replace

import numpy as np

from solvers.complete.draft import Draft
from solvers.complete.jobs import by_size, place
from solvers.complete.pins import keep_pins
from solvers.problem import Problem
from solvers.rules import Rules
from solvers.solution import Placement, cost_usd

PROGRAM_S = 10.0
GAP = 0.01
"""Of the program, as any plan of it will do."""


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
    if not drafts:
        return _programmed(problem)
    return min(drafts, key=lambda draft: cost_usd(problem, draft.placement()))


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


def _programmed(problem: Problem) -> Draft | None:
    """The draft by branch and bound, without pairs and without sites that no pin and no job asks for."""
    from solvers.exact import solve_exact  # noqa: PLC0415  heavy, and seldom needed

    rules, asked = problem.rules, np.zeros(problem.sites, np.bool_)
    if rules.pins is not None:
        asked[problem.block_site[rules.pins.entry_block]] = True
    if rules.jobs is not None:
        asked[rules.jobs.option_site] = True
    none = np.zeros(0, np.int64)
    bare = replace(
        problem,
        offer_max=np.where(asked[problem.offer_site], problem.offer_max, 0),
        unserved_usd=np.zeros(problem.demands),
        pair_demand=none,
        pair_block=none,
        pair_load=np.zeros(0),
        pair_usd=np.zeros(0),
        single_source=False,
        rules=Rules(moves=rules.moves, pins=rules.pins, jobs=rules.jobs),
    )
    found = solve_exact(bare, gap=GAP, time_limit_s=PROGRAM_S).placement
    if found is None:
        return None
    return Draft.of(problem, replace(found, share=np.zeros(problem.pairs), unserved=np.ones(problem.demands)))
