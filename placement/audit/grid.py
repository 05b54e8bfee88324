"""Every admissible (class, site, shape) of one period, site by site, in float64; ties with the budget are exact.

T slices, per pool C classes and D shapes (`pools`); at a site only the n classes that some shape may serve there.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from placement.audit.case import Case
from placement.audit.facts import Key
from placement.audit.intervals import TIE, most_chance
from placement.audit.pools import Bool, Float, Int, Pool, read_pools
from placement.audit.prices import GRAMS_PER_TONNE

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
class SiteRoutes:
    """The routes of one pool to one site."""

    pool: Pool
    classes: Int  # n: which of the pool's classes
    latency_ms: Float  # n × D
    admissible: Bool  # n × D: rules 2 and 3
    late: Float | None  # n × D: no more than the chance that a request misses its budget; None: it has no price
    tariff: Tariff

    def load(self, d: int, here: Bool) -> Float:
        """Replicas of shape d that whole rows keep busy, T × (n where `here`)."""
        at = self.classes[here]
        return np.asarray(self.pool.rate[:, at] / self.pool.capacity[at, d], np.float64)

    def least_usd(self, d: int, here: Bool) -> Float:
        """A month of whole rows on shape d, beside its servers, with the least of a peak, T × (n where `here`)."""
        at, tariff = self.classes[here], self.tariff
        per_mbps = tariff.usd_per_mbps + tariff.counted_usd_per_mbps
        return self._route_usd(here, d) + self.pool.out_mbps[:, at] * per_mbps[:, None]

    def alone_usd(self, d: int, here: Bool) -> Float:
        """As `least_usd`, with what each row alone would add to a peak."""
        at, tariff = self.classes[here], self.tariff
        per_mbps = tariff.usd_per_mbps + tariff.peak_usd_per_mbps
        return self._route_usd(here, d) + self.pool.out_mbps[:, at] * per_mbps[:, None]

    def _route_usd(self, here: Bool, d: int) -> Float:
        pool, tariff, at = self.pool, self.tariff, self.classes[here]
        kw = pool.busy_kw[d] / pool.capacity[at, d]
        usd = pool.mean_hours[:, at] * kw * tariff.usd_per_kwh[:, None]
        usd += pool.gigabytes[:, at] * tariff.usd_per_gb
        if self.late is not None:
            usd += pool.usd_per_late[:, at] * self.late[here, d]
        return np.asarray(usd + pool.usd_per_ms[:, at] * self.latency_ms[here, d], np.float64)


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
    def pools(self) -> tuple[Pool, ...]:
        return read_pools(self.case, self.keys)

    def at(self, site: str, budget: str = PRIMARY) -> Iterator[SiteRoutes]:
        """The routes to one site, pool by pool, within a latency budget of the services: `PRIMARY` or `BACKUP`."""
        tariff = self.tariff(site)
        for pool, reach in zip(self.pools, self._reach, strict=True):
            network = self._network_ms(reach, site)
            reached = np.flatnonzero(~np.isnan(network))
            latency = network[reached][:, None] + pool.ttft_ms[reached]
            admissible = self._within(latency, reach.budget_ms[budget][reached], pool, reached, site, budget)
            some = admissible.any(axis=1)
            late = self._late(reach, reached[some], site) if self.case.facts.late_usd_per_1000 else None
            yield SiteRoutes(pool, reached[some], latency[some], admissible[some], late, tariff)

    @cached_property
    def one_budget(self) -> bool:
        """Whether every service has its backup within its own latency budget."""
        services = self.case.facts.services.values()
        return all(s.backup_latency_budget_ms == s.latency_budget_ms for s in services)

    def tariff(self, site_name: str) -> Tariff:
        """What the site charges."""
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

    def _network_ms(self, reach: "_Reach", site: str) -> Float:
        """Round trips and the way up of every class of a pool, C; NaN where rule 2 or 3 forbids it on any shape."""
        p = self._pairs_column.get(site)
        if p is None:
            return np.full(len(reach.region), np.nan)
        rtt, mbps, loss, jitter = (figure[reach.region, p] for figure in self._links)
        total = reach.round_trips * rtt + _transfer_ms(reach, mbps)
        for limit, known in ((reach.max_loss, loss), (reach.max_jitter_ms, jitter)):
            total = np.where(np.isinf(limit) | (known <= limit), total, np.nan)
        return np.where((reach.region >= 0) & reach.allowed[:, self._site_number[site]], total, np.nan)

    def _late(self, reach: "_Reach", classes: Int, site: str) -> Float:
        """No more than the chance that a request of the classes misses its latency budget at the site, n × D."""
        mbps = self._links[1][reach.region, self._pairs_column[site]]
        rest = _transfer_ms(reach, mbps)[classes, None] + reach.ttft_ms[classes]
        budget, trips = reach.budget_ms[PRIMARY][classes, None], reach.round_trips[classes, None]
        limit = (budget * (1 + 4 * float(TIE)) - rest) / trips  # more than the exact one, by all that floats lose
        return 1 - most_chance(self.case.network.pairs, reach.region[classes], self._pairs_column[site], limit)

    def _within(self, latency: Float, budget_ms: Float, pool: Pool, classes: Int, site: str, which: str) -> Bool:
        """Where latency ≤ budget (2), n × D; never where it is NaN."""
        budget = budget_ms[:, None]
        with np.errstate(invalid="ignore"):
            inside = np.asarray(latency < budget, np.bool_)  # those near the budget are settled below
            near = np.abs(latency - budget) <= NEAR * budget
        for i, d in zip(*np.nonzero(near), strict=True):
            region, name, _ = pool.members[classes[i]]
            service = self.case.facts.services[name]
            network = self.case.network.network_ms(region, service, site)
            ttft = self.case.facts.shapes[pool.shapes[d]].ttft_ms[service.profile]
            inside[i, d] = network is not None and network + ttft <= getattr(service, which)
        return inside

    @cached_property
    def _links(self) -> tuple[Float, ...]:
        return self.case.network.arrays()

    @cached_property
    def _pairs_column(self) -> dict[str, int]:
        return {name: p for p, name in enumerate(self.case.network.pairs.sites)}

    @cached_property
    def _site_number(self) -> dict[str, int]:
        return {name: p for p, name in enumerate(self.sites)}

    @cached_property
    def _reach(self) -> tuple["_Reach", ...]:
        number = {name: r for r, name in enumerate(self.case.network.pairs.regions)}
        return tuple(_reach(self.case, pool, self.sites, number) for pool in self.pools)


@dataclass(frozen=True)
class _Reach:
    """What decides where the classes of a pool may be served, C each."""

    region: Int  # number in the pairs, -1 where they do not hold it
    budget_ms: Mapping[str, Float]  # for primary routes and for backups
    ttft_ms: Float  # C × D
    round_trips: Float
    kbyte_in: Float
    is_free: Bool  # the request is small enough for a wire of unknown bandwidth
    max_loss: Float
    max_jitter_ms: Float
    allowed: Bool  # C × P: rule 3


def _transfer_ms(reach: _Reach, mbps: Float) -> Float:
    """The request's way up of every class of a pool, C; NaN where the bandwidth would have to be known."""
    with np.errstate(divide="ignore", invalid="ignore"):
        transfer = 8 * reach.kbyte_in / mbps
    return np.where(np.isnan(mbps) & reach.is_free, 0.0, transfer)


