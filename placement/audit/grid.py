"""Every admissible (class, site, shape) of one period, site by site, in float64; ties with the budget are exact.

T slices, C classes, K kinds and W ways (`ways`), P sites; at a site the n ways that keep rules 2 and 3 there, and of
these m pairs: a way in a slice in which its class asks for something.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from placement.audit.case import Case
from placement.audit.facts import Key
from placement.audit.intervals import TIE, most_chance
from placement.audit.pools import Bool, Float, Int
from placement.audit.prices import GRAMS_PER_TONNE
from placement.audit.ways import Ways, read_ways

PRIMARY, BACKUP = "latency_budget_ms", "backup_latency_budget_ms"
"""The budgets that a service's routes keep: on a normal day, and when they stand in for others (13)."""
NEAR = 1e-9
"""Latencies this near to the budget, relative to it, are compared as fractions."""


@dataclass(frozen=True)
class Tariff:
    """What a site charges for energy and answers, by slice, T each; 0 where it is not charged so."""

    usd_per_kwh: Float  # with PUE and priced carbon
    usd_per_gb: float
    usd_per_mbps: Float  # transit by the mean of the day
    counted_usd_per_mbps: Float  # transit by a peak: a mean that the peak is never below
    peak_usd_per_mbps: float  # transit by a peak: what a class alone would add


@dataclass(frozen=True)
class SitePairs:
    """Some ways to serve at a site, and the pairs they make: kind after kind, and of each slice after slice."""

    ways: Ways
    way: Int  # n, ascending

    @cached_property
    def _pairs(self) -> tuple[Int, Int, Int]:
        """Slice of every pair, which of the n ways it is, and its row, m."""
        rows = self.ways.rows[:, self.ways.of_class[self.way]]
        slices, at = np.nonzero(rows >= 0)
        order = np.argsort(self.ways.kind[self.way[at]], kind="stable")
        slices, at = slices[order], at[order]
        return slices, at, rows[slices, at]

    @property
    def slice(self) -> Int:
        """The slice of every pair, m."""
        return self._pairs[0]

    @property
    def row(self) -> Int:
        """The demand row of every pair, m."""
        return self._pairs[2]

    @cached_property
    def kind(self) -> Int:
        """The kind of every pair, m."""
        return self.ways.kind[self._way]

    @cached_property
    def load(self) -> Float:
        """Replicas that whole rows keep busy, m."""
        return np.asarray(self._asked(self.ways.rate) / self.ways.capacity[self._way], np.float64)

    @cached_property
    def _way(self) -> Int:
        """The way of every pair, m."""
        return self.way[self._pairs[1]]

    @cached_property
    def _cell(self) -> Int:
        """Where figures by slice and class, laid out flat, tell of a pair, m."""
        return self.slice * len(self.ways.members) + self.ways.of_class[self._way]

    def _asked(self, figure: Float) -> Float:
        return np.take(figure, self._cell)


@dataclass(frozen=True)
class SiteRoutes(SitePairs):
    """The routes to one site."""

    latency_ms: Float  # n
    late: Float | None  # n: no more than the chance that a request misses its budget; None: it has no price
    tariff: Tariff

    def of(self, some: Bool) -> "SiteRoutes":
        """The routes of which `some`, n, holds."""
        late = None if self.late is None else self.late[some]
        return SiteRoutes(self.ways, self.way[some], self.latency_ms[some], late, self.tariff)

    def least_usd(self) -> Float:
        """A month of whole rows, beside servers, with the least of a peak, m."""
        return self._usd(self.tariff.usd_per_mbps + self.tariff.counted_usd_per_mbps)

    def alone_usd(self) -> Float:
        """As `least_usd`, with what each row alone would add to a peak."""
        return self._usd(self.tariff.usd_per_mbps + self.tariff.peak_usd_per_mbps)

    def wires_usd(self, uplink: Float, downlink: Float) -> Float:
        """Whole rows by what a Mbit/s up and down costs in every slice, T each; m."""
        if not (uplink.any() or downlink.any()):
            return np.zeros(len(self.row))
        up, down = self._asked(self.ways.out_mbps), self._asked(self.ways.in_mbps)
        return np.asarray(up * uplink[self.slice] + down * downlink[self.slice], np.float64)

    def _usd(self, usd_per_mbps: Float) -> Float:
        ways, tariff, slices, at = self.ways, self.tariff, self.slice, self._pairs[1]
        usd = self._asked(ways.mean_hours) * ways.kw_per_request[self._way] * tariff.usd_per_kwh[slices]
        if tariff.usd_per_gb:
            usd += self._asked(ways.gigabytes) * tariff.usd_per_gb
        if self.late is not None:
            usd += self._asked(ways.usd_per_late) * self.late[at]
        usd += self._asked(ways.usd_per_ms) * self.latency_ms[at]
        if usd_per_mbps.any():
            usd += self._asked(ways.out_mbps) * usd_per_mbps[slices]
        return np.asarray(usd, np.float64)


