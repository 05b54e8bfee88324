"""What blocks, and the ways out: the first question."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from placement.explain.blocked import Blocked, Left, blocked, left_rows
from placement.explain.case import Case, How
from placement.explain.changes import Kind
from placement.explain.limits import Limits
from placement.explain.opening import Unmeasured, groups, unmeasured
from placement.explain.reach import Atlas
from placement.explain.reliefs import Elastics, elastics
from placement.explain.residual import residual
from placement.explain.ways import NAN, Search, Tried, Way, in_order, limit_ways, opening_ways

PART_SECONDS, PART_GAP = 20.0, 1e-3
"""Of every elastic program of a large scenario, which is only part of it."""


@dataclass(frozen=True)
class Blockage:
    """What blocks and what would help; `cost_usd` is NaN where no plan keeps the hard rules.

    `conflict`: kinds of limits that together leave no plan. `price_usd`: what serving all that has a pair would cost
    more than its penalty, where no limit stands in the way; else NaN.
    """

    question = "blocked"
    infeasible: bool
    message: str
    served_share: float
    cost_usd: float
    blocked: tuple[Blocked, ...]
    conflict: tuple[Kind, ...] = ()
    ways: tuple[Way, ...] = ()
    tried: tuple[Tried, ...] = ()
    unmeasured: tuple[Unmeasured, ...] = ()
    price_usd: float = NAN


def explain_blocked(case: Case, how: How, *, solve: bool = True) -> Blockage:
    """What is left unserved and why, and the ways out that planning anew confirms."""
    left, atlas = left_rows(case), Atlas(case)
    unknown = tuple(one for group in groups(case, atlas, left) for one in unmeasured(case, group))
    found = tuple(blocked(case, atlas, left))
    base = Blockage(case.infeasible, case.message, case.served_share, case.cost_usd, found, unmeasured=unknown)
    if not solve or (case.plans is not None and not left) or (case.plans is None and case.large):
        return base
    how.say("limits that may give")
    search, program = Search(case, how), _program(case, left)
    price: float | None = None
    conflict: tuple[Kind, ...] = ()
    if program is not None:
        limits = Limits(program, case.plans is not None, how.time_limit_s)
        if case.large:
            limits = replace(limits, time_limit_s=min(how.time_limit_s or PART_SECONDS, PART_SECONDS), gap=PART_GAP)
        price = limits.price_alone() if case.plans is not None else None
        if price is None:
            limit_ways(search, limits)
        conflict = limits.conflict() if case.infeasible else ()
    opening_ways(search, left, atlas)
    return replace(
        base,
        conflict=conflict,
        ways=in_order(search.ways),
        tried=tuple(search.tried),
        price_usd=NAN if price is None else price,
    )


def _program(case: Case, left: Sequence[Left]) -> Elastics | None:
    """The program whose limits give: of the whole scenario, or of what is left beside the plan where that is too large.

    None where nothing that is left could be served by any of them.
    """
    program = elastics(case)
    if case.plans is None:
        return program
    if case.large:
        return residual(case, program, left)
    return program if any(not program.rollout.periods[one.h].unservable[one.i] for one in left) else None
