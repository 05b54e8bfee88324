"""The cheapest ways out: what limits would have to give, found by elastic relaxation and proven by planning anew."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import isnan

import numpy as np
from numpy.typing import NDArray

from placement.explain.blocked import LEAST, Left
from placement.explain.case import Case, How, again
from placement.explain.changes import Change, Kind, applied, in_words
from placement.explain.opening import GROUPS, candidates, groups
from placement.explain.reach import Atlas
from placement.explain.reliefs import Elastics, Relief, elastics
from solvers.exact.elastic import Elastic, least_unserved, solve_elastic
from solvers.solution import Status

Float = NDArray[np.float64]
Kinds = frozenset[Kind]

RISE = 1e-7
"""A served share that rises by less is no way out."""
LAST: dict[Kind, float] = {"job": 50.0, "pin_least": 50.0, "pin_most": 10.0, "served": 1e4, "carbon": 10.0}
"""Where all kinds may give at once: a wish given up weighs more than a server, a point of served share most of all."""


@dataclass(frozen=True)
class Way:
    """Changes that help. Net: what the plan costs less, its penalties for the unserved included.

    The net is NaN where nothing was planned anew, or where there was no plan before.
    """

    kinds: tuple[Kind, ...]
    changes: tuple[Change, ...]
    words: str
    resolved: bool
    served_share: float
    cost_usd: float
    net_usd_month: float


@dataclass(frozen=True)
class Tried:
    """Changes that did not help when they were planned with, and what came of them."""

    words: str
    outcome: str


@dataclass(frozen=True)
class Need:
    """What a kind of limit would have to give."""

    changes: tuple[Change, ...]
    usd_month: float


class Limits:
    """The limits of a case as things that may give."""

    def __init__(self, case: Case, how: How, backend: str = "highs") -> None:
        self.case, self.how, self.backend = case, how, backend

    @cached_property
    def elastics(self) -> Elastics:
        return elastics(self.case.scenario, self.case.pairs, self.case.previous)

    @cached_property
    def wanted(self) -> tuple[Float, ...]:
        """Most that may stay unserved: nothing of what has a pair; where there is no plan yet, anything."""
        periods = self.elastics.rollout.periods
        if self.case.plans is None:
            return tuple(np.ones(problem.demands) for problem in periods)
        return tuple(problem.unservable.astype(np.float64) for problem in periods)

    def servable(self, left: Sequence[Left]) -> bool:
        """Whether anything of what is left unserved has a pair, or would have with more room at the sites."""
        return any(not self.elastics.rollout.periods[one.h].unservable[one.i] for one in left)

    def need(self, kinds: Kinds, wanted: tuple[Float, ...] | None = None) -> Need | None:
        """The least that limits of `kinds` must give, so that what is `wanted`, or as much of it as they allow, is
        served; None where they change nothing."""
        reliefs = self.elastics.of_kind(kinds)
        asked = self.wanted if wanted is None else wanted
        found = self._solve(reliefs, kinds, asked)
        if found.status == Status.INFEASIBLE and self.case.plans is not None:
            best = self.reachable(kinds)
            if best is None:
                return None
            asked = tuple(np.maximum(a, b + LEAST) for a, b in zip(asked, best, strict=True))
            found = self._solve(reliefs, kinds, asked)
        if found.amounts is None or not found.amounts.any():
            return None
        changes = [relief.of(float(amount)) for relief, amount in zip(reliefs, found.amounts, strict=True) if amount]
        return Need(tuple(sorted(changes, key=lambda c: (c.kind, c.where))), found.usd_month)

    def reachable(self, kinds: Kinds) -> tuple[Float, ...] | None:
        """What stays unserved by period where as much is served as limits of `kinds` could make possible."""
        reliefs = self.elastics.of_kind(kinds)
        return least_unserved(
            self.elastics.rollout,
            self.elastics.loose(kinds),
            [relief.give for relief in reliefs],
            self.case.requests,
            backend=self.backend,
            time_limit_s=self.how.time_limit_s,
        )

    def price_alone(self) -> float | None:
        """What serving all that has a pair would cost if the limits allow it as they are, USD a month; else None."""
        found = self._solve([], frozenset(), self.wanted)
        return None if found.amounts is None else found.usd_month

    def conflict(self) -> tuple[Kind, ...]:
        """Kinds of limits that no plan keeps together and any plan could if one of them gave way: an irreducible set.

        Found by leaving out one after the other (the deletion filter of Chinneck and Dravnieks 1991).
        """
        kept = list(self.elastics.kinds)
        for kind in self.elastics.kinds:
            others = [k for k in kept if k != kind]
            if not self._possible(frozenset(self.elastics.kinds) - set(others)):
                kept = others
        return tuple(kept)

    def _possible(self, giving: Kinds) -> bool:
        """Whether there is a plan when limits of these kinds may give anything."""
        reliefs = [replace(r, give=replace(r.give, weight=0.0)) for r in self.elastics.of_kind(giving)]
        return self._solve(reliefs, giving, self.wanted, cheapest=False).status != Status.INFEASIBLE

    def _solve(
        self, reliefs: Sequence[Relief], kinds: Kinds, wanted: tuple[Float, ...], *, cheapest: bool = True
    ) -> Elastic:
        several = len(kinds) > 1
        return solve_elastic(
            self.elastics.rollout,
            self.elastics.loose(kinds),
            [replace(r.give, weight=self._weight(r)) if several and r.give.weight else r.give for r in reliefs],
            wanted,
            backend=self.backend,
            time_limit_s=self.how.time_limit_s,
            cheapest=cheapest,
        )

    def _weight(self, relief: Relief) -> float:
        """What a unit weighs beside limits of other kinds: about what part of a server it is."""
        problem = self.elastics.rollout.periods[0]
        kw, units = np.maximum(problem.server_use, 1e-3).mean(axis=0)[:2]
        capex = self.elastics.rollout.capex_usd
        usd = float(capex[capex > 0].mean()) if (capex > 0).any() else 1e5
        month = float(np.abs(problem.offer_usd).mean()) or 1.0
        gpus = float(problem.server_gpus.mean())
        sizes = {"stock": gpus, "export": gpus, "capex": usd, "monthly": month, "power": float(kw)}
        sizes |= {"rack_units": float(units), "uplink": 1000.0, "downlink": 1000.0}
        return LAST.get(relief.kind, 1.0) * relief.give.weight / sizes.get(relief.kind, 1.0)


def limit_ways(limits: Limits) -> tuple[list[Way], list[Tried]]:
    """A way by every kind of limit alone; where none of them does all that can be done, one by several together."""
    ways: list[Way] = []
    tried: list[Tried] = []
    every = limits.elastics.kinds
    for kind in every:
        limits.how.say(f"what {kind} would have to give")
        _try(limits, frozenset([kind]), ways, tried)
    best = max((way.served_share for way in ways), default=limits.case.served_share)
    if not ways or (limits.case.plans is not None and best < _servable(limits) - RISE):
        limits.how.say("what several limits would have to give")
        _try(limits, frozenset(every), ways, tried)
    return ways, tried


def opening_ways(case: Case, how: How, left: Sequence[Left], atlas: Atlas) -> tuple[list[Way], list[Tried]]:
    """For every service and country with something blocked, what opens pairs: the least of each kind that helps."""
    ways: list[Way] = []
    tried: list[Tried] = []
    for group in groups(case, atlas, left)[:GROUPS]:
        for ladder in candidates(case, group):
            failed: list[Tried] = []
            for changes in ladder:
                how.say(in_words(changes, case.scenario))
                if judged(case, again(case, applied(case.scenario, changes), how), changes, ways, failed):
                    break
            else:
                tried += failed[-1:]
    return ways, tried


def _servable(limits: Limits) -> float:
    """Served share if no limit held."""
    reachable = limits.reachable(frozenset(limits.elastics.kinds))
    return limits.case.served_share if reachable is None else _share(limits.case, reachable)


def _share(case: Case, unserved: tuple[Float, ...]) -> float:
    asked = float(case.weights @ [float(r.sum()) for r in case.requests]) or 1.0
    return 1 - float(case.weights @ [float(r @ u) for r, u in zip(case.requests, unserved, strict=True)]) / asked


def _try(limits: Limits, kinds: Kinds, ways: list[Way], tried: list[Tried]) -> None:
    need = limits.need(kinds)
    if need is None:
        return
    case, how = limits.case, limits.how
    after = again(case, applied(case.scenario, need.changes), how)
    if after.plans is not None and case.plans is not None:
        # What the plan leaves unserved even so costs more than its penalty: less has to give for the rest.
        left = tuple(np.maximum(w, p.unserved + LEAST) for w, p in zip(limits.wanted, after.plans, strict=True))
        less = limits.need(kinds, left) if any((p.unserved > 1e-6).any() for p in after.plans) else None
        if less is not None and less.changes != need.changes:
            again_less = again(case, applied(case.scenario, less.changes), how)
            if again_less.cost_usd <= after.cost_usd + 0.005:
                need, after = less, again_less
    judged(case, after, need.changes, ways, tried)


def judged(case: Case, after: Case, changes: tuple[Change, ...], ways: list[Way], tried: list[Tried]) -> bool:
    """Put changes among the ways or among what was only tried, by the plan that came of them. True for a way."""
    words = in_words(changes, case.scenario)
    if after.plans is None:
        tried.append(Tried(words, after.message or "still no plan keeps the hard rules"))
        return False
    if case.plans is not None and after.served_share <= case.served_share + RISE:
        net = case.cost_usd - after.cost_usd
        tried.append(Tried(words, f"no more is served; the plan costs {net:,.2f} USD a month less"))
        return False
    kinds = tuple(dict.fromkeys(one.kind for one in changes))
    net = case.cost_usd - after.cost_usd
    ways.append(Way(kinds, changes, words, True, after.served_share, after.cost_usd, net))
    return True


def in_order(ways: Sequence[Way]) -> tuple[Way, ...]:
    """The ways by what they net; where there was no plan before, by what the plan costs."""
    return tuple(sorted(ways, key=lambda w: (w.cost_usd if isnan(w.net_usd_month) else -w.net_usd_month, w.words)))
