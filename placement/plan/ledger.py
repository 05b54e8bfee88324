"""The plan's own figures, summed exactly: money in fractions, percentiles over requests.

`exact(x)` is the decimal that the table's author typed; nothing is rounded before the last line.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import floor

import numpy as np
import pandas as pd

from placement.frames import Row, keyed, records
from placement.plan.document import BILLION, Cost, Latency
from placement.problem.money import energy_usd_per_kwh
from placement.scenario import Scenario

MONTH_HOURS = Fraction(730)
DAY_HOURS = 24


@dataclass(frozen=True)
class Route:
    """A share of a demand row on a shape at a site, with the planned latency of the pair."""

    demand: int  # row of the demand table, in its sorted order
    site: str
    shape: str
    share_ppb: int
    latency_ms: Fraction


@dataclass(frozen=True)
class Left:
    """What is left unserved of a demand row, and what the whole row unserved would cost."""

    demand: int
    share_ppb: int
    penalty_usd: Fraction


@dataclass(frozen=True)
class Standing:
    """Servers of one kind at a site: `count` in all, `new` of them bought."""

    site: str
    server: str
    count: int
    new: int


@lru_cache(maxsize=100_000)
def exact(value: float) -> Fraction:
    """A table's figure as the decimal it was typed as."""
    return Fraction(repr(float(value)))


def cents(value: Fraction) -> float:
    """To the cent, half to even."""
    return float(round(value, 2))


def cents_below(value: float) -> float:
    """The cent at or below: how a bound is told."""
    return floor(Fraction(value) * 100) / 100


