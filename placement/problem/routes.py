"""Rules 2 and 3: which class may be served at which site on which shape, and at what planned latency."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import Row, keyed, numbered, records, texts
from placement.problem.residency import Residency
from placement.problem.tenants import Tenants
from placement.problem.uncertainty import met_chance, planned_rtt_ms
from placement.scenario import Scenario
from placement.topology.pairs import Pairs
from solvers.problem import Index

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Routes:
    """Every admissible (demand row, site, shape): N each, sorted by (demand, site, shape).

    With `backup` a route may be admissible as one of the two only; a mask is None where all routes are. `late` is the
    chance that a request misses its latency budget there; None where it has no price.
    """

    demand: Index
    site: Index
    shape: Index
    latency_ms: Float
    primary: Bool | None = None
    backup: Bool | None = None
    late: Float | None = None


@dataclass(frozen=True)
class Part:
    """The routes of one (service, model) on one shape, M each, sorted by (demand, site)."""

    shape: int
    demand: Int
    site: Int
    latency_ms: Float
    primary: Bool
    backup: Bool
    late: Float | None


@dataclass(frozen=True)
class _Group:
    """The demand rows of one (service, model), with what of latency does not depend on the shape."""

    service: Row
    model: str
    rows: Int  # G: positions in the demand frame
    regions: Int  # G: places in the pairs
    network_ms: Float  # G × P: NaN where no latency is known or a limit of the service is broken
    allowed: Bool  # G × P: residency


def backup_budget_ms(service: Row) -> float:
    """(13) what a service's requests may take when a domain has failed, ms."""
    own = float(service["backup_latency_budget_ms"])
    return float(service["latency_budget_ms"]) if np.isnan(own) else own


def admissible_routes(
    scenario: Scenario,
    pairs: Pairs,
    demand: pd.DataFrame,
    shapes: pd.DataFrame,
    tenants: Tenants,
    *,
    residency: Residency,
    backup: bool = False,
) -> Routes:
    """All routes that rules 2 and 3 allow; with `backup` also those that only the backup budget allows (13).

    Args:
        demand: the demand rows in the Problem's order, I.
        shapes: the shapes in the Problem's order, D; a class takes those of its owner.
    """
    parts = list(route_parts(scenario, pairs, demand, shapes, tenants, residency=residency, backup=backup))
    if not parts:
        none = np.empty(0, np.int32)
        return Routes(none, none, none, np.empty(0), late=np.empty(0) if _late_priced(scenario) else None)
    site = np.concatenate([part.site for part in parts], dtype=np.int32)
    shape = np.concatenate([np.full(len(part.site), part.shape, np.int32) for part in parts])
    row = np.concatenate([part.demand for part in parts], dtype=np.int32)
    order = np.argsort((row.astype(np.int64) * len(pairs.sites) + site) * len(shapes) + shape, kind="stable")
    latency = np.concatenate([part.latency_ms for part in parts])[order]
    found = Routes(row[order], site[order], shape[order], latency)
    if any(part.primary is not part.backup for part in parts):
        found = replace(
            found,
            primary=np.concatenate([part.primary for part in parts])[order],
            backup=np.concatenate([part.backup for part in parts])[order],
        )
    if _late_priced(scenario):
        found = replace(found, late=np.concatenate([part.late for part in parts if part.late is not None])[order])
    return found


def route_parts(
    scenario: Scenario,
    pairs: Pairs,
    demand: pd.DataFrame,
    shapes: pd.DataFrame,
    tenants: Tenants | None,
    *,
    residency: Residency,
    backup: bool = False,
) -> Iterator[Part]:
    """The routes bit by bit, so that a sum over them needs no memory; without `tenants` every shape is anybody's.

    A part whose two budgets are one has one mask for both.
    """
    table = keyed_by_profile(scenario)
    owner, model = np.array(texts(shapes, "tenant")), np.array(texts(shapes, "model"))
    names = texts(shapes, "shape")
    for group in _groups(scenario, pairs, demand, residency):
        mine = "" if tenants is None else tenants.of_service[group.service["service"]]
        for d in np.flatnonzero((owner == mine) & (model == group.model)).tolist():
            row = table.get((names[d], group.service["profile"]))
            if row is None:
                continue
            ttft_ms = row["ttft_p95_ms"]
            primary = group.allowed & _within(group.network_ms, ttft_ms, group.service["latency_budget_ms"])
            second = primary
            if backup and backup_budget_ms(group.service) != group.service["latency_budget_ms"]:
                second = group.allowed & _within(group.network_ms, ttft_ms, backup_budget_ms(group.service))
            member, site = np.nonzero(primary | second)
            first = primary[member, site]
            yield Part(
                shape=d,
                demand=group.rows[member],
                site=site,
                latency_ms=group.network_ms[member, site] + ttft_ms,
                primary=first,
                backup=first if second is primary else second[member, site],
                late=_late(scenario, pairs, group, member, site, ttft_ms) if _late_priced(scenario) else None,
            )


