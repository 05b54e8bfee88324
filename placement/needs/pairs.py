"""Which pairs to measure next: those whose figure is missing or too old, in the order of what the answer may change.

For a class i and a site p, let b_d be the longest round trip with which shape d still serves i there in time (2), and
F(b_d) the chance that the pair's is no longer (`belief`).

Without a plan, n sites may serve i on the quickest shape as far as is known now, and i is worth its requests/s:

    score_ip = requests_i · F(b) / (1 + n)          where p may not serve i now
    score_ip = requests_i · (1 - F(b)) / n          where it may, and might prove too far

With a plan and its certificate there are prices, USD a month: π_i is what the class pays (its penalty, where the plan
leaves a part of it unserved), and serving it at p on d saves the *reduced cost*

    s_d = π_i - (1 + ν)·pair_usd - μ_p·mbps - load_d·(the part of the cheapest server there that a replica of d fills)

A measurement opens shapes one after the other, the least demanding first. With those beyond what may be used now, and
s+ the increase of the best saving so far over them in that order,

    gain_ip = Σ_d s+_d · F(b_d) · open_p · sought_ip
    open_p  = 1 where the plan uses the site; else 1 - open_usd / (what all classes could save there at the very best),
              at least 0: what would not even then pay for opening the site is not worth a probe
    F       is less for an inferred pair of a class whose measured pairs disappointed (`worth._sobered`)
    sought_ip = Π (1 - F) over the sites of i with a larger gain: it needs one of them, not all
    risk_ip = share that the plan sends there · (1 - F(b_d)) · (penalty_i - π_i)
              what it costs to find out by users that come too late, instead of serving them elsewhere at i's price

    score_ip = gain_ip + risk_ip

and a pair's score is the sum over its region's classes. A pair is decisive where some class could be served at the
lower end of what is believed and not for sure at the upper one, or where the plan sends traffic over it. Without a
plan decisive pairs come first; with one the score alone decides.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from placement.frames import floats
from placement.geo import great_circle_km
from placement.needs.belief import DAY_S, Belief, Why, believe
from placement.needs.classes import Bool, Class, Group, Ints, groups
from placement.needs.planned import Planned
from placement.needs.worth import Worth, worth
from placement.problem.uncertainty import planned_rtt_ms
from placement.scenario import Scenario
from placement.topology.pairs import Float, Pairs

Reason = Literal["unknown", "inferred", "stale", "bandwidth"]
Change = Literal["serve", "save", "hold"]
"""With a plan: the class could be served at last; it could be served for less; where it is served may be too far."""


@dataclass(frozen=True)
class Need:
    """One pair to measure. `rtt_lower_ms` and `rtt_upper_ms` are what the topology knows, None where it knows nothing.

    `score` is in `Needs.unit`. `age_days` is that of the newest record. `wants` names the figures that are missing.
    `model` and `service` are those of the class that weighs most, `bearable_ms` the longest round trip that it bears;
    `requests_per_s` is what the plan sends over the pair, and `change` what the answer may bring to that class; both
    are None without a plan.
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
    change: Change | None


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
            change=None if ledger.priced is None else CHANGES[int(ledger.top_change[r, p])],
        )


CHANGES: tuple[Change, ...] = ("serve", "save", "hold")
SERVE, SAVE, HOLD = range(3)
_REASON: dict[Why, Reason] = {Why.STALE: "stale", Why.INFERRED: "inferred", Why.UNKNOWN: "unknown"}