@dataclass(frozen=True)
class Grid:
    """All admissible routes of a case."""

    case: Case

    @cached_property
    def keys(self) -> tuple[Key, ...]:
        """The demand rows, I."""
        return tuple(sorted(self.case.facts.demand))

    @cached_property
    def sites(self) -> tuple[str, ...]:
        return tuple(sorted(self.case.facts.sites))

    @cached_property
    def ways(self) -> Ways:
        return read_ways(self.case, self.keys)

    def at(self, site: str, budget: str = PRIMARY) -> SiteRoutes:
        """The routes to one site within a latency budget of the services: `PRIMARY` or `BACKUP`."""
        network = self._network_ms(site)
        latency = network[self.ways.of_class] + self.ways.ttft_ms
        way = np.flatnonzero(latency <= self._reach.beyond_ms[budget])  # never where it is NaN
        way = way[self._within(latency[way], way, site, budget)]
        late = self._late(way, site) if self.case.facts.late_usd_per_1000 else None
        return SiteRoutes(self.ways, way, latency[way], late, self.tariff(site))

    def hosted(self, routes: SiteRoutes, site: str) -> SiteRoutes:
        """Of the routes to a site those on shapes that it could hold."""
        can_hold = self.case.hosting.can_hold
        held = np.array([can_hold(site, name) for _, name in self.ways.kinds], np.bool_)
        return routes if held.all() else routes.of(held[self.ways.kind[routes.way]])

    @cached_property
    def one_budget(self) -> bool:
        """Whether every service has its backup within its own latency budget."""
        services = self.case.facts.services.values()
        return all(s.backup_latency_budget_ms == s.latency_budget_ms for s in services)

    def tariff(self, site_name: str) -> Tariff:
        """What the site charges."""
        if site_name not in self._tariffs:
            self._tariffs[site_name] = self._read_tariff(site_name)
        return self._tariffs[site_name]

    @cached_property
    def _tariffs(self) -> dict[str, Tariff]:
        """Those that were asked for."""
        return {}

    def _read_tariff(self, site_name: str) -> Tariff:
        case, site = self.case, self.case.facts.sites[site_name]
        slices, prices, facts = list(case.facts.hours), case.prices, case.facts
        energy = []
        for name in slices:
            carbon = prices.carbon_usd((facts.gco2_per_kwh[(site_name, name)] or Fraction(0)) / GRAMS_PER_TONNE)
            energy.append(float(site.pue * (facts.usd_per_kwh[(site_name, name)] + carbon)))
        transit, counted = site.transit_usd_per_mbps_month, prices.counted_share(site_name)
        peak = transit is not None and site.transit_billing != "mean"
        mean = [0.0 if transit is None or peak else float(transit * prices.slice_share(name)) for name in slices]
        return Tariff(
            usd_per_kwh=np.array(energy, np.float64),
            usd_per_gb=float(site.egress_usd_per_gb) if transit is None else 0.0,
            usd_per_mbps=np.array(mean, np.float64),
            counted_usd_per_mbps=np.array([float((transit or 0) * counted.get(name, 0)) for name in slices]),
            peak_usd_per_mbps=float(transit) if transit is not None and peak else 0.0,
        )

    def _network_ms(self, site: str) -> Float:
        """Round trips and the way up of every class, C; NaN where rule 2 or 3 forbids it on any shape."""
        reach, p = self._reach, self._pairs_column.get(site)
        if p is None or not len(self.case.network.pairs.regions):
            return np.full(len(reach.region), np.nan)
        rtt, mbps, loss, jitter = (figure[:, p] for figure in self._links)
        total = reach.round_trips * rtt[reach.region] + _transfer_ms(reach, mbps[reach.region])
        for limit, known in ((reach.max_loss, loss), (reach.max_jitter_ms, jitter)):
            if not np.isinf(limit).all():
                total = np.where(np.isinf(limit) | (known[reach.region] <= limit), total, np.nan)
        return np.where((reach.region >= 0) & reach.allowed(self._site_number[site]), total, np.nan)

    def _late(self, way: Int, site: str) -> Float:
        """No more than the chance that a request misses its latency budget at the site, n."""
        reach, p, at = self._reach, self._pairs_column[site], self.ways.of_class[way]
        mbps = self._links[1][:, p][reach.region]
        rest = _transfer_ms(reach, mbps)[at] + self.ways.ttft_ms[way]
        # more than the exact one, by all that floats lose
        limit = (reach.budget_ms[PRIMARY][way] * (1 + 4 * float(TIE)) - rest) / reach.round_trips[at]
        return 1 - most_chance(self.case.network.pairs, reach.region[at], p, limit[:, None])[:, 0]

    def _within(self, latency: Float, way: Int, site: str, which: str) -> Bool:
        """Where latency ≤ budget (2), n."""
        budget = self._reach.budget_ms[which][way]
        inside = np.asarray(latency < budget, np.bool_)  # those near the budget are settled below
        for n in np.flatnonzero(np.abs(latency - budget) <= NEAR * budget).tolist():
            region, name, _ = self.ways.members[self.ways.of_class[way[n]]]
            service = self.case.facts.services[name]
            network = self.case.network.network_ms(region, service, site)
            ttft = self.case.facts.shapes[self.ways.kinds[self.ways.kind[way[n]]][1]].ttft_ms[service.profile]
            inside[n] = network is not None and network + ttft <= getattr(service, which)
        return inside

    @cached_property
    def _links(self) -> tuple[Float, ...]:
        return self.case.network.arrays

    @cached_property
    def _pairs_column(self) -> dict[str, int]:
        return {name: p for p, name in enumerate(self.case.network.pairs.sites)}

    @cached_property
    def _site_number(self) -> dict[str, int]:
        return {name: p for p, name in enumerate(self.sites)}

    @cached_property
    def _reach(self) -> "_Reach":
        return _reach(self.case, self.ways, self.sites)


