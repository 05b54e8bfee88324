"""A plan for one stage of a roll-out: search its base problem, make the rules be kept, keep the cheapest of some tries.

Rules that the search knows nothing of only clip its blocks (pins, moves); what they ask for is added by
`solvers.complete`. Where replicas that are added have a price or a limit, a plan that adds none is tried, too, and
where too many were added, one that adds only those that carry most.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from solvers.check import violations
from solvers.complete import Completed, Effort, annealed, complete
from solvers.complete.draft import block_most
from solvers.complete.pins import busy_replicas
from solvers.problem import Int, Problem
from solvers.relax import base_problem
from solvers.search.repair import repair
from solvers.search.snapshot import to_placement
from solvers.solution import Placement, Solution, added, cost_usd

Search = Callable[[Problem, Placement | None], Solution]
"""A search of a problem without rules, from a plan of it or from none."""


@dataclass(frozen=True)
class Planned:
    """The cheapest plan found of a stage, or what was in the way."""

    plan: Placement | None
    message: str
    before_reserve_usd: float | None


def plan_stage(problem: Problem, search: Search, hint: Placement | None) -> Planned:
    """A plan of `problem` that keeps its rules; `hint` is a plan to start from, which need not keep them."""
    most = block_most(problem)
    base = _clipped(base_problem(problem), most)
    start = fitting(base, hint)
    tries = [] if start is None or not problem.rules.any else [complete(problem, start)]
    given = None if hint is None else _bare(base, hint)
    if hint is not None and hint.backup is not None:
        tries.append(Completed(hint))
    free = search(base, given)
    if not problem.rules.any:
        return Planned(free.placement, free.message, None)
    tries.append(_completed(problem, free))
    moves = problem.rules.moves
    if moves is not None:
        if free.placement is not None and _too_many(problem, free.placement):
            few = _clipped(base, _allowed(problem, free.placement))
            tries.append(_completed(problem, search(few, given)))
        if (moves.usd > 0).any() or np.isfinite(moves.most):
            none = _clipped(base, moves.before)
            tries.append(_completed(problem, search(none, given)))
    return _best(problem, tries)


def polished(problem: Problem, plan: Placement, effort: Effort) -> tuple[Placement, int]:
    """A plan with a reserve, annealed, if that is cheaper and keeps every rule; and the rounds that were done."""
    found, rounds = annealed(problem, plan, effort)
    if cost_usd(problem, found) >= cost_usd(problem, plan) or violations(problem, found):
        return plan, rounds
    return found, rounds


def _completed(problem: Problem, found: Solution) -> Completed:
    return Completed(None, found.message) if found.placement is None else complete(problem, found.placement)


def _best(problem: Problem, tries: list[Completed]) -> Planned:
    """The cheapest of the tries that keep every rule."""
    best = Planned(None, "", None)
    usd = np.inf
    for found in tries:
        broken = found.message if found.plan is None else "; ".join(violations(problem, found.plan))
        if found.plan is None or broken:
            best = best if best.message or best.plan is not None else replace(best, message=broken)
        elif (price := cost_usd(problem, found.plan)) < usd:
            best, usd = Planned(found.plan, "", found.before_reserve_usd), price
    before = [found.before_reserve_usd for found in tries if found.before_reserve_usd is not None]
    return replace(best, before_reserve_usd=min(before)) if before and best.plan is not None else best


def _clipped(problem: Problem, most: Int) -> Problem:
    """The problem with fewer replicas to a block, itself where nothing changes."""
    if (problem.block_max <= most).all():
        return problem
    return replace(problem, block_max=np.minimum(problem.block_max, most))


def _too_many(problem: Problem, plan: Placement) -> bool:
    moves = problem.rules.moves
    assert moves is not None
    more = added(problem, plan.replicas)
    stands = np.full(problem.blocks, -1) if problem.block_slice is None else problem.block_slice
    around = more[stands < 0].sum()
    return bool(max(around + more[stands == t].sum() for t in range(max(problem.slices, 1))) > moves.most)


def _allowed(problem: Problem, plan: Placement) -> Int:
    """Most replicas of every block so that no plan within adds too many: those of `plan` that carry most come first."""
    moves = problem.rules.moves
    assert moves is not None
    more = added(problem, plan.replicas)
    stands = np.full(problem.blocks, -1) if problem.block_slice is None else problem.block_slice
    busy = busy_replicas(problem, plan)
    left = np.full(max(problem.slices, 1), int(moves.most))
    allowed = moves.before.copy()
    found = np.flatnonzero(more)
    gain = np.minimum(busy[found] / np.maximum(plan.replicas[found], 1), 1.0)
    for block in found[np.lexsort((found, -gain))].tolist():
        when = slice(None) if stands[block] < 0 else slice(int(stands[block]), int(stands[block]) + 1)
        count = min(int(more[block]), int(left[when].min()))
        left[when] -= count
        allowed[block] += count
    return np.asarray(np.minimum(allowed, problem.block_max), np.int64)


def fitting(base: Problem, plan: Placement | None) -> Placement | None:
    """`plan` as one of the base problem: itself if it keeps its rules, else without what breaks them, else None."""
    if plan is None:
        return None
    bare = _bare(base, plan)
    if not violations(base, bare):
        return bare
    repaired = to_placement(base, repair(base, bare).shot)
    return None if violations(base, repaired) else repaired


def _bare(base: Problem, plan: Placement) -> Placement:
    """The plan without what the base problem does not know."""
    return replace(plan, jobs=np.empty(0, np.int64), backup=None, replicas=np.minimum(plan.replicas, base.block_max))
