"""Yesterday's plan as the beginning of today's: its placement and its prices, by name.

What today's problem does not have any more is dropped, and what is new begins without servers and at a cold price, so
that any plan will do. Nothing here is trusted: the search makes the placement fit, and any prices are sound.
"""

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from placement.plan.certificate import SCHEMA, guiding_usd, row_mbps
from placement.plan.document import BILLION
from placement.plan.numbers import Numbers, numbers
from placement.problem import Built, Names
from placement.problem.errors import UnplannableError
from placement.problem.tenants import owners
from placement.scenario import Scenario, previous
from solvers.problem import Problem
from solvers.solution import Backup, Certificate, Covers, Cuts, Multipliers, Placement

Float = NDArray[np.float64]
Int = NDArray[np.int64]

LEAST_FRACTION = 1e-3
"""A cut whose weights are nearer to a whole number of units proves next to nothing, at a price beyond measure."""


class StartError(UnplannableError):
    """The plan to begin with is not there or not readable."""


@dataclass(frozen=True)
class Start:
    """A plan to begin with, in the numbering of today's problem; None for periods that it does not have."""

    placements: tuple[Placement | None, ...]
    prices: tuple[Certificate | None, ...]

    @property
    def whole_plans(self) -> tuple[Placement, ...] | None:
        """The placements, if there is one of every period."""
        known = tuple(plan for plan in self.placements if plan is not None)
        return known if len(known) == len(self.placements) else None


def read_start(folder: Path, scenario: Scenario, built: Built) -> Start:
    """The plan of `folder` as far as the problem of today knows its names.

    Raises:
        StartError: there is no plan, or it cannot be read.
    """
    document, wrong, _ = previous.read_previous(folder.parent, folder.name)
    if document is None:
        raise StartError(f"the plan to begin with, {folder}: {wrong}")
    try:
        table = pq.read_table(folder / "routes.parquet")
        routes = table.filter(table["failure"].is_null()).to_pylist()
        arrays = _arrays(folder / "certificate.npz")
        owner = owners(scenario).of_service
        periods = list(zip(built.rollout.periods, built.names, strict=True))
        known = [_Known(problem, names, numbers(problem, names)) for problem, names in periods]
        placements = tuple(_placement(one, document, routes, owner) for one in known)
        return Start(placements, tuple(_prices(one, arrays) for one in known))
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        raise StartError(f"the plan to begin with, {folder}, cannot be read: {error}") from error


def plan_sha256(folder: Path) -> str:
    """The hash of a plan's document."""
    return hashlib.sha256((folder / "plan.json").read_bytes()).hexdigest()


@dataclass(frozen=True)
class _Known:
    """Today's period: its problem and its names."""

    problem: Problem
    names: Names
    number: Numbers


def _placement(
    known: _Known, document: dict[str, Any], routes: list[dict[str, Any]], owner: dict[str, str]
) -> Placement | None:
    """The placement of the period; None where the plan has no such period."""
    problem, period = known.problem, known.names.period
    told = {row["period"] for row in document["periods"]} or {""}
    if period not in told:
        return None
    servers = _servers(known, [row for row in document["servers"] if (row["period"] or "") == period])
    replicas = np.zeros(problem.blocks, np.int64)
    for row in document["replicas"]:
        if (row["period"] or "") == period:
            key = (row["site"], row["shape"], row["tenant"] or "", row["slice"] or "")
            replicas[known.number.block.get(key, [])] += row["count"]
    parts = _shares(known, [row for row in routes if (row["period"] or "") == period], owner)
    served = np.zeros(problem.demands, np.int64)
    np.add.at(served, problem.pair_demand, parts)
    opened = np.bincount(problem.offer_site, servers, minlength=problem.sites) > 0
    return Placement(opened, servers, replicas, _of_parts(parts), _of_parts(np.maximum(BILLION - served, 0)))


def _of_parts(parts: Int) -> Float:
    """Shares that are rounded down to these parts per billion again."""
    share = parts / BILLION
    return np.where(np.floor(share * BILLION) < parts, np.nextafter(share, np.inf), share)


def _servers(known: _Known, rows: list[dict[str, Any]]) -> Int:
    """Servers as they stood. What was bought then may stand in the fleet now, so the ways are filled in their order."""
    problem, offer = known.problem, known.number.offer
    count: Counter[tuple[str, str, str]] = Counter()
    for row in rows:
        count[row["site"], row["server"], row["tenant"] or ""] += row["count"]
    rented = {(row["site"], row["server"], row["tenant"] or "") for row in rows if row["rented"]}
    servers = np.zeros(problem.offers, np.int64)
    for (site, server, tenant), standing in count.items():
        left = standing
        ways = ("fleet", "rent", "buy") if (site, server, tenant) in rented else ("fleet", "buy", "rent")
        for way in ways:
            n = offer.get((site, server, way, tenant))
            if n is not None:
                servers[n] = min(left, int(problem.offer_max[n]))
                left -= int(servers[n])
    return servers


