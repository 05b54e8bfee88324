"""The scenario's tables as exact records: every figure the fraction that its decimal spells, absent as None.

A column that has a default in the data dictionary is never absent: the loader has filled it in, and NaN there raises.
`Facts` are those of one period: only its demand differs from that of the others.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any, Literal, TypeAlias

import pandas as pd

from placement.audit.exact import Counted, counted, exact, known
from placement.scenario import Scenario

MONTH_HOURS = Fraction(730)
QUARTERS = {Fraction(1, 4): 1, Fraction(1, 2): 2, Fraction(1): 4, Fraction(2): 8, Fraction(4): 16, Fraction(8): 32}

Key: TypeAlias = tuple[str, str, str, str]
"""A demand class in a slice: region, model, service, slice."""

Way: TypeAlias = Literal["fleet", "buy", "rent"]
"""How a server is held: it stood there before, it is bought, it is rented."""


@dataclass(frozen=True)
class Site:
    kind: str  # edge or cloud
    country: str
    vendor: str
    delivery_group: str
    power_kw: Fraction
    rack_units: Fraction
    max_kw_per_rack: Fraction | None
    uplink_mbps: Fraction | None
    downlink_mbps: Fraction | None
    egress_usd_per_gb: Fraction
    transit_usd_per_mbps_month: Fraction | None
    transit_billing: str  # peak, p95 or mean
    open_usd_month: Fraction
    usd_per_kw_month: Fraction
    pue: Fraction

    @property
    def usable_kw(self) -> Fraction:
        """IT kW that servers may draw: the site's, or what its racks of 42 units can cool."""
        if self.max_kw_per_rack is None:
            return self.power_kw
        return min(self.power_kw, self.max_kw_per_rack * self.rack_units / 42)


@dataclass(frozen=True)
class Service:
    profile: str
    latency_budget_ms: Fraction
    kbyte_in: Fraction
    kbyte_out: Fraction
    round_trips: Fraction
    max_loss: Fraction | None
    max_jitter_ms: Fraction | None
    residency: str
    unserved_usd_per_1000: Fraction | None
    dedicated: str  # the tenant whose replicas share no server with others; "" where they may
    backup_latency_budget_ms: Fraction
    min_share: Fraction | None
    max_sites: Fraction | None
    revenue_usd_per_1000: Fraction | None


@dataclass(frozen=True)
class Demand:
    requests_per_s: Fraction
    mean_requests_per_s: Fraction
    residency: str


@dataclass(frozen=True)
class Shape:
    model: str
    gpu: str
    gpus: Fraction
    memory_gb: Fraction
    weights_gb: Fraction
    requests_per_s: Mapping[str, Fraction]  # by profile
    ttft_ms: Mapping[str, Fraction]  # by profile

    @property
    def quarters(self) -> int:
        """GPUs of a replica, counted in quarters; 0 for a size that does not exist."""
        return QUARTERS.get(self.gpus, 0)


@dataclass(frozen=True)
class Gpu:
    memory_gb: Fraction
    mig_slices: Fraction


@dataclass(frozen=True)
class Server:
    gpu: str
    gpus: Fraction
    dpus: int
    stands_at: str  # edge, cloud or any
    power_kw: Fraction
    rack_units: Fraction
    idle_kw: Fraction
    capex_usd: Fraction | None  # None: it cannot be bought
    install_usd: Fraction
    support_usd_month: Fraction
    months: Fraction
    rent_usd_month: Fraction | None  # None: it cannot be rented
    embodied_kgco2e: Fraction | None

    @property
    def new_ways(self) -> tuple[Way, ...]:
        """How one more of it can be had."""
        prices: tuple[tuple[Way, Fraction | None], ...] = (("buy", self.capex_usd), ("rent", self.rent_usd_month))
        return tuple(way for way, usd in prices if usd is not None)


