"""Which pairs to measure next: those whose figure is missing or too old, in the order of what the answer may change.

For a class i and a pair, let b be the longest round trip that i can bear (2), c the chance that the pair's is at most
b (`belief`), and n the number of sites that may serve i as far as is known now. What the answer may change for i is

    weight_i · c · 1/(1+n)          where the pair does not serve i now, and might
    weight_i · (1-c) · part         where it does, and might prove too far

and a pair's score is the sum over its region's classes. Without a plan the weight is the requests/s and the part is
1/n. With a plan the weight is what the class costs at the plan's own prices in USD a month (its penalty, where it is
left unserved), the part is what the pair carries of it, and a pair to a site where no replica of the model stands
counts half, since it would first have to be opened there. A pair is decisive where some class could be served at the
lower end of what is believed and not for sure at the upper one, or where the plan sends traffic over it.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from placement.frames import floats
from placement.geo import great_circle_km
from placement.needs.belief import DAY_S, Belief, Why, believe
from placement.needs.classes import Bool, Class, Group, Ints, groups
from placement.needs.planned import Planned
from placement.scenario import Scenario
from placement.topology import Pairs, Topology
from placement.topology.pairs import Float

NEW_SITE = 0.5
Reason = Literal["unknown", "inferred", "stale", "bandwidth"]


@dataclass(frozen=True)
class Need:
    """One pair to measure. `rtt_lower_ms` and `rtt_upper_ms` are what the topology knows, None where it knows nothing.

    `score` is in `Needs.unit`. `age_days` is that of the newest record. `wants` names the figures that are missing.
    `model` and `service` are those of the class that weighs most, `bearable_ms` the longest round trip that it bears;
    `requests_per_s` is what the plan sends over the pair.
    """

    region: str
    site: str
    reason: Reason
    decisive: bool
    score: float
    wants: tuple[str, ...]
    rtt_lower_ms: float | None
    rtt_upper_ms: float | None
    age_days: float | None
    model: str
    service: str
    bearable_ms: float
    requests_per_s: float | None


@dataclass(frozen=True)
class Needs:
    """The pairs to measure, those that matter most first; `order` holds their places in the R × P arrays.

    `fresh` counts pairs that are measured and not too old, `useless` those that no class could use whatever is
    measured: residency forbids them, light itself needs too long, or nobody asks.
    """

    order: Ints
    unit: str
    fresh: int
    useless: int
    oldest_s: float
    _ledger: "_Ledger"
    _pairs: Pairs
    _belief: Belief

    @property
    def count(self) -> int:
        return len(self.order)

    def places(self, which: Ints) -> tuple[Ints, Ints]:
        """Region and site numbers of some of `order`."""
        region, site = np.divmod(which, len(self._pairs.sites))
        return region, site

    def decisive(self, which: Ints) -> Bool:
        """Which of some of `order` are decisive."""
        return np.asarray(self._ledger.decisive.reshape(-1)[which], np.bool_)

    def rows(self, which: Ints, now_s: float) -> list[Need]:
        """Some of `order`, told; ages are counted from `now_s`."""
        return [self._row(int(at), now_s) for at in which]

    def _row(self, at: int, now_s: float) -> Need:
        r, p = divmod(at, len(self._pairs.sites))
        ledger, pairs = self._ledger, self._pairs
        why = Why(int(self._belief.why[r, p]))
        reason: Reason = "bandwidth" if why == Why.NOT else _REASON[why]
        wants = (("rtt",) if why != Why.NOT else ()) + (("mbps",) if ledger.short[r, p] else ())
        seen_s = float(pairs.observed_at_s[r, p])
        most = ledger.classes[int(ledger.top_class[r, p])]
        return Need(
            region=pairs.regions[r],
            site=pairs.sites[p],
            reason=reason,
            decisive=bool(ledger.decisive[r, p]),
            score=_rounded(float(ledger.score[r, p])),
            wants=wants,
            rtt_lower_ms=_known(pairs.rtt_lower_ms[r, p]),
            rtt_upper_ms=_known(pairs.rtt_upper_ms[r, p]),
            age_days=None if np.isnan(seen_s) else round((now_s - seen_s) / DAY_S, 2),
            model=most[1],
            service=most[2],
            bearable_ms=_rounded(float(ledger.top_bearable_ms[r, p])),
            requests_per_s=None if ledger.carried is None else _rounded(float(ledger.carried[r, p])),
        )


_REASON: dict[Why, Reason] = {Why.STALE: "stale", Why.INFERRED: "inferred", Why.UNKNOWN: "unknown"}


def needs(scenario: Scenario, topology: Topology, oldest_s: float, planned: Planned | None = None) -> Needs:
    """What to measure next. `oldest_s`: a pair whose newest record is from before this time (seconds since 1970 UTC)
    is stale; the topology should be one that left no record out for its age.
    """
    pairs, regions, sites = topology.pairs, topology.regions, topology.sites
    distance_km = great_circle_km(
        floats(regions, "latitude")[:, None],
        floats(regions, "longitude")[:, None],
        floats(sites, "latitude")[None, :],
        floats(sites, "longitude")[None, :],
    )
    belief = believe(pairs, distance_km, oldest_s)
    ledger = _Ledger(pairs, belief, planned)
    for group in groups(scenario, pairs):
        ledger.add(group)
    fresh = (belief.why == Why.NOT) & ~ledger.short
    wanted = np.flatnonzero((ledger.usable & ~fresh).reshape(-1))
    # Rounded first: the last bits of a sum must not decide about the order.
    score = _six_figures(ledger.score.reshape(-1)[wanted])
    order = np.lexsort((wanted, -score, ~ledger.decisive.reshape(-1)[wanted]))
    return Needs(
        order=wanted[order],
        unit="USD a month" if ledger.in_usd else "requests/s",
        fresh=int(fresh.sum()),
        useless=int((~ledger.usable & ~fresh).sum()),
        oldest_s=oldest_s,
        _ledger=ledger,
        _pairs=pairs,
        _belief=belief,
    )


class _Ledger:
    """What the classes say of the pairs, added up group by group; R × P arrays."""

    def __init__(self, pairs: Pairs, belief: Belief, planned: Planned | None) -> None:
        shape = pairs.rtt_state.shape
        self.pairs, self.belief, self.planned = pairs, belief, planned
        self.in_usd = planned is not None and bool(planned.usd_month)
        self.score, self.decisive = np.zeros(shape), np.zeros(shape, np.bool_)
        self.usable, self.short = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        self.carried: Float | None = None if planned is None else np.zeros(shape)
        self.classes: list[Class] = []
        self.top, self.top_class = np.full(shape, -1.0), np.zeros(shape, np.int32)
        self.top_bearable_ms = np.full(shape, np.nan)

    def add(self, group: Group) -> None:
        """Adds what a group's classes have at stake; no region stands in a group twice."""
        rows, belief = group.regions, self.belief
        possible = group.allowed & (group.bearable_ms >= belief.floor_ms[rows])
        could = possible & (belief.lower_ms[rows] <= group.bearable_ms)
        short = could & group.short_of_mbps
        asks = possible & ((belief.why[rows] != Why.NOT) | short)
        sure = belief.known[rows] & (belief.upper_ms[rows] <= group.bearable_ms) & ~short
        with np.errstate(invalid="ignore"):
            serves = could & ~short & (self.pairs.planned_rtt_ms[rows] <= group.bearable_ms)
        chance = belief.chance(group.bearable_ms, rows)
        part, carried = self._parts(group, serves)
        stake = np.where(asks, self._weight(group)[:, None] * part * np.where(serves, 1 - chance, chance), 0.0)

        self.score[rows] += stake
        self.decisive[rows] |= asks & ((could & ~sure) | (carried > 0))
        self.usable[rows] |= possible
        self.short[rows] |= short
        if self.carried is not None:
            self.carried[rows] += carried * group.requests_per_s[:, None]
        self._remember(group, np.where(possible, stake, -1.0))

    def _weight(self, group: Group) -> Float:
        if not self.in_usd or self.planned is None:
            return group.requests_per_s
        return np.array([self.planned.usd_month.get(cls, 0.0) for cls in group.classes])

    def _parts(self, group: Group, serves: Bool) -> tuple[Float, Float]:
        """How much of a class hangs on a pair, and how much of it the plan sends there, G × P."""
        sites = serves.sum(axis=1, keepdims=True)
        opens = 1.0 / (1.0 + sites)
        if self.planned is None:
            return np.where(serves, 1.0 / np.maximum(sites, 1), opens), np.zeros(serves.shape)
        names = self.pairs.sites
        model = group.classes[0][1]
        stands = np.array([(site, model) in self.planned.standing for site in names])
        number = {site: p for p, site in enumerate(names)}
        carried = np.zeros(serves.shape)
        for g, cls in enumerate(group.classes):
            for site, share in self.planned.share.get(cls, {}).items():
                if site in number:
                    carried[g, number[site]] = share
        return np.where(carried > 0, carried, np.where(serves, 0.0, opens * np.where(stands, 1.0, NEW_SITE))), carried

    def _remember(self, group: Group, stake: Float) -> None:
        """Which class has most at stake, the first of equals."""
        rows = group.regions
        more = stake > self.top[rows]
        number = len(self.classes) + np.arange(len(rows))
        self.classes += group.classes
        for array, value in (
            (self.top, stake),
            (self.top_class, np.broadcast_to(number[:, None], stake.shape)),
            (self.top_bearable_ms, group.bearable_ms),
        ):
            array[rows] = np.where(more, value, array[rows])


def _six_figures(values: Float) -> Float:
    """`_rounded` of many, for their order alone."""
    scale = 10.0 ** (5 - np.floor(np.log10(np.where(values > 0, values, 1.0))))
    return np.asarray(np.rint(values * scale) / scale, np.float64)


def _rounded(value: float) -> float:
    """Six figures: the rest is noise."""
    return float(f"{value:.6g}")


def _known(value: float) -> float | None:
    return None if np.isnan(value) else _rounded(float(value))
