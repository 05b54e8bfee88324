"""Recomputes the bound that a certificate proves, against every admissible class, site and shape of the tables.

The demand rows, wires, limits and the monthly budget are priced instead of kept (Lagrange; Geoffrion 1974). For prices
π (demand), α, β (wires), μ (limits), ν (budget) every plan costs at least

    Σ_i min(π_i, U_i) − Σ_p V_p − Σ_l μ_l·rhs_l − ν·budget

with U_i the penalty of row i and V_p ≥ what site p can earn (`site_value`): rows pay π_i less (1+ν)·their cost and the
priced wires; servers and the open site cost (1+ν) times their price, servers the priced limits too; an open site is
credited the priced wires it brings. Rows that no site can serve count with their penalty exactly (C0).
Relaxed: power and rack units shared between GPU types, the rows of (6) for sizes 2, 4, 8.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path

import numpy as np

from placement.audit.case import Case, open_case
from placement.audit.certificate import Arrays, CertificateError, Prices, read_certificate
from placement.audit.facts import Server
from placement.audit.grid import Float, Grid, SiteRoutes
from placement.audit.hosting import stands
from placement.audit.limits import LimitRow, limit_rows, monthly_budget_usd
from placement.audit.penalties import Penalties
from placement.audit.site_value import (
    EPS,
    Group,
    Offer,
    best_servers,
    block_value,
    larger,
    packed,
    profit_usd,
    site_usd,
    useful_quarters,
)
from placement.scenario import Scenario
from placement.topology.pairs import Pairs


@dataclass(frozen=True)
class VerifiedBound:
    """What a certificate proves. `bound_usd_month` is None when it proves nothing; `reason` then says why."""

    bound_usd_month: float | None
    constant_usd_month: float  # C0: penalties of the classes that no site may serve
    reason: str = ""


def verify_bound(certificate: Path | Arrays, scenario: Scenario, pairs: Pairs) -> VerifiedBound:
    """The bound, USD a month, that the multipliers in `certificate` (npz file or its arrays) prove."""
    return bound_of(certificate, Penalties(Grid(open_case(scenario, pairs))))


def bound_of(certificate: Path | Arrays, penalties: Penalties) -> VerifiedBound:
    """As `verify_bound`, for a case that is open already."""
    constant = penalties.constant_usd
    try:
        prices = read_certificate(certificate)
        pricing = Pricing(penalties, prices)
        pricing.refuse_strangers()
        with np.errstate(over="ignore", invalid="ignore"):
            bound = pricing.bound_usd()
    except CertificateError as error:
        return VerifiedBound(None, float(constant), str(error))
    except (OverflowError, ValueError):  # a sum of prices that each are a float, and together are none
        bound = -math.inf
    if not math.isfinite(bound):
        return VerifiedBound(None, float(constant), "the multipliers are too large to compute with")
    return VerifiedBound(bound, float(constant))


@dataclass(frozen=True)
class Pricing:
    """One set of prices against one case."""

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
        named = set(self.prices.demand_usd)
        if named != set(grid.keys):
            strangers, missing = sorted(named - set(grid.keys)), sorted(set(grid.keys) - named)
            raise CertificateError(f"demand rows: unknown {strangers[:3]}, missing {missing[:3]}")
        wires = {(site, name) for site in facts.sites for name in facts.hours}
        for priced in (self.prices.uplink_usd, self.prices.downlink_usd):
            if set(priced) != wires:
                raise CertificateError("sites or slices are not those of the scenario")
        unknown = sorted(set(self.prices.limit_usd) - {row.name for row in self.limits})
        if unknown:
            raise CertificateError(f"limits that the tables do not state: {unknown[:3]}")

    def bound_usd(self) -> float:
        """The bound, rounded outward."""
        servable = self.penalties.dearest.servable
        gains = self.row_usd[servable].tolist()
        losses = [self.site_usd(site) for site in self.penalties.grid.sites]
        losses += [mu * float(row.most) for mu, row in self.priced_limits]
        if self.budget_usd is not None:
            losses.append(self.prices.budget * float(self.budget_usd))
        terms = [*gains, *(-usd for usd in losses)]
        if not all(math.isfinite(term) for term in terms):
            return -math.inf
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
        """Every limit with its multiplier."""
        return tuple((self.prices.limit_usd.get(row.name, 0.0), row) for row in self.limits)

    @cached_property
    def row_usd(self) -> Float:
        """min(π, U) of every demand row, I."""
        listed = np.array([self.prices.demand_usd[key] for key in self.penalties.grid.keys], np.float64)
        return np.minimum(listed, self.penalties.usd_float)

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
        groups: dict[tuple[str, str, int], list[Float]] = defaultdict(list)
        for routes in self.penalties.grid.at(name):
            for kind, value in self._blocks(name, routes, uplink, downlink):
                groups[kind].append(value)
        of_gpu: dict[str, list[Group]] = defaultdict(list)
        for (_, gpu, quarters), values in sorted(groups.items()):
            of_gpu[gpu].append(Group(quarters, larger(values)))
        earned = math.fsum(self._gpu_usd(name, gpu, of_gpu[gpu]) for gpu in sorted(of_gpu))
        return site_usd(earned, self.dearer * float(self.case.facts.sites[name].open_usd_month), credit)

    def _blocks(
        self, site: str, routes: SiteRoutes, uplink: Float, downlink: Float
    ) -> Iterator[tuple[tuple[str, str, int], Float]]:
        """(model, GPU, quarters) and V(y) of every shape that the site could hold and that earns anything."""
        grid, rows = self.penalties.grid, routes.of.rows
        slices = grid.slices[rows]
        wires = grid.column("out_mbps")[rows] * uplink[slices] + grid.column("in_mbps")[rows] * downlink[slices]
        income = self.row_usd[rows]
        for d, name in enumerate(routes.of.shapes):
            if not self.case.hosting.can_hold(site, name):
                continue
            profit = profit_usd(income, self.dearer * routes.usd[:, d] + wires)
            here = routes.admissible[:, d] & (profit > 0)
            if not here.any():
                continue
            shape = self.case.facts.shapes[name]
            most, _ = divmod(self.room(site, shape.gpu), shape.quarters)
            yield (
                (shape.model, shape.gpu, shape.quarters),
                block_value(profit[here], routes.of.load[here, d], slices[here], most),
            )

    def _gpu_usd(self, site: str, gpu: str, groups: list[Group]) -> float:
        """Most that the blocks on one GPU earn less the servers they need."""
        capacity = min(useful_quarters(groups), self.room(site, gpu))
        place = self.case.facts.sites[site]
        offers = self.offers(site, gpu, capacity)
        return best_servers(offers, packed(groups, capacity), float(place.usable_kw), float(place.rack_units))

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

    def offers(self, site_name: str, gpu: str, quarters: int) -> list[Offer]:
        """Fleet and new servers of a GPU at a site, as many of each as could be of use for `quarters`."""
        case, site = self.case, self.case.facts.sites[site_name]
        found = []
        for name, server in sorted(case.facts.servers.items()):
            if server.gpu != gpu or not stands(server, site):
                continue
            size = 4 * int(server.gpus)
            room = min(_floor_ratio(site.usable_kw, server.power_kw), _floor_ratio(site.rack_units, server.rack_units))
            for new, most in ((False, min(room, case.facts.fleet.get((site_name, name), 0))), (True, room)):
                usd = self._server_usd(site_name, name, server, new)
                useful = min(most, math.ceil(Fraction(quarters, size)))
                found.append(Offer(size, float(server.power_kw), float(server.rack_units), usd, useful))
        return found

    def _server_usd(self, site: str, name: str, server: Server, new: bool) -> float:
        prices = self.case.prices
        usd = prices.new_usd(site, server) if new else prices.standing_usd(site, server)
        priced = (mu * float(row.weight(site, name, new)) for mu, row in self.priced_limits if mu)
        return self.dearer * float(usd) + math.fsum(priced)


def _floor_ratio(limit: Fraction, use: Fraction) -> int:
    return math.floor(limit / use)


def rounded_down(value: Fraction) -> float:
    """The largest float ≤ value."""
    nearest = float(value)
    return nearest if Fraction(nearest) <= value else math.nextafter(nearest, -math.inf)
