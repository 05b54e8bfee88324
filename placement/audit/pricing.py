"""The bound of one period at given prices.

The demand rows, wires, limits and the monthly budget are priced instead of kept (Lagrange; Geoffrion 1974). For prices
π (demand), α, β (wires), μ (limits), ν (budget) every plan costs at least

    Σ_i min(π_i, U_i) − Σ_p V_p − Σ_l μ_l·rhs_l − ν·budget

with U_i the penalty of row i and V_p ≥ what site p can earn (`site_value`): rows pay π_i less (1+ν)·their cost and the
priced wires; servers and the open site cost (1+ν) times their price, servers the priced limits too; an open site is
credited the priced wires it brings. Rows that no site can serve count with their penalty exactly (C0).

A dedicated tenant's classes fill servers of their own: each (GPU, tenant) is packed and bought by itself, and kept
within the fleet that it shares with others by a priced limit. Where replicas follow the slices, what G quarter GPUs
earn is Σ_t W_t(G), packed slice by slice on the same servers. A server that is new is bought or rented, whichever is
cheaper at the prices. A billed peak of transit is replaced by a mean over the slices that are surely counted
(`prices.counted_share`), which it is never below.

Relaxed, each because it only forbids plans or adds to their cost: power and rack units shared between GPUs and owners;
the rows of (6) for sizes 2, 4, 8; N-1; jobs; moves; pins; spread; least served share; the limit of carbon; goals.
"""

import math
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import TypeAlias

import numpy as np

from placement.audit.case import Case
from placement.audit.certificate import CertificateError, Prices
from placement.audit.facts import Server, Way
from placement.audit.grid import SiteRoutes
from placement.audit.hosting import stands
from placement.audit.limits import LimitRow, limit_rows, monthly_budget_usd
from placement.audit.penalties import Penalties
from placement.audit.pools import Float, Int
from placement.audit.site_value import (
    EPS,
    Group,
    Offer,
    around_the_clock,
    best_servers,
    larger,
    packed,
    profit_usd,
    site_usd,
    slice_values,
    useful_quarters,
)

Kind: TypeAlias = tuple[str, int]
"""Blocks that exclude each other at a site: model, quarter GPUs."""


