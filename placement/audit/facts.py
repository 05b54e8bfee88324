"""The scenario's tables as exact records: every figure the fraction that its decimal spells, absent as None.

A column that has a default in the data dictionary is never absent: the loader has filled it in, and NaN there raises.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import pandas as pd

from placement.audit.exact import exact, known
from placement.scenario import Scenario

MONTH_HOURS = Fraction(730)
QUARTERS = {Fraction(1, 4): 1, Fraction(1, 2): 2, Fraction(1): 4, Fraction(2): 8, Fraction(4): 16, Fraction(8): 32}

Key: TypeAlias = tuple[str, str, str, str]
"""A demand class in a slice: region, model, service, slice."""


@dataclass(frozen=True)
class Site:
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
    power_kw: Fraction
    rack_units: Fraction
    idle_kw: Fraction
    capex_usd: Fraction  # 0 where it is rented and no price of buying is given
    install_usd: Fraction
    support_usd_month: Fraction
    months: Fraction
    rent_usd_month: Fraction | None


@dataclass(frozen=True)
class Facts:
    """All of a scenario that a plan is held against."""

    sites: Mapping[str, Site]
    countries: Mapping[str, str]  # region -> country
    services: Mapping[str, Service]
    demand: Mapping[Key, Demand]
    shapes: Mapping[str, Shape]
    gpus: Mapping[str, Gpu]
    servers: Mapping[str, Server]
    fleet: Mapping[tuple[str, str], int]  # (site, server) -> standing today
    hours: Mapping[str, Fraction]  # slice -> hours a month
    usd_per_kwh: Mapping[tuple[str, str], Fraction]  # (site, slice)
    wacc: Fraction
    latency_usd_per_million_request_ms: Fraction
    bandwidth_free_kbyte: Fraction


def read_facts(scenario: Scenario) -> Facts:
    """The exact records of `scenario`."""
    sites = {row["site"]: _site(row) for row in rows(scenario, "sites")}
    hours = _hours(scenario)
    document = scenario.document
    return Facts(
        sites=sites,
        countries={row["region"]: row["country"] for row in rows(scenario, "regions")},
        services={row["service"]: _service(row) for row in rows(scenario, "services")},
        demand={
            (row["region"], row["model"], row["service"], row["slice"]): _demand(row)
            for row in rows(scenario, "demand")
        },
        shapes=_shapes(scenario),
        gpus={row["gpu"]: Gpu(exact(row["memory_gb"]), exact(row["mig_slices"])) for row in rows(scenario, "gpus")},
        servers={row["server"]: _server(row) for row in rows(scenario, "servers")},
        fleet=_fleet(scenario),
        hours=hours,
        usd_per_kwh=_energy_prices(scenario, tuple(hours)),
        wacc=exact(document.money.wacc),
        latency_usd_per_million_request_ms=exact(document.money.latency_usd_per_million_request_ms),
        bandwidth_free_kbyte=exact(document.limits.bandwidth_free_kbyte),
    )


def rows(scenario: Scenario, table: str) -> Iterator[Mapping[str, Any]]:
    """Rows of a table by column name; none where the scenario has no such table."""
    frame: pd.DataFrame = scenario.table(table)
    names = [str(name) for name in frame.columns]
    for values in zip(*(frame[name].tolist() for name in names), strict=True):
        yield dict(zip(names, values, strict=True))


def _site(row: Mapping[str, Any]) -> Site:
    return Site(
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
        open_usd_month=exact(row["open_usd_month"]),
        usd_per_kw_month=exact(row["usd_per_kw_month"]),
        pue=exact(row["pue"]),
    )


def _service(row: Mapping[str, Any]) -> Service:
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
    )


def _demand(row: Mapping[str, Any]) -> Demand:
    return Demand(exact(row["requests_per_s"]), exact(row["mean_requests_per_s"]), row["residency"])


def _server(row: Mapping[str, Any]) -> Server:
    return Server(
        gpu=row["gpu"],
        gpus=exact(row["gpus"]),
        power_kw=exact(row["power_kw"]),
        rack_units=exact(row["rack_units"]),
        idle_kw=exact(row["idle_kw"]),
        capex_usd=known(row["capex_usd"]) or Fraction(0),
        install_usd=exact(row["install_usd"]),
        support_usd_month=exact(row["support_usd_month"]),
        months=exact(row["months"]),
        rent_usd_month=known(row["rent_usd_month"]),
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


def _hours(scenario: Scenario) -> dict[str, Fraction]:
    """Hours a month of every slice that demand names; the nameless slice is the whole month."""
    of_day = {row["slice"]: exact(row["hours_per_day"]) for row in rows(scenario, "slices")}
    named = sorted({row["slice"] for row in rows(scenario, "demand")})
    return {name: MONTH_HOURS * of_day[name] / 24 if name else MONTH_HOURS for name in named}


def _energy_prices(scenario: Scenario, slices: tuple[str, ...]) -> dict[tuple[str, str], Fraction]:
    """USD per kWh: the row for site and slice, else site, else country and slice, else country, else the site's own."""
    listed: dict[tuple[str, str, str], Fraction] = {}
    for row in rows(scenario, "energy"):
        price = known(row["usd_per_kwh"])
        if price is not None:
            listed[(row["site"], row["country"], row["slice"])] = price
    prices = {}
    for row in rows(scenario, "sites"):
        own = exact(row["usd_per_kwh"])
        for name in slices:
            order = (
                (row["site"], "", name),
                (row["site"], "", ""),
                ("", row["country"], name),
                ("", row["country"], ""),
            )
            prices[(row["site"], name)] = next((listed[key] for key in order if key in listed), own)
    return prices
