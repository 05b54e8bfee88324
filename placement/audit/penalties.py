"""What leaving demand unserved costs, and C0: the penalties of the classes that no site could serve.

A service's own `unserved_usd_per_1000`, else three times the dearest way to serve the row, in every period by the
period's own rows. A way is an admissible route of the row to a site of a kind where a server of the shape's GPU may
stand (`stands_at`), whether or not it fits there. It costs the route (load energy, its priced carbon, egress by the GB
or by mean transit, priced milliseconds and lateness), where a peak is billed (peak, p95) the row's own Mbit/s at that
price, and the GPUs it keeps busy, at the price per GPU of the dearest of those servers, new in any way that the tables
offer (buy, rent; with support, place, idle energy, priced carbon). A row without any way takes the largest such rate
per request of its (model, service), else of the period, else 1 USD per 1000. Arrays find the dearest way; its price is
then summed exactly.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from placement.audit.facts import Key
from placement.audit.grid import Grid, SiteRoutes
from placement.audit.pools import Bool, Float, Int

TIMES = 3
LAST_RESORT = Fraction(1, 1000)  # USD a request
ROUNDING = 64 * float(np.finfo(np.float64).eps)
"""A penalty in floats is a sum of products of a few figures, all ≥ 0: it loses less than this share of itself."""


@dataclass(frozen=True)
class Dearest:
    """Over all sites and shapes: the dearest way to serve each row, I each."""

    usd: Float  # -inf without a way
    site: Int  # number in the grid's sites
    shape: Int  # number in the shapes of the row's pool


@dataclass(frozen=True)
class Penalties:
    """USD a month of leaving demand rows of one period whole unserved."""

    grid: Grid

    def usd(self, key: Key) -> Fraction:
        """The exact penalty of one demand row."""
        case = self.grid.case
        given = case.facts.services[key[2]].unserved_usd_per_1000
        requests = case.prices.requests_month(key)
        return requests * (given / 1000 if given is not None else self._default_rate(key))

    @cached_property
    def least_usd(self) -> Float:
        """The penalty of every demand row, I, rounded down by more than it may have lost.

        0 by the default rule where there is no way to serve the row: it is not priced then, but part of C0.
        """
        services = self.grid.case.facts.services
        given = [services[key[2]].unserved_usd_per_1000 for key in self.grid.keys]
        stated = np.array([np.nan if usd is None else float(usd) / 1000 for usd in given], np.float64)
        unstated = np.isnan(stated)
        found = self._requests * np.where(unstated, 0.0, stated)
        if unstated.any():
            own = unstated & np.isfinite(self.dearest.usd) & (self._requests > 0)
            found[own] = TIMES * self.dearest.usd[own]
        return np.asarray(found * (1 - ROUNDING), np.float64)

    @cached_property
    def constant_usd(self) -> Fraction:
        """C0 of the period."""
        return self.total(key for key, can in zip(self.grid.keys, self.servable, strict=True) if not can)

    def total(self, keys: Iterable[Key]) -> Fraction:
        """The penalties of the rows together."""
        return sum((self.usd(key) for key in keys), Fraction(0))

    @property
    def servable(self) -> Bool:
        """Whether some admissible route ends where its shape could stand, I."""
        return self._surveyed[0]

    @property
    def dearest(self) -> Dearest:
        """The dearest way to serve each row."""
        return self._surveyed[1]

    @cached_property
    def _surveyed(self) -> tuple[Bool, Dearest]:
        """One pass over all routes."""
        size = len(self.grid.keys) + 1  # the last is where -1 points: no row
        servable = np.zeros(size, np.bool_)
        found = Dearest(np.full(size, -np.inf), np.full(size, -1, np.int64), np.full(size, -1, np.int64))
        for p, site in enumerate(self.grid.sites):
            routes = self.grid.at(site)
            servable[self.grid.hosted(routes, site).row] = True
            self._see(found, p, site, routes)
        return servable[:-1], Dearest(found.usd[:-1], found.site[:-1], found.shape[:-1])

    def _see(self, found: Dearest, p: int, site: str, routes: SiteRoutes) -> None:
        """The routes to one site, of every pool one shape after another: a row is on a shape once."""
        replica = self._replicas_usd(site)
        usd = routes.alone_usd() + routes.load * replica[routes.kind]
        rank = routes.ways.rank[routes.kind]
        for d in range(int(rank.max(initial=-1)) + 1):
            at = np.flatnonzero(rank == d)
            at = at[usd[at] > found.usd[routes.row[at]]]  # never where no server of the GPU may stand: that is NaN
            rows = routes.row[at]
            found.usd[rows], found.site[rows], found.shape[rows] = usd[at], p, d

    def _replicas_usd(self, site: str) -> Float:
        """A replica's GPUs at the price per GPU of the dearest server of their kind, K; NaN where none may stand."""
        usd = {name: self._replica_usd(site, name) for name in {name for _, name in self.grid.ways.kinds}}
        known = {name: np.nan if of is None else float(of) for name, of in usd.items()}
        return np.array([known[name] for _, name in self.grid.ways.kinds], np.float64)

    def _replica_usd(self, site: str, shape_name: str) -> Fraction | None:
        """A replica's GPUs at the price per GPU of the dearest server of their kind; None where none may stand."""
        shape = self.grid.case.facts.shapes[shape_name]
        usd = self._usd_per_gpu.get((site, shape.gpu))
        return None if usd is None else shape.gpus * usd

    @cached_property
    def _usd_per_gpu(self) -> dict[tuple[str, str], Fraction]:
        """By site and GPU: the dearest server that may stand at a site of its kind, new in its dearest way."""
        facts, prices = self.grid.case.facts, self.grid.case.prices
        most: dict[tuple[str, str], Fraction] = {}
        for name, site in facts.sites.items():
            for server in facts.servers.values():
                if server.stands_at not in (site.kind, "any"):
                    continue
                for way in server.new_ways:
                    usd = prices.held_usd(name, server, way) / server.gpus
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
        site, name = (
            self.grid.sites[found.site[row]],
            self._pool_shapes[(key[1], case.facts.tenant(key))][found.shape[row]],
        )
        service = case.facts.services[key[2]]
        shape = case.facts.shapes[name]
        network, replica = case.network.network_ms(key[0], service, site), self._replica_usd(site, name)
        if network is None or replica is None:
            return None
        load = case.facts.demand[key].requests_per_s / shape.requests_per_s[service.profile]
        ttft = shape.ttft_ms[service.profile]
        late = 1 - case.network.met(key[0], service, site, ttft)
        route = case.prices.route_usd(key, site, name, network + ttft, late)
        return TIMES * (route + case.prices.peak_usd(key, site) + load * replica) / requests

    @cached_property
    def _of_kind(self) -> dict[tuple[str, str] | None, Fraction]:
        """The largest default rate of every (model, service), and of the period under None."""
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = self.dearest.usd / self._requests  # not finite without a way or without requests
        rows: dict[tuple[str, str] | None, int] = {}
        for row in np.argsort(rate, kind="stable"):
            if np.isfinite(rate[row]):
                key = self.grid.keys[row]
                rows[(key[1], key[2])] = rows[None] = int(row)
        return {kind: own for kind, row in rows.items() if (own := self._own_rate(row)) is not None}

    @cached_property
    def _requests(self) -> Float:
        """Mean requests a month of every row, I."""
        prices = self.grid.case.prices
        return np.array([float(prices.requests_month(key)) for key in self.grid.keys], np.float64)

    @cached_property
    def _number(self) -> dict[Key, int]:
        return {key: i for i, key in enumerate(self.grid.keys)}

    @cached_property
    def _pool_shapes(self) -> dict[tuple[str, str], tuple[str, ...]]:
        return {(pool.model, pool.tenant): pool.shapes for pool in self.grid.ways.pools}
