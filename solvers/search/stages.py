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
from solvers.complete.draft import Draft, block_most
from solvers.complete.jobs import replica_gain
from solvers.complete.standing import standing
from solvers.exact.flow import route
from solvers.exact.model import build_model
from solvers.exact.values import vector
from solvers.problem import Float, Int, Problem
from solvers.relax import base_problem
from solvers.search.around import Around, around, nothing_stands
from solvers.search.repair import repair
from solvers.search.snapshot import to_placement
from solvers.solution import Placement, Solution, added, cost_usd

Search = Callable[[Problem, Placement | None, float], Solution]
"""A search of a problem without rules, from a plan of it or from none; the USD are paid whatever it finds."""

BOTH_PAIRS = 50_000
"""Pairs up to which a problem with pins or jobs is searched around them, too, when it need not be."""
ROUTED_PAIRS = 50_000
"""Pairs up to which completed plans are routed anew by all rules."""
TIGHTENED = 3
"""Times that a search is repeated with less to spend, where what the rules added broke the budget."""
DEARER = (0.5, 2.0, 8.0, 32.0)
"""Times what a replica costs on average, added to the price of new ones where too many are added."""
ROUNDING = 1e-9
"""Of a budget, by which sums may differ."""


@dataclass(frozen=True)
class Planned:
    """The cheapest plan found of a stage, or what was in the way."""

    plan: Placement | None
    message: str
    before_reserve_usd: float | None


def plan_stage(problem: Problem, search: Search, hint: Placement | None) -> Planned:
    """A plan of `problem` that keeps its rules; `hint` is a plan to start from, which need not keep them."""
    rules = problem.rules
    base = _clipped(base_problem(problem), block_most(problem))
    given = None if hint is None else _bare(base, hint)
    if not rules.any:
        free = search(base, given, 0.0)
        return Planned(free.placement, free.message, None)
    start = fitting(base, hint)
    tries = [] if start is None else [complete(problem, start)]
    if hint is not None and hint.backup is not None:
        tries.append(Completed(hint))
    tries += _within_budget(problem, nothing_stands(base), search, given)
    found = _best(problem, tries)
    asked = rules.jobs is not None or (rules.pins is not None and bool((rules.pins.least > 0).any()))
    if found.plan is not None and (not asked or hint is not None or problem.pairs > BOTH_PAIRS):
        return found
    draft = standing(problem)
    if draft is None:
        return found
    if asked:
        tries += _within_budget(problem, around(base, draft), search, None)
    if all(each.plan is None or violations(problem, each.plan) for each in tries):
        tries.append(_least(problem, draft.placement()))
    return _best(problem, tries)


def _within_budget(problem: Problem, left: Around, search: Search, given: Placement | None) -> list[Completed]:
    """Tries of the problem around what stands, again with less to spend where each of them spends too much."""
    tries = _tries(problem, left, search, given)
    for _ in range(TIGHTENED):
        over = [_over_budget_usd(problem, each.plan) for each in tries if each.plan is not None]
        if not over or min(over) <= 0:
            break
        problem = _tightened(problem, min(over))
        tries += _tries(problem, left.within(problem.monthly_budget_usd), search, given)
    return tries


def _least(problem: Problem, plan: Placement) -> Completed:
    """A plan from what must stand and nothing else, made to keep the budget."""
    found, least = _routed(problem, complete(problem, plan)), problem
    for _ in range(TIGHTENED):
        over = 0.0 if found.plan is None else _over_budget_usd(problem, found.plan)
        if over <= 0:
            break
        least = _tightened(least, over)
        found = _routed(least, complete(least, plan))
    return found


def _tightened(problem: Problem, usd: float) -> Problem:
    return replace(problem, monthly_budget_usd=max(problem.monthly_budget_usd - usd, 0.0))


def _over_budget_usd(problem: Problem, plan: Placement) -> float:
    """What a plan spends beyond the budget, USD a month; what is unserved is not spent."""
    spent = cost_usd(problem, replace(plan, unserved=np.zeros_like(plan.unserved)))
    return spent - problem.monthly_budget_usd * (1 + ROUNDING)