@dataclass(frozen=True)
class Facts:
    """What a plan of one period is held against."""

    sites: Mapping[str, Site]
    countries: Mapping[str, str]  # region -> country
    services: Mapping[str, Service]
    demand: Mapping[Key, Demand]  # of the period
    shapes: Mapping[str, Shape]
    gpus: Mapping[str, Gpu]
    servers: Mapping[str, Server]
    fleet: Mapping[tuple[str, str], int]  # (site, server) -> standing today
    hours: Mapping[str, Fraction]  # slice -> hours a month
    day: tuple[str, ...]  # the slices in the order of the day
    usd_per_kwh: Mapping[tuple[str, str], Fraction]  # (site, slice)
    gco2_per_kwh: Mapping[tuple[str, str], Fraction | None]  # (site, slice); None where nothing is said
    wacc: Fraction
    latency_usd_per_million_request_ms: Fraction
    percentile: Fraction | None  # an inferred pair is planned with that of its interval; None: with its upper end
    late_usd_per_1000: Fraction
    bandwidth_free_kbyte: Fraction
    usd_per_tco2e: Fraction | None  # what carbon costs; None: nothing
    replicas_follow_slices: bool

    @cached_property
    def tenants(self) -> tuple[str, ...]:
        """Owners of servers: anybody (""), and every tenant with servers of its own."""
        return tuple(sorted({"", *(service.dedicated for service in self.services.values())}))

    @cached_property
    def rates(self) -> Counted[Key]:
        """Design rates of the demand, requests/s."""
        return counted({key: row.requests_per_s for key, row in self.demand.items()})

    @cached_property
    def mean_rates(self) -> Counted[Key]:
        """Mean rates of the demand, requests/s."""
        return counted({key: row.mean_requests_per_s for key, row in self.demand.items()})

    def tenant(self, key: Key) -> str:
        """Whose servers alone may serve the class; "" where anybody's may."""
        return self.services[key[2]].dedicated


def read_facts(scenario: Scenario, periods: Sequence[str]) -> tuple[Facts, ...]:
    """The exact records of `scenario`, once with the demand of each period."""
    demand: dict[str, dict[Key, Demand]] = {name: {} for name in periods}
    for row in rows(scenario, "demand"):
        of_period = demand.setdefault(row["period"], {})
        of_period[(row["region"], row["model"], row["service"], row["slice"])] = _demand(row)
    first = _first_facts(scenario, demand[periods[0]])
    return (first, *(replace(first, demand=demand[name]) for name in periods[1:]))


def _first_facts(scenario: Scenario, demand: Mapping[Key, Demand]) -> Facts:
    sites = {row["site"]: _site(row) for row in rows(scenario, "sites")}
    hours = _hours(scenario)
    document = scenario.document
    return Facts(
        sites=sites,
        countries={row["region"]: row["country"] for row in rows(scenario, "regions")},
        services={row["service"]: _service(row) for row in rows(scenario, "services")},
        demand=demand,
        shapes=_shapes(scenario),
        gpus={row["gpu"]: Gpu(exact(row["memory_gb"]), exact(row["mig_slices"])) for row in rows(scenario, "gpus")},
        servers={row["server"]: _server(row) for row in rows(scenario, "servers")},
        fleet=_fleet(scenario),
        hours=hours,
        day=_day(scenario, tuple(hours)),
        usd_per_kwh={at: usd for at, usd in _energy_figures(scenario, "usd_per_kwh", tuple(hours)) if usd is not None},
        gco2_per_kwh=dict(_energy_figures(scenario, "gco2_per_kwh", tuple(hours))),
        wacc=exact(document.money.wacc),
        latency_usd_per_million_request_ms=exact(document.money.latency_usd_per_million_request_ms),
        percentile=_maybe(document.uncertainty.percentile),
        late_usd_per_1000=exact(document.uncertainty.late_usd_per_1000),
        bandwidth_free_kbyte=exact(document.limits.bandwidth_free_kbyte),
        usd_per_tco2e=_maybe(document.objective.usd_per_tco2e),
        replicas_follow_slices=document.limits.replicas_follow_slices,
    )


def rows(scenario: Scenario, table: str) -> Iterator[Mapping[str, Any]]:
    """Rows of a table by column name; none where the scenario has no such table."""
    frame: pd.DataFrame = scenario.table(table)
    names = [str(name) for name in frame.columns]
    for values in zip(*(frame[name].tolist() for name in names), strict=True):
        yield dict(zip(names, values, strict=True))


def _site(row: Mapping[str, Any]) -> Site:
    return Site(
        kind=row["kind"],
        country=row["country"],
        vendor=row["vendor_jurisdiction"],
        delivery_group=row["delivery_group"],
        power_kw=exact(row["power_kw"]),
        rack_units=exact(row["rack_units"]),
        max_kw_per_rack=known(row["max_kw_per_rack"]),
        uplink_mbps=known(row["uplink_mbps"]),
        downlink_mbps=known(row["downlink_mbps"]),
        egress_usd_per_gb=exact(row["egress_usd_per_gb"]),
        transit_usd_per_mbps_month=known(row["transit_usd_per_mbps_month"]),
        transit_billing=row["transit_billing"],
        open_usd_month=exact(row["open_usd_month"]),
        usd_per_kw_month=exact(row["usd_per_kw_month"]),
        pue=exact(row["pue"]),
    )


