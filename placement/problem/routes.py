"""Rules 2 and 3: which class may be served at which site on which shape, at what load, cost and planned latency."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import Row, floats, keyed, numbered, records, texts
from placement.problem.money import dynamic_kw_per_gpu, egress_usd_per_request_s
from placement.problem.residency import allowed_sites
from placement.scenario import Scenario
from placement.topology.pairs import Pairs

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Routes:
    """Every admissible (demand row, site, shape): N each, sorted by (demand, site, shape)."""

    demand: Int
    site: Int
    shape: Int
    load: Float  # replicas busy if the whole row is served here
    usd: Float  # USD a month if the whole row is served here
    latency_ms: Float


@dataclass(frozen=True)
class Rates:
    """What energy costs and how long slices last: price P × T in USD/kWh, hours T a month."""

    price: Float
    hours: Float


@dataclass(frozen=True)
class _Group:
    """The demand rows of one (service, model), with what of latency does not depend on the shape."""

    service: Row
    model: str
    rows: Int  # G: positions in the demand frame
    network_ms: Float  # G × P: NaN where no latency is known or a limit of the service is broken
    allowed: Bool  # G × P: residency


def admissible_routes(
    scenario: Scenario, pairs: Pairs, demand: pd.DataFrame, row_slice: Int, shapes: tuple[str, ...], rates: Rates
) -> Routes:
    """All pairs that rules 2 and 3 allow.

    Args:
        demand: the demand rows in the Problem's order, I; `row_slice` their slice.
        shapes: shape names in the Problem's order.
    """
    table = scenario.table("shapes")
    number = numbered(shapes)
    dynamic = dynamic_kw_per_gpu(scenario.table("servers"))
    parts = []
    for group in _groups(scenario, pairs, demand):
        serving = table[(table["model"] == group.model) & (table["profile"] == group.service["profile"])]
        for shape in records(serving):
            if shape["shape"] not in number:
                continue
            latency = group.network_ms + shape["ttft_p95_ms"]
            member, site = np.nonzero(group.allowed & _within(group.network_ms, shape["ttft_p95_ms"], group.service))
            row = group.rows[member]
            ms = latency[member, site]
            load = floats(demand, "requests_per_s")[row] / shape["requests_per_s"]
            kw = dynamic.get(shape["gpu"], 0.0) * shape["gpus_per_replica"] / shape["requests_per_s"]
            usd = _route_usd(scenario, demand, rates, group.service, row, row_slice[row], site, kw, ms)
            parts.append((row, site, np.full(len(row), number[shape["shape"]]), load, usd, ms))
    if not parts:
        none, nothing = np.empty(0, np.int64), np.empty(0)
        return Routes(none, none, none, nothing, nothing, nothing)
    row, site, d, load, usd, latency = (np.concatenate(column) for column in zip(*parts, strict=True))
    order = np.lexsort((d, site, row))
    return Routes(row[order], site[order], d[order], load[order], usd[order], latency[order])


def network_ms(scenario: Scenario, pairs: Pairs, service: Row, regions: Int) -> Float:
    """What the network takes of the budget, regions × P, ms: round trips and the request's way up.

    NaN where the pair is not admissible whatever the shape: unknown latency or bandwidth, or too much loss or jitter.
    """
    rtt = pairs.planned_rtt_ms[regions]
    mbps = pairs.mbps[regions]
    with np.errstate(invalid="ignore", divide="ignore"):
        transfer = 8 * service["kbyte_in"] / mbps
    if service["kbyte_in"] <= scenario.document.limits.bandwidth_free_kbyte:
        transfer = np.where(np.isnan(mbps), 0.0, transfer)
    total = service["round_trips"] * rtt + transfer
    for limit, known in ((service["max_loss"], pairs.loss), (service["max_jitter_ms"], pairs.jitter_ms)):
        if not np.isnan(limit):
            total = np.where(known[regions] <= limit, total, np.nan)
    return np.asarray(total, np.float64)


def _groups(scenario: Scenario, pairs: Pairs, demand: pd.DataFrame) -> Iterator[_Group]:
    services = keyed(scenario.table("services"), "service")
    region_number = numbered(pairs.regions)
    region_of_row = np.array([region_number[name] for name in texts(demand, "region")], np.int64)
    kinds = list(zip(texts(demand, "service"), texts(demand, "model"), strict=True))
    members: dict[tuple[str, str], list[int]] = {}
    for i, kind in enumerate(kinds):
        members.setdefault(kind, []).append(i)
    for (service_name, model), member in sorted(members.items()):
        service, rows = services[service_name], np.array(member, np.int64)
        allowed = allowed_sites(scenario, demand.iloc[rows], service)
        yield _Group(service, model, rows, network_ms(scenario, pairs, service, region_of_row[rows]), allowed)


def _within(network: Float, ttft_ms: float, service: Row) -> Bool:
    """Where network + TTFT ≤ budget; sums that floats cannot tell from the budget are compared as fractions."""
    budget = service["latency_budget_ms"]
    total = network + ttft_ms
    with np.errstate(invalid="ignore"):
        inside = np.asarray(total <= budget)
        close = np.abs(total - budget) <= 1e-9 * budget
    for place in zip(*np.nonzero(close), strict=True):
        exact = Fraction(repr(float(network[place]))) + Fraction(repr(float(ttft_ms)))
        inside[place] = exact <= Fraction(repr(float(budget)))
    return inside


def _route_usd(
    scenario: Scenario,
    demand: pd.DataFrame,
    rates: Rates,
    service: Row,
    row: Int,
    row_slice: Int,
    site: Int,
    kw_per_request_s: float,
    latency_ms: Float,
) -> Float:
    """USD a month of serving whole rows at sites: load energy, egress, priced milliseconds."""
    sites = scenario.table("sites")
    mean = floats(demand, "mean_requests_per_s")[row]
    design = floats(demand, "requests_per_s")[row]
    hours = rates.hours[row_slice]
    energy = mean * kw_per_request_s * floats(sites, "pue")[site] * rates.price[site, row_slice] * hours
    by_mean, by_peak = egress_usd_per_request_s(sites, service["kbyte_out"], 1.0)
    millions = mean * 3600 * hours / 1e6
    waiting = scenario.document.money.latency_usd_per_million_request_ms * millions * latency_ms
    return np.asarray(energy + mean * hours * by_mean[site] + design * by_peak[site] + waiting, np.float64)
