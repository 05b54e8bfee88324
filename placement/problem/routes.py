"""Rules 2 and 3: which class may be served at which site on which shape, and at what planned latency."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from functools import cached_property
from typing import Any

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

CELLS = 1 << 22
"""(class, site, shape) that are looked at at a time."""
STEP = 1 << 18
"""Routes at a time: what is worked out between them needs no more memory than this, and stays near the processor."""
CLASS = ["region", "model", "service", "residency"]
"""What routes depend on: those of a class are the same in every slice."""
_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Piece:
    """The routes of some demand rows one behind the other: which of all they are, and of each its row and number."""

    span: slice
    demand: Index
    of: Int  # number among those of the classes


@dataclass(frozen=True)
class Routes:
    """Every admissible (demand row, site, shape): N in all, sorted by (demand, site, shape).

    They are held once for every class of rows, M in all. With `backup` a route may be admissible as one of the two
    only; a mask is None where all routes are. `late` is the chance that a request misses its latency budget there; None
    where it has no price.
    """

    of_row: Int  # I: class
    first: Int  # where the routes of every class begin among M, and the end
    site: Index  # M, as all that follows
    shape: Index
    latency_ms: Float
    primary: Bool | None = None
    backup: Bool | None = None
    late: Float | None = None

    @cached_property
    def row_first(self) -> Int:
        """Where the routes of every row begin among N, and the end, I + 1."""
        return np.concatenate([[0], np.cumsum(np.diff(self.first)[self.of_row])]).astype(np.int64)

    @cached_property
    def demand(self) -> Index:
        """The demand row of every route, N."""
        return np.repeat(np.arange(len(self.of_row), dtype=np.int32), np.diff(self.row_first))

    @property
    def number(self) -> int:
        """N."""
        return int(self.row_first[-1])

    def pieces(self) -> Iterator[Piece]:
        """Some rows' routes at a time."""
        begin = 0
        while begin < len(self.of_row):
            end = int(np.searchsorted(self.row_first, self.row_first[begin] + STEP, "right")) - 1
            end = min(max(end, begin + 1), len(self.of_row))
            span = slice(int(self.row_first[begin]), int(self.row_first[end]))
            back = self.first[self.of_row[begin:end]] - self.row_first[begin:end]
            of = np.arange(span.start, span.stop) + np.repeat(back, np.diff(self.row_first[begin : end + 1]))
            yield Piece(span, self.demand[span], of)
            begin = end

    def spread(self, of_class: NDArray[Any]) -> NDArray[Any]:
        """Figures of the classes' routes (M) as those of all rows', N."""
        found = np.empty(self.number, of_class.dtype)
        for piece in self.pieces():
            found[piece.span] = of_class[piece.of]
        return found


@dataclass(frozen=True)
class Part:
    """The routes of one (service, model) on one shape, M each, sorted by (class, site)."""

    shape: int
    of: Int  # class
    site: Int
    latency_ms: Float
    late: Float | None


@dataclass(frozen=True)
class _Group:
    """The classes of one (service, model), with what of latency does not depend on the shape."""

    service: Row
    model: str
    rows: Int  # G: positions in the frame of rows
    regions: Int  # G: places in the pairs
    network_ms: Float  # G × P: NaN where no latency is known or a limit of the service is broken
    allowed: Bool  # G × P: residency

    def part(self, rows: slice) -> "_Group":
        """Some of its rows."""
        return replace(
            self, rows=self.rows[rows], regions=self.regions[rows], network_ms=self.network_ms[rows],
            allowed=self.allowed[rows],
        )  # fmt: skip


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
    held: Bool | None = None,
) -> Routes:
    """All routes that rules 2 and 3 allow; with `backup` also those that only the backup budget allows (13).

    They are gone through twice, to count and to write: there may be many millions.

    Args:
        demand: the demand rows in the Problem's order, I.
        shapes: the shapes in the Problem's order, D; a class takes those of its owner.
        held: the shapes that a site could hold, P × D; None: all.
    """

    of_row, classes = classes_of(demand)

    def stretches(figures: bool) -> Iterator[_Stretch]:
        return _stretches(scenario, pairs, classes, shapes, tenants, residency, held, backup=backup, figures=figures)

    count, two = np.zeros(len(classes), np.int64), False
    for stretch in stretches(False):
        count[stretch.rows] = stretch.count
        two = two or stretch.primary is not None
    first = np.concatenate([[0], np.cumsum(count)]).astype(np.int64)
    number = int(first[-1])
    found = Routes(
        of_row,
        first,
        np.empty(number, np.int32),
        np.empty(number, np.int32),
        np.empty(number),
        np.ones(number, np.bool_) if two else None,
        np.ones(number, np.bool_) if two else None,
        np.empty(number) if _late_priced(scenario) else None,
    )
    for stretch in stretches(True):
        own = np.cumsum(stretch.count) - stretch.count
        at = np.repeat(first[stretch.rows] - own, stretch.count) + np.arange(len(stretch.site))
        found.site[at], found.shape[at], found.latency_ms[at] = stretch.site, stretch.shape, stretch.latency_ms
        for whole, part in ((found.primary, stretch.primary), (found.backup, stretch.backup)):
            if whole is not None and part is not None:
                whole[at] = part
        if found.late is not None and stretch.late is not None:
            found.late[at] = stretch.late
    return found