def _service(row: Mapping[str, Any]) -> Service:
    backup_ms = known(row["backup_latency_budget_ms"])
    return Service(
        profile=row["profile"],
        latency_budget_ms=exact(row["latency_budget_ms"]),
        kbyte_in=exact(row["kbyte_in"]),
        kbyte_out=exact(row["kbyte_out"]),
        round_trips=exact(row["round_trips"]),
        max_loss=known(row["max_loss"]),
        max_jitter_ms=known(row["max_jitter_ms"]),
        residency=row["residency"],
        unserved_usd_per_1000=known(row["unserved_usd_per_1000"]),
        dedicated=row["tenant"] if row["dedicated"] == "yes" else "",
        backup_latency_budget_ms=exact(row["latency_budget_ms"]) if backup_ms is None else backup_ms,
        min_share=known(row["min_share"]),
        max_sites=known(row["max_sites"]),
        revenue_usd_per_1000=known(row["revenue_usd_per_1000"]),
    )


def _demand(row: Mapping[str, Any]) -> Demand:
    return Demand(exact(row["requests_per_s"]), exact(row["mean_requests_per_s"]), row["residency"])


def _server(row: Mapping[str, Any]) -> Server:
    return Server(
        gpu=row["gpu"],
        gpus=exact(row["gpus"]),
        dpus=int(row["dpus"]),
        stands_at=row["stands_at"],
        power_kw=exact(row["power_kw"]),
        rack_units=exact(row["rack_units"]),
        idle_kw=exact(row["idle_kw"]),
        capex_usd=known(row["capex_usd"]),
        install_usd=exact(row["install_usd"]),
        support_usd_month=exact(row["support_usd_month"]),
        months=exact(row["months"]),
        rent_usd_month=known(row["rent_usd_month"]),
        embodied_kgco2e=known(row["embodied_kgco2e"]),
    )


def _shapes(scenario: Scenario) -> dict[str, Shape]:
    """One record per shape over its rows, one row per profile."""
    found: dict[str, Shape] = {}
    for row in rows(scenario, "shapes"):
        before = found.get(row["shape"])
        rate, ttft = exact(row["requests_per_s"]), exact(row["ttft_p95_ms"])
        found[row["shape"]] = Shape(
            model=row["model"],
            gpu=row["gpu"],
            gpus=exact(row["gpus_per_replica"]),
            memory_gb=exact(row["memory_gb"]),
            weights_gb=exact(row["weights_gb"]),
            requests_per_s={**(before.requests_per_s if before else {}), row["profile"]: rate},
            ttft_ms={**(before.ttft_ms if before else {}), row["profile"]: ttft},
        )
    return found


def _fleet(scenario: Scenario) -> dict[tuple[str, str], int]:
    return {(row["site"], row["server"]): int(row["count"]) for row in rows(scenario, "fleet")}


def _maybe(value: float | None) -> Fraction | None:
    return None if value is None else exact(value)


def _hours(scenario: Scenario) -> dict[str, Fraction]:
    """Hours a month of every slice that demand names; the nameless slice is the whole month."""
    of_day = {row["slice"]: exact(row["hours_per_day"]) for row in rows(scenario, "slices")}
    named = sorted({row["slice"] for row in rows(scenario, "demand")})
    return {name: MONTH_HOURS * of_day[name] / 24 if name else MONTH_HOURS for name in named}


def _day(scenario: Scenario, named: tuple[str, ...]) -> tuple[str, ...]:
    """The slices by the hour at which they begin."""
    begins = {row["slice"]: row["start_utc"] for row in rows(scenario, "slices")}
    return tuple(sorted(named, key=lambda name: (begins.get(name, ""), name)))


def _energy_figures(
    scenario: Scenario, column: str, slices: tuple[str, ...]
) -> Iterator[tuple[tuple[str, str], Fraction | None]]:
    """A figure of energy: by site and slice, by site, by country and slice, by country, else the site's own."""
    listed: dict[tuple[str, str, str], Fraction] = {}
    for row in rows(scenario, "energy"):
        figure = known(row[column])
        if figure is not None:
            listed[(row["site"], row["country"], row["slice"])] = figure
    for row in rows(scenario, "sites"):
        own = known(row[column])
        for name in slices:
            order = (
                (row["site"], "", name),
                (row["site"], "", ""),
                ("", row["country"], name),
                ("", row["country"], ""),
            )
            yield (row["site"], name), next((listed[key] for key in order if key in listed), own)