@dataclass(frozen=True)
class Pricing:
    """One set of prices against one period."""

    penalties: Penalties
    prices: Prices

    @property
    def case(self) -> Case:
        return self.penalties.grid.case

    @cached_property
    def limits(self) -> tuple[LimitRow, ...]:
        return limit_rows(self.case)

    def refuse_strangers(self) -> None:
        """Raise CertificateError where names are not those of the tables."""
        facts, grid = self.case.facts, self.penalties.grid
        named = set(self.prices.keys)
        if named != set(grid.keys):
            strangers, missing = sorted(named - set(grid.keys)), sorted(set(grid.keys) - named)
            raise CertificateError(f"demand rows: unknown {strangers[:3]}, missing {missing[:3]}")
        wires = {(site, name) for site in facts.sites for name in facts.hours}
        for priced in (self.prices.uplink_usd, self.prices.downlink_usd):
            if set(priced) != wires:
                raise CertificateError("sites or slices are not those of the scenario")
        if self.prices.cuts.count or len(self.prices.backups.usd) or self.prices.groups:
            raise CertificateError("cuts, backups and groups are not known yet")
        unknown = sorted(set(self.prices.limit_usd) - {row.name for row in self.limits})
        if unknown:
            raise CertificateError(f"limits that the tables do not state: {unknown[:3]}")

    def bound_usd(self) -> float:
        """The bound, rounded outward.

        Raises:
            OverflowError, ValueError: the prices are too large to compute with.
        """
        gains = self.row_usd[self.penalties.servable].tolist()
        losses = [self.site_usd(site) for site in self.penalties.grid.sites]
        losses += [mu * float(row.most) for mu, row in self.priced_limits]
        if self.budget_usd is not None:
            losses.append(self.prices.budget * float(self.budget_usd))
        terms = [*gains, *(-usd for usd in losses)]
        if not all(math.isfinite(term) for term in terms):
            raise OverflowError("a term of the bound is beyond floats")
        slack = 64 * EPS * math.fsum(abs(term) for term in terms)
        return rounded_down(self.penalties.constant_usd + Fraction(math.fsum(terms)) - Fraction(slack))

    @cached_property
    def budget_usd(self) -> Fraction | None:
        """(12) as the tables state it."""
        return monthly_budget_usd(self.case)

    @cached_property
    def dearer(self) -> float:
        """1 + ν; a budget that is not stated has no price."""
        return 1 + self.prices.budget if self.budget_usd is not None else 1.0

    @cached_property
    def priced_limits(self) -> tuple[tuple[float, LimitRow], ...]:
        """Every limit that has a price, with its multiplier."""
        listed = ((self.prices.limit_usd.get(row.name, 0.0), row) for row in self.limits)
        return tuple((mu, row) for mu, row in listed if mu)

    @cached_property
    def row_usd(self) -> Float:
        """min(π, U) of every demand row, I."""
        return np.minimum(self.prices.demand_usd[self.position], self.penalties.least_usd)

    @cached_property
    def position(self) -> Int:
        """Where the certificate names every demand row, I."""
        at = {key: n for n, key in enumerate(self.prices.keys)}
        return np.array([at[key] for key in self.penalties.grid.keys], np.int64)

    def wire_usd(self, site_name: str) -> tuple[Float, Float, float]:
        """Price of the site's uplink and downlink in every slice, T each, and the credit that opening it brings."""
        site, names = self.case.facts.sites[site_name], list(self.case.facts.hours)
        found, credit = [], 0.0
        for priced, limit in (
            (self.prices.uplink_usd, site.uplink_mbps),
            (self.prices.downlink_usd, site.downlink_mbps),
        ):
            if limit is None:
                found.append(np.zeros(len(names)))
                continue
            usd = np.array([priced[(site_name, name)] for name in names], np.float64)
            found.append(usd)
            credit += float(usd.sum()) * float(limit)
        return found[0], found[1], credit

    def site_usd(self, name: str) -> float:
        """V_p: most that the site earns, ≥ 0."""
        uplink, downlink, credit = self.wire_usd(name)
        found: dict[tuple[str, str], dict[Kind, list[Float]]] = defaultdict(lambda: defaultdict(list))
        for routes in self.penalties.grid.at(name):
            for gpu, kind, value in self._blocks(name, routes, uplink, downlink):
                found[(gpu, routes.pool.tenant)][kind].append(value)
        earned = [self._gpu_usd(name, gpu, found[(gpu, tenant)]) for gpu, tenant in sorted(found)]
        paid = self.dearer * float(self.case.facts.sites[name].open_usd_month)
        return site_usd(math.fsum(earned), paid, credit)

    def _blocks(
        self, site: str, routes: SiteRoutes, uplink: Float, downlink: Float
    ) -> Iterator[tuple[str, Kind, Float]]:
        """GPU, (model, quarters) and value of every shape that the site could hold and that earns anything.

        The value is that of 0, 1, … replicas: a row for every slice where replicas follow them, else a single one.
        """
        pool, at = routes.pool, routes.classes
        if not len(at):
            return
        wires = pool.out_mbps[:, at] * uplink[:, None] + pool.in_mbps[:, at] * downlink[:, None]
        income = pool.spread(self.row_usd)[:, at]
        for d, name in enumerate(pool.shapes):
            here = routes.admissible[:, d]
            if not here.any() or not self.case.hosting.can_hold(site, name):
                continue
            cost = self.dearer * routes.least_usd(d, here) + wires[:, here]
            profit = profit_usd(income[:, here], cost)
            earns = (profit > 0).any(axis=0)
            if not earns.any():
                continue
            shape = self.case.facts.shapes[name]
            most = self.room(site, shape.gpu) // shape.quarters
            values = slice_values(profit[:, earns], routes.load(d, here)[:, earns], most)
            follow = self.case.facts.replicas_follow_slices
            yield shape.gpu, (pool.model, shape.quarters), values if follow else around_the_clock(values)[None]

    def _gpu_usd(self, site: str, gpu: str, blocks: dict[Kind, list[Float]]) -> float:
        """Most that the blocks on one owner's servers of a GPU earn less those servers."""
        kinds = [(quarters, larger(blocks[(model, quarters)])) for model, quarters in sorted(blocks)]
        slices = range(len(kinds[0][1]))
        groups = [[Group(quarters, _whole(values[t])) for quarters, values in kinds] for t in slices]
        capacity = min(max(useful_quarters(of_slice) for of_slice in groups), self.room(site, gpu))
        earned = around_the_clock(np.array([packed(of_slice, capacity) for of_slice in groups]))
        place = self.case.facts.sites[site]
        offers = self.offers(site, gpu, capacity)
        return best_servers(offers, earned, float(place.usable_kw), float(place.rack_units))

    def room(self, site: str, gpu: str) -> int:
        """Quarter GPUs that a site where any server of the GPU stands could hold at most."""
        return self._room[(site, gpu)]

    @cached_property
    def _room(self) -> dict[tuple[str, str], int]:
        """Each limit by the server that is leanest in it: a mixture of servers may use both limits up."""
        found: dict[tuple[str, str], int] = {}
        servers = self.case.facts.servers.values()
        for site_name, gpu in self.case.hosting.largest:
            site = self.case.facts.sites[site_name]
            kinds = [s for s in servers if s.gpu == gpu and stands(s, site)]
            by_power = max(_floor_ratio(site.usable_kw, s.power_kw / s.gpus) for s in kinds)
            by_units = max(_floor_ratio(site.rack_units, s.rack_units / s.gpus) for s in kinds)
            found[(site_name, gpu)] = 4 * min(by_power, by_units)
        return found

    def offers(self, site: str, gpu: str, quarters: int) -> list[Offer]:
        """Fleet and new servers of a GPU at a site, as many of each as could be of use for `quarters`."""
        return [
            replace(offer, most=min(offer.most, math.ceil(Fraction(quarters, offer.quarters))))
            for offer in self._offers(site, gpu)
        ]

    def _offers(self, site_name: str, gpu: str) -> Iterator[Offer]:
        case, site = self.case, self.case.facts.sites[site_name]
        for name, server in sorted(case.facts.servers.items()):
            if server.gpu != gpu or not stands(server, site):
                continue
            room = min(_floor_ratio(site.usable_kw, server.power_kw), _floor_ratio(site.rack_units, server.rack_units))
            standing = min(room, case.facts.fleet.get((site_name, name), 0))
            ways: tuple[tuple[Sequence[Way], int], ...] = ((("fleet",), standing), (server.new_ways, room))
            for held, most in ways:
                if held and most:
                    usd = min(self._server_usd(site_name, name, server, way) for way in held)
                    yield Offer(4 * int(server.gpus), float(server.power_kw), float(server.rack_units), usd, most)

    def _server_usd(self, site: str, name: str, server: Server, way: Way) -> float:
        usd = self.dearer * float(self.case.prices.held_usd(site, server, way))
        return usd + math.fsum(mu * float(row.weight(site, name, way)) for mu, row in self._limits_on(site, name))

    def _limits_on(self, site: str, server: str) -> tuple[tuple[float, LimitRow], ...]:
        """The priced limits that a server at the site may enter; those of the fleet are one for each (site, server)."""
        own = self._fleet_limits.get(f"fleet|{site}|{server}")
        return self._shared_limits if own is None else (*self._shared_limits, own)

    @cached_property
    def _shared_limits(self) -> tuple[tuple[float, LimitRow], ...]:
        return tuple((mu, row) for mu, row in self.priced_limits if not row.name.startswith("fleet|"))

    @cached_property
    def _fleet_limits(self) -> dict[str, tuple[float, LimitRow]]:
        return {row.name: (mu, row) for mu, row in self.priced_limits if row.name.startswith("fleet|")}


def _whole(value: Float) -> Float:
    """The value without the end where more replicas earn no more."""
    grows = np.flatnonzero(np.diff(value))
    return value[: grows[-1] + 2] if len(grows) else value[:1]


def _floor_ratio(limit: Fraction, use: Fraction) -> int:
    return math.floor(limit / use)


def rounded_down(value: Fraction) -> float:
    """The largest float ≤ value."""
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)