class Ledger:
    """The scenario's prices, looked up once, as fractions."""

    def __init__(self, scenario: Scenario, demand: pd.DataFrame) -> None:
        """`demand` in the Problem's order; its columns as in the contract."""
        self._money = scenario.document.money
        self._sites = keyed(scenario.table("sites"), "site")
        self._servers = keyed(scenario.table("servers"), "server")
        self._services = keyed(scenario.table("services"), "service")
        shapes = scenario.table("shapes")
        self._shapes = keyed(shapes.drop_duplicates("shape"), "shape")
        rates = zip(shapes["shape"], shapes["profile"], shapes["requests_per_s"], strict=True)
        self._requests_per_s = {(shape, profile): exact(rate) for shape, profile, rate in rates}
        self._demand = records(demand)
        slices = tuple(sorted(set(demand["slice"])))
        self.hours = _slice_hours(scenario, slices)
        price = energy_usd_per_kwh(scenario, slices)
        self._price = {
            (site, name): exact(price[p, t]) for p, site in enumerate(self._sites) for t, name in enumerate(slices)
        }
        self._dynamic_kw = _dynamic_kw(self._servers.values())

    def requests_month(self, demand: int) -> Fraction:
        """Mean requests a month of a demand row."""
        row = self._demand[demand]
        return exact(row["mean_requests_per_s"]) * 3600 * self.hours[row["slice"]]

    def cost(self, standing: Iterable[Standing], routes: Iterable[Route], left: Iterable[Left]) -> Cost:
        """The plan's cost by kind; the total is rounded from the exact sum, not from the rounded kinds."""
        standing = tuple(standing)
        kinds = {
            "servers": self._bought(standing),
            "support": sum(
                (s.new * _or_zero(self._servers[s.server]["support_usd_month"]) for s in standing), Fraction()
            ),
            "power_space": sum((self._place(s) for s in standing), Fraction()),
            "idle_energy": sum((self._idle(s) for s in standing), Fraction()),
            "open_sites": sum(
                (
                    _or_zero(self._sites[site]["open_usd_month"])
                    for site in sorted({s.site for s in standing if s.count})
                ),
                Fraction(),
            ),
            "unserved": sum((Fraction(u.share_ppb, BILLION) * u.penalty_usd for u in left), Fraction()),
            **self._routed(routes),
        }
        return Cost(**{kind: cents(usd) for kind, usd in kinds.items()}, total=cents(sum(kinds.values(), Fraction())))

    def _bought(self, standing: Iterable[Standing]) -> Fraction:
        return sum((s.new * self._server_month(s.server) for s in standing if s.new), Fraction())

    def _server_month(self, server: str) -> Fraction:
        """Rent, or capex and installation by the capital recovery factor r/(1-(1+r)^-months)."""
        row = self._servers[server]
        if not np.isnan(row["rent_usd_month"]):
            return exact(row["rent_usd_month"])
        rate, months = exact(self._money.wacc) / 12, int(row["months"])
        factor = rate / (1 - (1 + rate) ** -months) if rate else Fraction(1, months)
        return (exact(row["capex_usd"]) + _or_zero(row["install_usd"])) * factor

    def _place(self, s: Standing) -> Fraction:
        return s.count * exact(self._servers[s.server]["power_kw"]) * _or_zero(self._sites[s.site]["usd_per_kw_month"])

    def _idle(self, s: Standing) -> Fraction:
        energy = sum((hours * self._price[s.site, name] for name, hours in self.hours.items()), Fraction())
        return s.count * exact(self._servers[s.server]["idle_kw"]) * exact(self._sites[s.site]["pue"]) * energy

    def _routed(self, routes: Iterable[Route]) -> dict[str, Fraction]:
        """Load energy, egress and priced milliseconds of the routes."""
        load, egress, waiting = Fraction(), Fraction(), Fraction()
        ms_price = exact(self._money.latency_usd_per_million_request_ms)
        for route in routes:
            row, site, shape = self._demand[route.demand], self._sites[route.site], self._shapes[route.shape]
            service = self._services[row["service"]]
            share = Fraction(route.share_ppb, BILLION)
            hours = self.hours[row["slice"]]
            mean = share * exact(row["mean_requests_per_s"])
            busy_kw = (
                mean
                / self._requests_per_s[route.shape, service["profile"]]
                * exact(shape["gpus_per_replica"])
                * self._dynamic_kw[shape["gpu"]]
            )
            load += busy_kw * exact(site["pue"]) * self._price[route.site, row["slice"]] * hours
            kbyte = exact(service["kbyte_out"])
            if np.isnan(site["transit_usd_per_mbps_month"]):
                egress += mean * 3600 * hours * kbyte / 10**6 * exact(site["egress_usd_per_gb"])
            else:
                peak_mbps = share * exact(row["requests_per_s"]) * kbyte * 8 / 1000
                egress += peak_mbps * exact(site["transit_usd_per_mbps_month"])
            waiting += ms_price * mean * 3600 * hours / 10**6 * route.latency_ms
        return {"load_energy": load, "egress": egress, "latency": waiting}

    def served_share(self, left: Iterable[Left]) -> Fraction:
        """Share of a month's mean requests that is served."""
        total = sum((self.requests_month(i) for i in range(len(self._demand))), Fraction())
        lost = sum((Fraction(u.share_ppb, BILLION) * self.requests_month(u.demand) for u in left), Fraction())
        return 1 - lost / total if total else Fraction(1)

    def latency(self, routes: Iterable[Route]) -> Latency:
        """Planned latency over served requests: the least that a share q of them stays within."""
        weighted = sorted(
            (r.latency_ms, Fraction(r.share_ppb, BILLION) * self.requests_month(r.demand)) for r in routes
        )
        total = sum((weight for _, weight in weighted), Fraction())
        if not total:
            return Latency(p50_ms=None, p95_ms=None, p99_ms=None)
        found: dict[str, float] = {}
        for name, share in (
            ("p50_ms", Fraction(50, 100)),
            ("p95_ms", Fraction(95, 100)),
            ("p99_ms", Fraction(99, 100)),
        ):
            running = Fraction()
            for latency_ms, weight in weighted:
                running += weight
                if running >= share * total:
                    found[name] = float(latency_ms)
                    break
        return Latency(**found)


def _or_zero(value: float) -> Fraction:
    """An optional price: absent means that nothing is charged."""
    return Fraction() if np.isnan(value) else exact(value)


def _slice_hours(scenario: Scenario, slices: tuple[str, ...]) -> Mapping[str, Fraction]:
    """Hours a month of each slice."""
    if slices == ("",):
        return {"": MONTH_HOURS}
    table = scenario.table("slices").set_index("slice")["hours_per_day"]
    return {name: MONTH_HOURS * exact(table[name]) / DAY_HOURS for name in slices}


def _dynamic_kw(servers: Iterable[Row]) -> dict[str, Fraction]:
    """kW that a busy GPU draws above idle: the most over the servers of that GPU."""
    found: dict[str, Fraction] = {}
    for row in servers:
        kw = (exact(row["power_kw"]) - exact(row["idle_kw"])) / int(row["gpus"])
        found[row["gpu"]] = max(kw, found.get(row["gpu"], kw))
    return found
