"""What serving costs by route: energy under load, the way out, priced milliseconds and lateness, carbon."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import floats, keyed, numbered, texts
from placement.problem.carbon import GRAMS, Carbon
from placement.problem.money import MONTH_HOURS, Rates, dynamic_kw_per_gpu
from placement.problem.routes import Piece, Routes, keyed_by_profile
from placement.problem.transit import egress_usd
from placement.scenario import Scenario

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
Some = NDArray[Any]
"""float64, or float32 where there are many."""

Figure = Literal["load", "usd", "tonnes"]

MANY_ROUTES = 20_000_000  # from here on loads and prices are kept in four bytes


def lowered(values: Float) -> NDArray[np.float32]:
    """The largest numbers of four bytes that are not above the values."""
    short = values.astype(np.float32)
    above = short > values
    short[above] = np.nextafter(short[above], np.float32(-np.inf))
    return short


@dataclass(frozen=True)
class Tariff:
    """Figures of a period's rows, sites and shapes, looked up once. F profiles, S services."""

    design: Float  # I: requests/s
    mean: Float  # I
    slice: Int  # I
    profile: Int  # I
    service: Int  # I
    capacity: Float  # D × F: requests/s of a replica; NaN where the shape does not serve the profile
    kw: Float  # D × F: kW of load for one request/s
    pue: Float  # P
    rates: Rates
    out_by_mean: Float  # S × P: USD an hour for one request/s of the mean rate
    out_by_design: Float  # S × P: USD a month for one request/s of the design rate all day
    day: Float  # T: share of the day
    waiting_usd: float  # for a million requests that each wait a millisecond
    late_usd: float  # for a thousand requests that miss their latency budget
    carbon: Carbon | None

    def thousands(self) -> Float:
        """Thousands of mean requests a month, I."""
        return self.mean * 3.6 * self.rates.hours[self.slice]

    def load(self, demand: Int, shape: Int | int) -> Float:
        """(4) replicas that whole rows keep busy, N."""
        return np.asarray(self.design[demand] / self.capacity[shape, self.profile[demand]], np.float64)

    def usd(self, demand: Int, site: Int, shape: Int | int, latency_ms: Float, late: Float | None) -> Float:
        """USD a month of serving whole rows, N; `late` is the chance that a request is, None where it has no price."""
        t, s, mean = self.slice[demand], self.service[demand], self.mean[demand]
        hours = self.rates.hours[t]
        energy = mean * self.kw[shape, self.profile[demand]] * self.pue[site] * self.rates.price[site, t] * hours
        out = mean * hours * self.out_by_mean[s, site] + self.design[demand] * self.out_by_design[s, site] * self.day[t]
        waiting = self.waiting_usd * (mean * 3600 * hours / 1e6) * latency_ms
        usd = energy + out + waiting
        if late is not None:
            usd = usd + self.late_usd * (mean * 3.6 * hours) * late
        if self.carbon is not None and self.carbon.usd_per_tonne > 0:
            usd = usd + self.carbon.usd_per_tonne * self.tonnes(demand, site, shape)
        return np.asarray(usd, np.float64)

    def tonnes(self, demand: Int, site: Int, shape: Int | int) -> Float:
        """(16) tCO2e a month of serving whole rows, N; NaN without figures of carbon."""
        if self.carbon is None:
            return np.full(len(demand), np.nan)
        t = self.slice[demand]
        kwh = self.mean[demand] * self.kw[shape, self.profile[demand]] * self.pue[site] * self.rates.hours[t]
        return np.asarray(kwh * self.carbon.gco2_per_kwh[site, t] / GRAMS, np.float64)

    def of_routes(self, routes: Routes, figure: Figure, kept: Bool | None = None) -> Some:
        """A figure of all routes, or of those `kept`, a piece at a time, N.

        Loads and prices of many routes are kept in four bytes, rounded down, so that bounds stay bounds. Loads lose
        less than what replicas keep free (`solvers.problem.CAPACITY_FACTOR`).
        """
        number = routes.number if kept is None else int(kept.sum())
        short = figure != "tonnes" and number > MANY_ROUTES
        found: Some = np.empty(number, np.float32 if short else np.float64)
        done = 0
        for piece in routes.pieces():
            part = self._piece(routes, figure, piece)
            part = part if kept is None else part[kept[piece.span]]
            found[done : done + len(part)] = lowered(part) if short else part
            done += len(part)
        return found

    def loads(self, routes: Routes) -> Iterator[tuple[Piece, Float]]:
        """(4) the loads of all routes, a piece at a time."""
        return ((piece, self._piece(routes, "load", piece)) for piece in routes.pieces())

    def _piece(self, routes: Routes, figure: Figure, piece: Piece) -> Float:
        demand, site, shape = piece.demand, routes.site[piece.of], routes.shape[piece.of]
        if figure == "load":
            return self.load(demand, shape)
        if figure == "tonnes":
            return self.tonnes(demand, site, shape)
        late = None if routes.late is None else routes.late[piece.of]
        return self.usd(demand, site, shape, routes.latency_ms[piece.of], late)


def tariff(
    scenario: Scenario, demand: pd.DataFrame, shapes: pd.DataFrame, row_slice: Int, rates: Rates, carbon: Carbon | None
) -> Tariff:
    """The figures of a period's `demand` on `shapes`, both in the Problem's order; `row_slice` is of each row."""
    sites, services = scenario.table("sites"), scenario.table("services")
    profiles = sorted(set(texts(services, "profile")))
    number, service = numbered(profiles), numbered(texts(services, "service"))
    of_service = {row["service"]: number[row["profile"]] for row in keyed(services, "service").values()}
    named = texts(demand, "service")
    by_mean, by_design = egress_usd(scenario, floats(services, "kbyte_out"), rates.hours)
    capacity, kw = _capacity(scenario, shapes, profiles)
    return Tariff(
        design=floats(demand, "requests_per_s"),
        mean=floats(demand, "mean_requests_per_s"),
        slice=row_slice,
        profile=np.array([of_service[name] for name in named], np.int64),
        service=np.array([service[name] for name in named], np.int64),
        capacity=capacity,
        kw=kw,
        pue=floats(sites, "pue"),
        rates=rates,
        out_by_mean=by_mean,
        out_by_design=by_design,
        day=rates.hours / MONTH_HOURS,
        waiting_usd=scenario.document.money.latency_usd_per_million_request_ms,
        late_usd=scenario.document.uncertainty.late_usd_per_1000,
        carbon=carbon,
    )


def _capacity(scenario: Scenario, shapes: pd.DataFrame, profiles: list[str]) -> tuple[Float, Float]:
    """A replica's requests/s, and kW of load for one request/s, D × F each; NaN where a profile is not served."""
    dynamic = dynamic_kw_per_gpu(scenario.table("servers"))
    capacity, kw = np.full((len(shapes), len(profiles)), np.nan), np.full((len(shapes), len(profiles)), np.nan)
    table = keyed_by_profile(scenario)
    for d, name in enumerate(texts(shapes, "shape")):
        for f, profile in enumerate(profiles):
            row = table.get((name, profile))
            if row is not None:
                capacity[d, f] = row["requests_per_s"]
                kw[d, f] = dynamic.get(row["gpu"], 0.0) * row["gpus_per_replica"] / row["requests_per_s"]
    return capacity, kw