def _tries(problem: Problem, left: Around, search: Search, given: Placement | None) -> list[Completed]:
    """Plans around what stands: one at will and, where adding replicas costs or is limited, some that add fewer."""

    def planned(part: Problem) -> Completed | Placement:
        found = search(part, given, left.sunk_usd)
        return Completed(None, found.message) if found.placement is None else left.whole(found.placement)

    def completed(plan: Completed | Placement) -> Completed:
        return plan if isinstance(plan, Completed) else _routed(problem, complete(problem, plan))

    moves = problem.rules.moves
    if moves is None:
        return [completed(planned(left.problem))]
    free = planned(left.dearer(_added_usd(problem, left.stand.replicas)))
    tries = [completed(free)]
    if isinstance(free, Placement) and _too_many(problem, free):
        tries.append(completed(planned(left.clipped(_allowed(problem, free, left.stand.replicas)))))
        tries += [completed(plan) for plan in _sparing(problem, left, free, planned)]
    if (moves.usd > 0).any() or np.isfinite(moves.most):
        tries.append(completed(planned(left.clipped(moves.before))))
    return tries


def _added_usd(problem: Problem, stand: Int) -> Float:
    """(14) What a replica of every block costs because it is added to those before, B; 0 where some still are free."""
    moves = problem.rules.moves
    assert moves is not None
    return np.asarray(np.where(moves.before > stand, 0.0, moves.usd), np.float64)


def _sparing(
    problem: Problem, left: Around, free: Placement, planned: Callable[[Problem], Completed | Placement]
) -> list[Placement]:
    """Plans in which every replica that is added costs more and more, until no more are added than may be.

    This is the multiplier of the limit on moves: it makes one large replica better than several small ones.
    """
    if problem.pairs > BOTH_PAIRS:
        return []
    moves = problem.rules.moves
    assert moves is not None
    spent = cost_usd(problem, replace(free, unserved=np.zeros_like(free.unserved)))
    each_usd = spent / max(int(free.replicas.sum()), 1)
    added = np.where(moves.before > left.stand.replicas, 0.0, 1.0)
    found = list[Placement]()
    for level in DEARER:
        price_usd = level * each_usd
        each = _added_usd(problem, left.stand.replicas) + price_usd * added
        plan = planned(left.dearer(each, price_usd * moves.most))
        if isinstance(plan, Placement):
            found.append(plan)
            if not _too_many(problem, plan):
                break
    return found


def _routed(problem: Problem, found: Completed) -> Completed:
    """The same servers, replicas and jobs with the best shares by all rules, where that is cheaper or mends the budget.

    A reserve is annealed later, which moves shares as well.
    """
    plan = found.plan
    if plan is None or problem.rules.reserve is not None or problem.pairs > ROUTED_PAIRS:
        return found
    model = build_model(problem)
    other = route(problem, model, vector(model, problem, plan))
    if other is None or violations(problem, other):
        return found
    cheaper = cost_usd(problem, other) < cost_usd(problem, plan)
    return Completed(other) if cheaper or violations(problem, plan) else found


def polished(problem: Problem, plan: Placement, effort: Effort) -> tuple[Placement, int]:
    """A plan with a reserve, annealed, if that is cheaper and keeps every rule; and the rounds that were done."""
    found, rounds = annealed(problem, plan, effort)
    if cost_usd(problem, found) >= cost_usd(problem, plan) or violations(problem, found):
        return plan, rounds
    return found, rounds


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


def _allowed(problem: Problem, plan: Placement, kept: Int) -> Int:
    """Most replicas of every block so that no plan within adds too many.

    Those of `kept` (B) come first, then those of `plan` that save most, each against leaving its rows unserved.
    """
    moves = problem.rules.moves
    assert moves is not None
    more = np.maximum(added(problem, plan.replicas) - added(problem, kept), 0)
    stands = np.full(problem.blocks, -1) if problem.block_slice is None else problem.block_slice
    gain = replica_gain(Draft(problem, plan))
    already = added(problem, kept)
    left = np.full(max(problem.slices, 1), int(moves.most)) - already[stands < 0].sum()
    left = np.maximum(left - np.bincount(stands[stands >= 0], already[stands >= 0], len(left)).astype(np.int64), 0)
    allowed = np.maximum(moves.before, kept)
    found = np.flatnonzero(more)
    for block in found[np.lexsort((found, -gain[found]))].tolist():
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