def classes_of(demand: pd.DataFrame) -> tuple[Int, pd.DataFrame]:
    """The class of every demand row, I, and the classes, each as the first of its rows."""
    kinds = pd.MultiIndex.from_frame(demand[CLASS])
    return np.asarray(pd.factorize(kinds)[0], np.int64), demand[~np.asarray(kinds.duplicated())]


@dataclass(frozen=True)
class _Stretch:
    """The routes of some rows of one (service, model), M of G rows, sorted by (demand, site, shape)."""

    rows: Int  # G
    count: Int  # G: routes of a row
    site: Int  # M, as all that follows; but for the roles empty where no figures were asked for
    shape: Int
    latency_ms: Float
    primary: Bool | None  # None: both roles, all of them
    backup: Bool | None
    late: Float | None


def _stretches(
    scenario: Scenario,
    pairs: Pairs,
    demand: pd.DataFrame,
    shapes: pd.DataFrame,
    tenants: Tenants,
    residency: Residency,
    held: Bool | None,
    *,
    backup: bool,
    figures: bool,
) -> Iterator[_Stretch]:
    """The routes, some rows of a (service, model) at a time."""
    for group in _groups(scenario, pairs, demand, residency):
        ways = list(_ways(scenario, group, shapes, tenants.of_service[group.service["service"]]))
        step = max(CELLS // max(len(ways) * len(pairs.sites), 1), 1)
        for begin in range(0, len(group.rows) if ways else 0, step):
            some = group.part(slice(begin, begin + step))
            first, second = _roles(some, ways, held, backup=backup)
            either = first if second is None else first | second
            count = either.sum(axis=(1, 2))
            primary = None if second is None else first[either]
            spare = None if second is None else second[either]
            if not figures:
                yield _Stretch(some.rows, count, _NONE, _NONE, np.empty(0), primary, spare, None)
                continue
            member, site, way = np.nonzero(either)
            shape, ttft_ms = (np.array([one[k] for one in ways])[way] for k in range(2))
            late = _late(scenario, pairs, some, member, site, ttft_ms) if _late_priced(scenario) else None
            latency_ms = some.network_ms[member, site] + ttft_ms
            yield _Stretch(some.rows, count, site, shape, latency_ms, primary, spare, late)


def _roles(
    group: "_Group", ways: list[tuple[int, float]], held: Bool | None, *, backup: bool
) -> tuple[Bool, Bool | None]:
    """Where a group's rows may be served, and where backed up, G × P × ways; None where that is the same."""

    def within(budget_ms: float) -> Bool:
        found = np.stack([group.allowed & _within(group.network_ms, ttft_ms, budget_ms) for _, ttft_ms in ways], axis=2)
        return found if held is None else found & held[None, :, [d for d, _ in ways]]

    budget_ms, second_ms = float(group.service["latency_budget_ms"]), backup_budget_ms(group.service)
    return within(budget_ms), within(second_ms) if backup and second_ms != budget_ms else None


def _ways(scenario: Scenario, group: "_Group", shapes: pd.DataFrame, owner: str | None) -> Iterator[tuple[int, float]]:
    """The shapes that serve a group, by number, and their time to first token, ms; those of an `owner` alone."""
    table, names, models = keyed_by_profile(scenario), texts(shapes, "shape"), texts(shapes, "model")
    owners = texts(shapes, "tenant")
    for d, name in enumerate(names):
        row = table.get((name, group.service["profile"]))
        if models[d] == group.model and (owner is None or owners[d] == owner) and row is not None:
            yield d, float(row["ttft_p95_ms"])


def route_parts(
    scenario: Scenario, pairs: Pairs, classes: pd.DataFrame, shapes: pd.DataFrame, *, residency: Residency
) -> Iterator[Part]:
    """The routes of a normal day bit by bit, so that a sum over them needs no memory; every shape is anybody's."""
    for group in _groups(scenario, pairs, classes, residency):
        for d, ttft_ms in _ways(scenario, group, shapes, None):
            here = group.allowed & _within(group.network_ms, ttft_ms, group.service["latency_budget_ms"])
            member, site = np.nonzero(here)
            yield Part(
                shape=d,
                of=group.rows[member],
                site=site,
                latency_ms=group.network_ms[member, site] + ttft_ms,
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


def _late(scenario: Scenario, pairs: Pairs, group: _Group, member: Int, site: Int, ttft_ms: Float | float) -> Float:
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
    last, ms = "", np.empty((0, 0))
    for (service_name, model), member in sorted(members.items()):
        service, rows = services[service_name], np.array(member, np.int64)
        if service_name != last:  # the same for all models of a service
            last, ms = service_name, network_ms(scenario, pairs, service, np.arange(len(pairs.regions)))
        allowed = residency.of_rows(demand.iloc[rows], service)
        regions = region_of_row[rows]
        yield _Group(service, model, rows, regions, ms[regions], allowed)


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
