"""The limits of a case as things that may give: how much each would have to, and which contradict each other."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from placement.explain.blocked import LEAST
from placement.explain.changes import Change, Kind
from placement.explain.reliefs import Elastics, Relief
from solvers.exact.elastic import Elastic, least_unserved, solve_elastic
from solvers.solution import Status

Float = NDArray[np.float64]
Kinds = frozenset[Kind]

LAST: dict[Kind, float] = {"job": 50.0, "pin_least": 50.0, "pin_most": 10.0, "served": 1e4, "carbon": 10.0}
"""Where all kinds may give at once: a wish given up weighs more than a server, a point of served share most of all."""


@dataclass(frozen=True)
class Need:
    """What limits would have to give, and what the plan that goes with it costs in the terms of the program."""

    changes: tuple[Change, ...]
    usd_month: float


@dataclass(frozen=True)
class Limits:
    """An elastic program and how it is solved; `planned`: whether there is a plan to better."""

    elastics: Elastics
    planned: bool
    time_limit_s: float | None = None
    backend: str = "highs"
    gap: float = 1e-6

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return self.elastics.kinds

    def need(self, kinds: Kinds, wanted: tuple[Float, ...] | None = None) -> Need | None:
        """The least that limits of `kinds` must give, so that what is `wanted` is served, or as much as they allow.

        None where they change nothing.
        """
        reliefs = self.elastics.of_kind(kinds)
        asked = self.elastics.wanted if wanted is None else wanted
        found = self._solve(reliefs, kinds, asked)
        if found.status == Status.INFEASIBLE and self.planned:
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
        return least_unserved(
            self.elastics.rollout,
            self.elastics.loose(kinds),
            [relief.give for relief in self.elastics.of_kind(kinds)],
            self.elastics.requests,
            backend=self.backend,
            time_limit_s=self.time_limit_s,
        )

    def worthwhile(self, kinds: Kinds) -> tuple[Float, ...] | None:
        """What stays unserved by period in the cheapest plan if limits of `kinds` did not hold."""
        reliefs = [replace(relief, give=replace(relief.give, weight=0.0)) for relief in self.elastics.of_kind(kinds)]
        anything = tuple(np.ones(len(wanted)) for wanted in self.elastics.wanted)
        found = self._solve(reliefs, kinds, anything)
        return None if found.amounts is None else found.unserved

    def price_alone(self) -> float | None:
        """What serving all that is wanted adds to the cost, if the limits allow it as they are, USD a month."""
        found = self._solve([], frozenset(), self.elastics.wanted)
        return None if found.amounts is None else found.usd_month - self.elastics.before_usd

    def conflict(self) -> tuple[Kind, ...]:
        """Kinds of limits that leave no plan together, though each could if another gave way: an irreducible set.

        Found by leaving out one after the other (the deletion filter of Chinneck and Dravnieks 1991).
        """
        kept = list(self.kinds)
        for kind in self.kinds:
            others = [k for k in kept if k != kind]
            if not self._possible(frozenset(self.kinds) - set(others)):
                kept = others
        return tuple(kept)

    def _possible(self, giving: Kinds) -> bool:
        """Whether there is a plan when limits of these kinds may give anything."""
        reliefs = [replace(r, give=replace(r.give, weight=0.0)) for r in self.elastics.of_kind(giving)]
        return self._solve(reliefs, giving, self.elastics.wanted, cheapest=False).status != Status.INFEASIBLE

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
            time_limit_s=self.time_limit_s,
            gap=self.gap,
            cheapest=cheapest,
        )

    def _weight(self, relief: Relief) -> float:
        """What a unit weighs beside limits of other kinds: about what part of a server it is."""
        problem = self.elastics.rollout.periods[0]
        kw, units = np.maximum(problem.server_use, 1e-3).mean(axis=0)[:2]
        capex = self.elastics.rollout.capex_usd
        sizes = {
            "stock": float(problem.server_gpus.mean()),
            "export": float(problem.server_gpus.mean()),
            "capex": _mean(capex[capex > 0], 1e5),
            "monthly": _mean(np.abs(problem.offer_usd), 1e3),
            "power": float(kw),
            "rack_units": float(units),
            "uplink": 1000.0,
            "downlink": 1000.0,
        }
        return LAST.get(relief.kind, 1.0) * relief.give.weight / sizes.get(relief.kind, 1.0)


def _mean(values: Float, otherwise: float) -> float:
    return float(values.mean()) if len(values) and values.any() else otherwise