def _shares(known: _Known, rows: list[dict[str, Any]], owner: dict[str, str]) -> Int:
    """The parts per billion of every pair, N."""
    problem, number = known.problem, known.number
    blocks = max(problem.blocks, 1)
    wanted, ppb = [], []
    for row in rows:
        slice_ = row["slice"] or ""
        i = number.demand.get((row["region"], row["model"], row["service"], slice_))
        place = (row["site"], row["shape"], owner.get(row["service"], ""))
        stands = number.block.get((*place, slice_)) or number.block.get((*place, ""))
        if i is not None and stands:
            wanted.append(i * blocks + stands[0])
            ppb.append(row["share_ppb"])
    keys = np.array(wanted, np.int64)
    key = problem.pair_demand.astype(np.int64) * blocks + problem.pair_block
    at = np.minimum(np.searchsorted(key, keys), max(problem.pairs - 1, 0))
    there = key[at] == keys if problem.pairs else np.zeros(len(keys), np.bool_)
    parts = np.zeros(problem.pairs, np.int64)
    np.add.at(parts, at[there], np.array(ppb, np.int64)[there])
    return parts


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """The certificate's arrays; empty where there is none of this schema."""
    if not path.exists():
        return {}
    with np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in file.files} if str(file["schema"]) == SCHEMA else {}


def _prices(known: _Known, arrays: dict[str, NDArray[Any]]) -> Certificate | None:
    """The prices of a period by today's sizes of its rows, cuts and backups with them; None where there are none."""
    periods = arrays["period"].tolist() if arrays else []
    if known.names.period not in periods:
        return None
    prefix = f"p{periods.index(known.names.period)}_"
    own = {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    row = _rows(known, own)
    times = _times(known, own, row)
    backup, failure = _backup(known, own, row)
    grown = np.concatenate([times, times[own["backup_row"]]])
    cuts, kept = _cuts(known, arrays, own, np.concatenate([row, failure]), grown)
    covers, standing = _covers(own, row, times)
    before = np.concatenate([guiding_usd(own, failures=False), own["backup_usd"]])
    usd = before * grown + _more_for_cuts(own, np.concatenate([row, failure]), grown, kept)
    prices = Multipliers(
        _demand_usd(known, row, usd[: len(row)]),
        _wires(known, arrays, own["uplink_usd"]),
        _wires(known, arrays, own["downlink_usd"]),
        _found(known.names.limits, own["limit"].tolist(), own["limit_usd"]),
        float(own["budget"]),
        own["cut_usd"][kept],
        replace(backup, usd=usd[len(row) :][failure >= 0]),
        own["cover_usd"][standing],
        _job_usd(known, own),
    )
    return Certificate(prices, cuts, covers=covers)


def _job_usd(known: _Known, own: dict[str, NDArray[Any]]) -> Float:
    """What jobs earned; those of today have a price together or none, as a cold start knows them all."""
    then = dict(zip(own["job"].tolist(), own["job_usd"].tolist(), strict=True)) if "job" in own else {}
    if not set(known.names.jobs) <= set(then):
        return np.zeros(0)
    return np.array([then[name] for name in known.names.jobs], np.float64)


def _times(known: _Known, own: dict[str, NDArray[Any]], row: Int) -> Float:
    """How many times as large as then every demand row of the certificate is today, 1 where that is not known.

    What a row is worth is in proportion to it, so yesterday's prices scaled are good prices of today.
    """
    then = own.get("demand_mbps", np.zeros(len(row)))
    now = row_mbps(known.problem)
    both = (row >= 0) & (then > 0)
    times = np.ones(len(row))
    times[both] = now[row[both]] / then[both]
    return np.where(times > 0, times, 1.0)


def _rows(known: _Known, own: dict[str, NDArray[Any]]) -> Int:
    """Today's number of every demand row of the certificate, -1 for those that are gone."""
    columns = (own[f"demand_{name}"].tolist() for name in ("region", "model", "service", "slice"))
    return np.array([known.number.demand.get(key, -1) for key in zip(*columns, strict=True)], np.int64)


def _demand_usd(known: _Known, row: Int, then_usd: Float) -> Float:
    """Prices of the rows; new ones at the price that would just pay for them."""
    from solvers.bound.ascent import cold_start  # noqa: PLC0415  heavy: numba

    usd = cold_start(known.problem).demand_usd.copy()
    usd[row[row >= 0]] = then_usd[row >= 0]
    return np.asarray(np.minimum(usd, known.problem.unserved_usd), np.float64)


def _wires(known: _Known, arrays: dict[str, NDArray[Any]], usd: Float) -> Float:
    """Prices by site and slice, 0 for what is new."""
    sites = {name: number for number, name in enumerate(arrays["site"].tolist())}
    slices = {name: number for number, name in enumerate(arrays["slice"].tolist())}
    p = np.array([sites.get(name, -1) for name in known.names.sites], np.int64)
    t = np.array([slices.get(name, -1) for name in known.names.slices], np.int64)
    known_there = (p >= 0)[:, None] & (t >= 0)[None, :]
    return np.where(known_there, usd[np.ix_(p, t)], 0.0)


def _found(today: tuple[str, ...], then: list[str], usd: Float) -> Float:
    price = dict(zip(then, usd.tolist(), strict=True))
    return np.array([price.get(name, 0.0) for name in today], np.float64)


def _cuts(
    known: _Known, arrays: dict[str, NDArray[Any]], own: dict[str, NDArray[Any]], row: Int, grown: Float
) -> tuple[Cuts, NDArray[np.bool_]]:
    """The cuts without rows and blocks that are gone, and which of them still prove something."""
    count = len(own["cut_unit"])
    block = _blocks(known, arrays, own)
    of_row = np.repeat(np.arange(count), np.diff(own["cut_row_first"]))
    of_block = np.repeat(np.arange(count), np.diff(own["cut_block_first"]))
    rows, blocks = row[own["cut_row"]], block[own["cut_block"]]
    weight = own["cut_weight"] * grown[own["cut_row"]]
    total = np.bincount(of_row, np.where(rows >= 0, weight, 0.0), minlength=count) / own["cut_unit"]
    kept = np.minimum(total % 1.0, 1.0 - total % 1.0) > LEAST_FRACTION
    with_row, with_block = (rows >= 0) & kept[of_row], (blocks >= 0) & kept[of_block]
    cuts = Cuts(
        own["cut_unit"][kept],
        _firsts(of_row[with_row], kept),
        rows[with_row],
        weight[with_row],
        _firsts(of_block[with_block], kept),
        blocks[with_block],
    )
    return cuts, kept


def _more_for_cuts(own: dict[str, NDArray[Any]], row: Int, grown: Float, kept: NDArray[np.bool_]) -> Float:
    """What the rows of the certificate, failures after demand, pay for cuts today beyond their scaled part of then."""
    there = (row >= 0)[own["cut_row"]] & np.repeat(kept, np.diff(own["cut_row_first"]))
    weight = own["cut_weight"] * grown[own["cut_row"]]
    return _paid(own, np.where(there, weight, 0.0), len(row)) - _paid(own, own["cut_weight"], len(row)) * grown


def _paid(own: dict[str, NDArray[Any]], weight: Float, rows: int) -> Float:
    """Σ_c δ_ic of every row at these weights of the cuts' rows (`docs/certificate.md`, C)."""
    count = len(own["cut_unit"])
    cut = np.repeat(np.arange(count), np.diff(own["cut_row_first"]))
    total = np.bincount(cut, weight, minlength=count) / own["cut_unit"]
    each = np.divide(own["cut_usd"], own["cut_unit"] * (total % 1.0), out=np.zeros(count), where=total % 1.0 > 0)
    return np.bincount(own["cut_row"], each[cut] * weight, minlength=rows).astype(np.float64)


def _covers(own: dict[str, NDArray[Any]], row: Int, times: Float) -> tuple[Covers, NDArray[np.bool_]]:
    """The covers without rows that are gone, and which of them still prove something."""
    count = len(own["cover_unit"])
    of_row = np.repeat(np.arange(count), np.diff(own["cover_row_first"]))
    rows = row[own["cover_row"]]
    weight = own["cover_weight"] * times[own["cover_row"]]
    total = np.bincount(of_row, np.where(rows >= 0, weight, 0.0), minlength=count) / own["cover_unit"]
    kept = np.minimum(total % 1.0, 1.0 - total % 1.0) > LEAST_FRACTION
    there = (rows >= 0) & kept[of_row]
    return Covers(own["cover_unit"][kept], _firsts(of_row[there], kept), rows[there], weight[there]), kept


def _firsts(of_cut: Int, kept: NDArray[np.bool_]) -> Int:
    lengths = np.bincount(of_cut, minlength=len(kept))[kept]
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)