def needs(scenario: Scenario, pairs: Pairs, oldest_s: float, planned: Planned | None = None) -> Needs:
    """What to measure next. `oldest_s`: a pair whose newest record is from before this time (seconds since 1970 UTC)
    is stale; the pairs should be of a topology that left no record out for its age.
    """
    regions = scenario.table("regions").set_index("region").loc[list(pairs.regions)]
    sites = scenario.table("sites").set_index("site").loc[list(pairs.sites)]
    distance_km = great_circle_km(
        floats(regions, "latitude")[:, None],
        floats(regions, "longitude")[:, None],
        floats(sites, "latitude")[None, :],
        floats(sites, "longitude")[None, :],
    )
    belief = believe(pairs, distance_km, oldest_s)
    priced = worth(scenario, pairs, belief, planned) if planned is not None and planned.prices else None
    planned_ms = planned_rtt_ms(pairs, scenario.document.uncertainty.percentile)
    ledger = _Ledger(pairs, planned_ms, belief, planned, priced)
    for group in groups(scenario, pairs):
        ledger.add(group)
    fresh = (belief.why == Why.NOT) & ~ledger.short
    wanted = np.flatnonzero((ledger.usable & ~fresh).reshape(-1))
    # Rounded first: the last bits of a sum must not decide about the order.
    score = _six_figures(ledger.score.reshape(-1)[wanted])
    late = np.zeros(len(wanted), np.bool_) if ledger.in_usd else ~ledger.decisive.reshape(-1)[wanted]
    order = np.lexsort((wanted, -score, late))
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

    def __init__(
        self, pairs: Pairs, planned_ms: Float, belief: Belief, planned: Planned | None, priced: Worth | None
    ) -> None:
        shape = pairs.rtt_state.shape
        self.pairs, self.planned_ms, self.belief, self.priced = pairs, planned_ms, belief, priced
        self.share = {} if planned is None else planned.share()
        self.in_usd = priced is not None
        self.score, self.decisive = np.zeros(shape), np.zeros(shape, np.bool_)
        self.usable, self.short = np.zeros(shape, np.bool_), np.zeros(shape, np.bool_)
        self.carried: Float | None = None if planned is None else np.zeros(shape)
        self.classes: list[Class] = []
        self.top, self.top_class = np.full(shape, -1.0), np.zeros(shape, np.int32)
        self.top_bearable_ms, self.top_change = np.full(shape, np.nan), np.zeros(shape, np.int8)

    def add(self, group: Group) -> None:
        """Adds what a group's classes have at stake; no region stands in a group twice."""
        rows, belief = group.regions, self.belief
        possible = group.allowed & (group.bearable_ms >= belief.floor_ms[rows])
        could = possible & (belief.lower_ms[rows] <= group.bearable_ms)
        short = could & group.short_of_mbps
        asks = possible & ((belief.why[rows] != Why.NOT) | short)
        sure = belief.known[rows] & (belief.upper_ms[rows] <= group.bearable_ms) & ~short
        with np.errstate(invalid="ignore"):
            serves = could & ~short & (self.planned_ms[rows] <= group.bearable_ms)
        carried = self._carried(group)
        stake = np.where(asks, self._stake(group, serves), 0.0)

        self.score[rows] += stake
        self.decisive[rows] |= asks & ((could & ~sure) | (carried > 0))
        self.usable[rows] |= possible
        self.short[rows] |= short
        if self.carried is not None:
            self.carried[rows] += carried * group.requests_per_s[:, None]
        self._remember(group, np.where(possible, stake, -1.0))

    def _stake(self, group: Group, serves: Bool) -> Float:
        """What the answer may change for each class of a group, G × P."""
        if self.priced is not None:
            known = [self.priced.classes[cls] for cls in group.classes]
            return self.priced.gain_usd[known] + self.priced.risk_usd[known]
        chance = self.belief.chance(group.bearable_ms, group.regions)
        sites = serves.sum(axis=1, keepdims=True)
        change = np.where(serves, (1 - chance) / np.maximum(sites, 1), chance / (1 + sites))
        return np.asarray(group.requests_per_s[:, None] * change, np.float64)

    def _change(self, group: Group) -> NDArray[np.int8]:
        """What the answer may bring to each class, G × P: a place in CHANGES."""
        if self.priced is None:
            return np.zeros(group.bearable_ms.shape, np.int8)
        known = [self.priced.classes[cls] for cls in group.classes]
        holds = self.priced.risk_usd[known] > self.priced.gain_usd[known]
        found = np.where(holds, HOLD, np.where(self.priced.unserved[known][:, None], SERVE, SAVE))
        return np.asarray(found, np.int8)

    def _carried(self, group: Group) -> Float:
        """How much of each class the plan sends to each site, G × P."""
        names = self.pairs.sites
        number = {site: p for p, site in enumerate(names)}
        carried = np.zeros((len(group.classes), len(names)))
        for g, cls in enumerate(group.classes if self.share else ()):
            for site, share in self.share.get(cls, {}).items():
                if site in number:
                    carried[g, number[site]] = share
        return carried

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
            (self.top_change, self._change(group)),
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