@dataclass(frozen=True)
class _Reach:
    """What decides where classes may be served, C each if nothing else is said."""

    region: Int  # number in the pairs, -1 where they do not hold it
    budget_ms: Mapping[str, Float]  # for primary routes and for backups; W
    beyond_ms: Mapping[str, Float]  # latencies above this are surely above the budget; W
    round_trips: Float
    kbyte_in: Float
    is_free: Bool  # the request is small enough for a wire of unknown bandwidth
    max_loss: Float
    max_jitter_ms: Float
    rule: Int  # which row of `rules` holds for the class
    rules: Bool | None  # rule 3 by residency set and home, rules × P; None: the rule is off

    def allowed(self, site: int) -> Bool:
        """Rule 3 at a site, C."""
        return np.ones(len(self.region), np.bool_) if self.rules is None else self.rules[:, site][self.rule]


def _transfer_ms(reach: _Reach, mbps: Float) -> Float:
    """The request's way up of every class, C; NaN where the bandwidth would have to be known."""
    with np.errstate(divide="ignore", invalid="ignore"):
        transfer = 8 * reach.kbyte_in / mbps
    return np.where(np.isnan(mbps) & reach.is_free, 0.0, transfer)


def _reach(case: Case, ways: Ways, sites: tuple[str, ...]) -> _Reach:
    kbyte_in = ways.of_service("kbyte_in")
    budget_ms = {which: ways.of_service(which)[ways.of_class] for which in (PRIMARY, BACKUP)}
    rule, rules = _rules(case, ways, sites)
    number = {name: r for r, name in enumerate(case.network.pairs.regions)}
    return _Reach(
        region=np.array([number.get(region, -1) for region, _, _ in ways.members], np.int64),
        budget_ms=budget_ms,
        beyond_ms={which: ms * (1 + 2 * NEAR) for which, ms in budget_ms.items()},
        round_trips=ways.of_service("round_trips"),
        kbyte_in=kbyte_in,
        is_free=kbyte_in <= float(case.facts.bandwidth_free_kbyte),
        max_loss=ways.of_service("max_loss"),
        max_jitter_ms=ways.of_service("max_jitter_ms"),
        rule=rule,
        rules=rules,
    )


def _rules(case: Case, ways: Ways, sites: tuple[str, ...]) -> tuple[Int, Bool | None]:
    """Rule 3 by (set, home country), evaluated once for every kind of place, and which of them holds for a class."""
    facts, number = case.facts, dict[tuple[str, str], int]()
    if case.residency.sets is None:
        return np.zeros(len(ways.members), np.int64), None
    rule = [number.setdefault((name, facts.countries[region]), len(number)) for region, _, name in ways.members]
    places = [(facts.sites[name].country, facts.sites[name].vendor) for name in sites]
    kinds = {place: n for n, place in enumerate(dict.fromkeys(places))}
    told = [[case.residency.allows_set(*bound, *place) for place in kinds] for bound in number]
    of_kind = np.array(told, np.bool_).reshape(len(number), len(kinds))
    return np.array(rule, np.int64), of_kind[:, [kinds[place] for place in places]]
