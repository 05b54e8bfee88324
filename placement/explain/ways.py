"""The cheapest ways out: found by elastic relaxation or by arithmetic, proven by planning anew with the change made."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isnan

import numpy as np
from numpy.typing import NDArray

from placement.explain.blocked import LEAST, Left
from placement.explain.case import Case, How, again
from placement.explain.changes import Change, Kind, applied, in_words
from placement.explain.limits import Kinds, Limits, Need
from placement.explain.opening import GROUPS, LARGE_GROUPS, candidates, groups
from placement.explain.reach import Atlas
from placement.explain.reliefs import Elastics

Float = NDArray[np.float64]

NAN = float("nan")
RISE = 1e-7
"""A served share that rises by less is no way out."""


@dataclass(frozen=True)
class Way:
    """Changes that help. Net: what a month costs less, the penalties for the unserved included.

    Where nothing was planned anew (`resolved` false) share and cost are NaN, and the net is that of the elastic
    program, or at most `most_usd_month`, the penalties of whom the change is for; where there was no plan before there
    is no net.
    """

    kinds: tuple[Kind, ...]
    changes: tuple[Change, ...]
    words: str
    resolved: bool
    served_share: float
    cost_usd: float
    net_usd_month: float
    most_usd_month: float = NAN


@dataclass(frozen=True)
class Tried:
    """Changes that did not help when they were planned with, and what came of them."""

    words: str
    outcome: str


@dataclass
class Search:
    """Ways looked for, and what was found so far."""

    case: Case
    how: How
    ways: list[Way] = field(default_factory=list)
    tried: list[Tried] = field(default_factory=list)

    def planned(self, changes: Sequence[Change]) -> Case:
        """The case with the changes made."""
        self.how.say(in_words(changes, self.case.scenario))
        return again(self.case, applied(self.case.scenario, changes), self.how)

    def judge(self, changes: tuple[Change, ...], after: Case) -> Tried | None:
        """Put changes among the ways if the plan that came of them serves more; else what is to be said of them."""
        case, words = self.case, in_words(changes, self.case.scenario)
        if after.plans is None:
            return Tried(words, after.message or "still no plan keeps the hard rules")
        net = case.cost_usd - after.cost_usd
        if case.plans is not None and after.served_share <= case.served_share + RISE:
            more = "more" if net < 0 else "less"
            return Tried(words, f"no more is served; a month costs {abs(net):,.2f} USD {more}")
        self.ways.append(Way(_kinds(changes), changes, words, True, after.served_share, after.cost_usd, net))
        return None

    def unproven(self, changes: tuple[Change, ...], net_usd: float, most_usd: float = NAN) -> None:
        """Put changes among the ways that nobody planned with."""
        words = in_words(changes, self.case.scenario)
        self.ways.append(Way(_kinds(changes), changes, words, False, NAN, NAN, net_usd, most_usd))


def limit_ways(search: Search, limits: Limits) -> None:
    """A way by every kind of limit alone; where none of them does all that can be done, one by several together."""
    for kind in limits.kinds:
        search.how.say(f"what {kind} would have to give")
        _by_kinds(search, limits, frozenset([kind]))
    if not search.ways or (search.how.resolve and search.case.plans is not None and _more_to_do(search, limits)):
        search.how.say("what several limits would have to give")
        _by_kinds(search, limits, frozenset(limits.kinds))


def opening_ways(search: Search, left: Sequence[Left], atlas: Atlas) -> None:
    """For every service and country with something blocked, what opens pairs: the least of each kind that helps."""
    proven_large = search.case.large and search.how.resolve  # each plan takes its whole time limit
    for group in groups(search.case, atlas, left)[: LARGE_GROUPS if proven_large else GROUPS]:
        for ladder in candidates(search.case, group):
            if not search.how.resolve:
                for changes in ladder[:1]:
                    search.unproven(changes, NAN, group.usd_month)
                continue
            failed = None
            for changes in ladder[:1] if proven_large else ladder:
                failed = search.judge(changes, search.planned(changes))
                if failed is None:
                    break
            if failed is not None:
                search.tried.append(failed)


def in_order(ways: Sequence[Way]) -> tuple[Way, ...]:
    """The ways by what they net; where there was no plan before, by what the plan costs."""
    return tuple(sorted(ways, key=lambda w: (not w.resolved, *_rank(w), w.words)))


def _rank(way: Way) -> tuple[bool, float]:
    if not isnan(way.net_usd_month):
        return False, -way.net_usd_month
    return True, -way.most_usd_month if isnan(way.cost_usd) else way.cost_usd


def _kinds(changes: Sequence[Change]) -> tuple[Kind, ...]:
    return tuple(dict.fromkeys(one.kind for one in changes))


def _by_kinds(search: Search, limits: Limits, kinds: Kinds) -> None:
    if not search.how.resolve:
        _unproven(search, limits, kinds)
        return
    need = limits.need(kinds)
    if need is None:
        return
    need, after = _less(search, limits, kinds, need, search.planned(need.changes))
    failed = search.judge(need.changes, after)
    if failed is not None:
        search.tried.append(failed)


def _unproven(search: Search, limits: Limits, kinds: Kinds) -> None:
    """The least with which as much is served as is worth its price, by the elastic program alone."""
    best = limits.worthwhile(kinds)
    if best is None:
        return
    wanted = tuple(np.maximum(w, b + LEAST) for w, b in zip(limits.elastics.wanted, best, strict=True))
    need = limits.need(kinds, wanted)
    if need is not None and limits.elastics.before_usd > need.usd_month:
        search.unproven(need.changes, limits.elastics.before_usd - need.usd_month)


def _less(search: Search, limits: Limits, kinds: Kinds, need: Need, after: Case) -> tuple[Need, Case]:
    """What the plan leaves unserved even so costs more than its penalty: less has to give for the rest."""
    if after.plans is None or search.case.plans is None or search.case.large:
        return need, after
    wanted = limits.elastics.wanted
    if not any(((plan.unserved > 1e-6) & (w == 0)).any() for w, plan in zip(wanted, after.plans, strict=True)):
        return need, after
    left = tuple(np.maximum(w, plan.unserved + LEAST) for w, plan in zip(wanted, after.plans, strict=True))
    less = limits.need(kinds, left)
    if less is None or less.changes == need.changes:
        return need, after
    other = search.planned(less.changes)
    better = other.plans is not None and other.cost_usd <= after.cost_usd + 0.005
    return (less, other) if better else (need, after)


def _more_to_do(search: Search, limits: Limits) -> bool:
    """Whether more could be served than by the best way so far if no limit held."""
    reachable = None if search.case.large else limits.reachable(frozenset(limits.kinds))
    if reachable is None:
        return False
    best = max((way.served_share for way in search.ways), default=search.case.served_share)
    return best < _share(search.case, limits.elastics, reachable) - RISE


def _share(
    case: Case, elastics: Elastics, unserved: "tuple[np.ndarray[tuple[int], np.dtype[np.float64]], ...]"
) -> float:
    asked = float(case.weights @ [float(r.sum()) for r in elastics.requests]) or 1.0
    left = [float(r @ u) for r, u in zip(elastics.requests, unserved, strict=True)]
    return 1 - float(case.weights @ left) / asked