def keyed_by_profile(scenario: Scenario) -> dict[tuple[str, str], Row]:
    """The rows of the table shapes by (shape, profile)."""
    return {(row["shape"], row["profile"]): row for row in records(scenario.table("shapes"))}


def network_ms(scenario: Scenario, pairs: Pairs, service: Row, regions: Int) -> Float:
    """What the network takes of the budget, regions × P, ms: round trips and the request's way up.

    NaN where the pair is not admissible whatever the shape: unknown latency or bandwidth, or too much loss or jitter.
    """
    rtt = planned_rtt_ms(pairs, scenario.document.uncertainty.percentile, regions)
    total = service["round_trips"] * rtt + transfer_ms(scenario, service, pairs.mbps[regions])
    for limit, known in ((service["max_loss"], pairs.loss), (service["max_jitter_ms"], pairs.jitter_ms)):
        if not np.isnan(limit):
            total = np.where(known[regions] <= limit, total, np.nan)
    return np.asarray(total, np.float64)


def transfer_ms(scenario: Scenario, service: Row, mbps: Float) -> Float:
    """The request's way up at each bandwidth, ms; NaN where that is unknown and would have to be known."""
    with np.errstate(invalid="ignore", divide="ignore"):
        transfer = 8 * service["kbyte_in"] / mbps
    if service["kbyte_in"] <= scenario.document.limits.bandwidth_free_kbyte:
        transfer = np.where(np.isnan(mbps), 0.0, transfer)
    return np.asarray(transfer, np.float64)


def _late_priced(scenario: Scenario) -> bool:
    return bool(scenario.document.uncertainty.late_usd_per_1000)


def _late(scenario: Scenario, pairs: Pairs, group: _Group, member: Int, site: Int, ttft_ms: float) -> Float:
    """The chance that a request misses its latency budget, for each (member of the group, site)."""
    service, region = group.service, group.regions[member]
    rest_ms = transfer_ms(scenario, service, pairs.mbps[region, site]) + ttft_ms
    return 1 - met_chance(pairs, region, site, service["latency_budget_ms"], rest_ms, service["round_trips"])


def _groups(scenario: Scenario, pairs: Pairs, demand: pd.DataFrame, residency: Residency) -> Iterator[_Group]:
    services = keyed(scenario.table("services"), "service")
    region_number = numbered(pairs.regions)
    region_of_row = np.array([region_number[name] for name in texts(demand, "region")], np.int64)
    kinds = list(zip(texts(demand, "service"), texts(demand, "model"), strict=True))
    members: dict[tuple[str, str], list[int]] = {}
    for i, kind in enumerate(kinds):
        members.setdefault(kind, []).append(i)
    for (service_name, model), member in sorted(members.items()):
        service, rows = services[service_name], np.array(member, np.int64)
        allowed = residency.of_rows(demand.iloc[rows], service)
        regions = region_of_row[rows]
        yield _Group(service, model, rows, regions, network_ms(scenario, pairs, service, regions), allowed)


def _within(network: Float, ttft_ms: float, budget: float) -> Bool:
    """Where network + TTFT ≤ budget; sums that floats cannot tell from the budget are compared as fractions."""
    total = network + ttft_ms
    with np.errstate(invalid="ignore"):
        inside = np.asarray(total <= budget)
        close = np.abs(total - budget) <= 1e-9 * budget
    for place in zip(*np.nonzero(close), strict=True):
        exact = Fraction(repr(float(network[place]))) + Fraction(repr(float(ttft_ms)))
        inside[place] = exact <= Fraction(repr(float(budget)))
    return inside