def _blocks(known: _Known, arrays: dict[str, NDArray[Any]], own: dict[str, NDArray[Any]]) -> Int:
    """Today's number of every block that the certificate speaks of, -1 for those that are gone."""
    sites, slices = arrays["site"].tolist(), arrays["slice"].tolist()
    told = zip(*(own[f"block_{name}"].tolist() for name in ("site", "shape", "tenant", "slice")), strict=True)
    found = (
        known.number.block.get((sites[p], shape, tenant, "" if t < 0 else slices[t])) for p, shape, tenant, t in told
    )
    return np.array([numbers[0] if numbers else -1 for numbers in found], np.int64)


def _backup(known: _Known, own: dict[str, NDArray[Any]], row: Int) -> tuple[Backup, Int]:
    """The failure rows that are still there, and today's number of each of the certificate's, -1 for those gone."""
    domains = {name: number for number, name in enumerate(known.names.domains)}
    domain = np.array([domains.get(name, -1) for name in own["backup_domain"].tolist()], np.int64)
    rows = row[own["backup_row"]]
    kept = (domain >= 0) & (rows >= 0)
    number = np.where(kept, known.problem.demands + np.cumsum(kept) - 1, -1)
    return Backup(domain[kept], rows[kept], own["backup_usd"][kept]), number