def _reach(case: Case, pool: Pool, sites: tuple[str, ...], number: dict[str, int]) -> _Reach:
    kbyte_in = pool.of_service("kbyte_in")
    return _Reach(
        region=np.array([number.get(region, -1) for region, _, _ in pool.members], np.int64),
        ttft_ms=pool.ttft_ms,
        budget_ms={which: pool.of_service(which) for which in (PRIMARY, BACKUP)},
        round_trips=pool.of_service("round_trips"),
        kbyte_in=kbyte_in,
        is_free=kbyte_in <= float(case.facts.bandwidth_free_kbyte),
        max_loss=pool.of_service("max_loss"),
        max_jitter_ms=pool.of_service("max_jitter_ms"),
        allowed=_allowed(case, pool, sites),
    )


def _allowed(case: Case, pool: Pool, sites: tuple[str, ...]) -> Bool:
    """Rule 3, C × P; evaluated once for every (set, home country)."""
    facts = case.facts
    if case.residency.sets is None:
        return np.ones((len(pool.members), len(sites)), np.bool_)
    places = [facts.sites[name] for name in sites]
    masks: dict[tuple[str, str], list[bool]] = {}
    rows = []
    for region, _, name in pool.members:
        kind = (name, facts.countries[region])
        if kind not in masks:
            masks[kind] = [case.residency.allows_set(*kind, place.country, place.vendor) for place in places]
        rows.append(masks[kind])
    return np.array(rows, np.bool_).reshape(len(pool.members), len(sites))
