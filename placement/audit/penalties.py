"""What leaving demand unserved costs, and C0: the penalties of the classes that no site could serve.

A service's own `unserved_usd_per_1000`, else three times the dearest way to serve the row, in every period by the
period's own rows. A way is an admissible route of the row to a site of a kind where a server of the shape's GPU may
stand (`stands_at`), whether or not it fits there. It costs the route (load energy, its priced carbon, egress by the GB
or by mean transit, priced milliseconds), where a peak is billed (peak, p95) the row's own Mbit/s at that price, and
the GPUs it keeps busy, at the price per GPU of the dearest of those servers, new in any way the tables offer (buy, rent;
support, place, idle energy, priced carbon). A row without any way takes the largest such rate per request of its
(model, service), else of the period, else 1 USD per 1000. Arrays find the dearest way; its price is then summed exactly.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from placement.audit.facts import Key
from placement.audit.grid import Float, Grid, SiteRoutes

TIMES = 3
LAST_RESORT = Fraction(1, 1000)  # USD a request


@dataclass(frozen=True)
class Dearest:
    """Over all sites and shapes: the dearest way to serve each row, and whether any replica could be held."""

    usd: Float  # I; -inf without an admissible route
    site: NDArray[np.object_]  # I
    shape: NDArray[np.object_]  # I
    servable: NDArray[np.bool_]  # I: some admissible route ends where its shape could stand


@dataclass(frozen=True)
class Penalties:
    """USD a month of leaving demand rows whole unserved."""

    grid: Grid

    def usd(self, key: Key) -> Fraction:
        """The exact penalty of one demand row."""
        case = self.grid.case
        given = case.facts.services[key[2]].unserved_usd_per_1000
        requests = case.prices.requests_month(key)
        return requests * (given / 1000 if given is not None else self._default_rate(key))

    @cached_property
    def usd_float(self) -> Float:
        """The penalty of every demand row, I."""
        return np.array([float(self.usd(key)) for key in self.grid.keys], np.float64)

    @cached_property
    def constant_usd(self) -> Fraction:
        """C0."""
        return self.total(key for key, can in zip(self.grid.keys, self.dearest.servable, strict=True) if not can)

    def total(self, keys: Iterable[Key]) -> Fraction:
        """The penalties of the rows together."""
        return sum((self.usd(key) for key in keys), Fraction(0))

    @cached_property
    def dearest(self) -> Dearest:
        """One pass over all routes."""
        size = len(self.grid.keys)
        found = Dearest(
            np.full(size, -np.inf), np.full(size, "", object), np.full(size, "", object), np.zeros(size, np.bool_)
        )
        for site in self.grid.sites:
            for routes in self.grid.at(site):
                self._see(found, site, routes)
        return found

    def _see(self, found: Dearest, site: str, routes: SiteRoutes) -> None:
        if not routes.of.shapes:
            return
        hosting, rows = self.grid.case.hosting, routes.of.rows
        held = np.array([hosting.can_hold(site, name) for name in routes.of.shapes], np.bool_)
        found.servable[rows] |= (routes.admissible & held).any(axis=1)
        gpus = np.array([float(self.replica_usd(site, name)) for name in routes.of.shapes])
        usd = np.where(routes.admissible, routes.usd + routes.of.load * gpus, -np.inf)
        best = usd.argmax(axis=1)
        most = usd[np.arange(len(rows)), best]
        better = most > found.usd[rows]
        found.usd[rows[better]] = most[better]
        found.site[rows[better]] = site
        found.shape[rows[better]] = np.array(routes.of.shapes, object)[best[better]]

    def replica_usd(self, site: str, shape_name: str) -> Fraction:
        """A replica's GPUs at the price per GPU of the dearest new server of their kind, whether it fits or not."""
        shape = self.grid.case.facts.shapes[shape_name]
        return shape.gpus * self._usd_per_gpu[(site, shape.gpu)]

    @cached_property
    def _usd_per_gpu(self) -> dict[tuple[str, str], Fraction]:
        case = self.grid.case
        most: dict[tuple[str, str], Fraction] = {}
        for name in case.facts.sites:
            for server in case.facts.servers.values():
                usd = case.prices.new_usd(name, server) / server.gpus
                most[(name, server.gpu)] = max(most.get((name, server.gpu), usd), usd)
        return most

    def _default_rate(self, key: Key) -> Fraction:
        """USD a request by the default rule."""
        own = self._own_rate(self._number[key])
        if own is not None:
            return own
        return self._of_kind.get((key[1], key[2]), self._of_kind.get(None, LAST_RESORT))

    def _own_rate(self, row: int) -> Fraction | None:
        """Three times the row's dearest way, USD a request; None without a way or without requests."""
        case, key, found = self.grid.case, self.grid.keys[row], self.dearest
        requests = case.prices.requests_month(key)
        if not np.isfinite(found.usd[row]) or requests == 0:
            return None
        site, name = found.site[row], found.shape[row]
        service = case.facts.services[key[2]]
        shape = case.facts.shapes[name]
        network = case.network.network_ms(key[0], service, site)
        if network is None:
            return None
        load = case.facts.demand[key].requests_per_s / shape.requests_per_s[service.profile]
        route = case.prices.route_usd(key, site, name, network + shape.ttft_ms[service.profile])
        return TIMES * (route + load * self.replica_usd(site, name)) / requests

    @cached_property
    def _of_kind(self) -> dict[tuple[str, str] | None, Fraction]:
        """The largest default rate of every (model, service), and of the scenario under None."""
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = self.dearest.usd / self.grid.column("requests_month")  # not finite without a way or without requests
        rows: dict[tuple[str, str] | None, int] = {}
        for row in np.argsort(rate, kind="stable"):
            if np.isfinite(rate[row]):
                key = self.grid.keys[row]
                rows[(key[1], key[2])] = rows[None] = int(row)
        return {kind: own for kind, row in rows.items() if (own := self._own_rate(row)) is not None}

    @cached_property
    def _number(self) -> dict[Key, int]:
        return {key: i for i, key in enumerate(self.grid.keys)}
