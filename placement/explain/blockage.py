"""What blocks, and the ways out: the first question."""

from dataclasses import dataclass, replace

from placement.explain.blocked import Blocked, blocked, left_rows
from placement.explain.case import Case, How
from placement.explain.changes import Kind
from placement.explain.opening import Unmeasured, groups, unmeasured
from placement.explain.reach import Atlas
from placement.explain.ways import Limits, Tried, Way, in_order, limit_ways, opening_ways


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
    price_usd: float = float("nan")


def explain_blocked(case: Case, how: How, *, solve: bool = True) -> Blockage:
    """What is left unserved and why, and the ways out that planning anew confirms."""
    left, atlas = left_rows(case), Atlas(case)
    found = tuple(blocked(case, atlas, left))
    unknown = tuple(one for group in groups(case, atlas, left) for one in unmeasured(case, group))
    base = Blockage(case.infeasible, case.message, case.served_share, case.cost_usd, found, unmeasured=unknown)
    if not solve or (case.plans is not None and not left):
        return base
    limits = Limits(case, how)
    price = limits.price_alone() if limits.servable(left) else None
    ways, tried = limit_ways(limits) if price is None else ([], [])
    opened, failed = opening_ways(case, how, left, atlas)
    return replace(
        base,
        conflict=limits.conflict() if case.infeasible else (),
        ways=in_order([*ways, *opened]),
        tried=(*tried, *failed),
        price_usd=float("nan") if price is None else price - case.cost_usd,
    )
