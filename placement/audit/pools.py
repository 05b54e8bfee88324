"""Demand of one period by who may carry it, in float64 arrays: one pool for each model and owner of servers.

Columns are classes (region, service, residency set), rows are slices: what a site may serve does not depend on the
slice. T slices in the order of the facts' hours, C classes, D shapes of the model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from placement.audit.case import Case
from placement.audit.facts import Key
from placement.audit.prices import KBYTE_PER_GB, SECONDS

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

Member = tuple[str, str, str]
"""A class of a pool: region, service, residency set."""


@dataclass(frozen=True)
class Pool:
    """The classes of one model that one owner's servers carry, and the shapes of the model that are sold."""

    case: Case
    model: str
    tenant: str  # a dedicated tenant, or "" for anybody
    members: tuple[Member, ...]  # C
    rows: Int  # T × C: number of the demand row, -1 where the class asks for nothing
    shapes: tuple[str, ...]  # D

    @cached_property
    def rate(self) -> Float:
        """Design rate, T × C; 0 without a row."""
        return self._of_rows("requests_per_s")

    @cached_property
    def mean_hours(self) -> Float:
        """Mean rate · hours a month, T × C."""
        return self._of_rows("mean_requests_per_s") * self._hours[:, None]

    @cached_property
    def out_mbps(self) -> Float:
        """Mbit/s of answers at the design rate, T × C."""
        return 8 * self.rate * self.of_service("kbyte_out") / 1000

    @cached_property
    def in_mbps(self) -> Float:
        """Mbit/s of requests at the design rate, T × C."""
        return 8 * self.rate * self.of_service("kbyte_in") / 1000

    @cached_property
    def gigabytes(self) -> Float:
        """Answers of a month on the mean rate, T × C."""
        return SECONDS * self.mean_hours * self.of_service("kbyte_out") / KBYTE_PER_GB

    @cached_property
    def usd_per_ms(self) -> Float:
        """What a millisecond of planned latency costs a month, T × C."""
        price = float(self.case.facts.latency_usd_per_million_request_ms)
        return price * SECONDS * self.mean_hours / 10**6

    @cached_property
    def usd_per_late(self) -> Float:
        """What it costs a month where every request misses its latency budget, T × C."""
        return float(self.case.facts.late_usd_per_1000) * SECONDS * self.mean_hours / 1000

    @cached_property
    def ttft_ms(self) -> Float:
        """TTFT of each shape for the class's profile, C × D; NaN where the shape lacks the profile."""
        return self._by_profile("ttft_ms")

    @cached_property
    def capacity(self) -> Float:
        """Requests/s of a replica, C × D; NaN where the shape lacks the profile."""
        return self._by_profile("requests_per_s")

    @cached_property
    def busy_kw(self) -> Float:
        """kW above idle of a busy replica, D."""
        shapes = (self.case.facts.shapes[name] for name in self.shapes)
        return np.array([float(s.gpus * self.case.prices.busy_kw[s.gpu]) for s in shapes], np.float64)

    def of_service(self, figure: str) -> Float:
        """A figure of every class's service, C; inf where it is a limit that is not stated."""
        services = self.case.facts.services
        value = {name: _float(getattr(services[name], figure)) for name in {member[1] for member in self.members}}
        return np.array([value[member[1]] for member in self.members], np.float64)

    def spread(self, of_row: Float) -> Float:
        """A figure of every demand row as T × C; 0 without a row."""
        return np.asarray(np.append(of_row, 0.0)[self.rows], np.float64)

    @cached_property
    def _hours(self) -> Float:
        return np.array([float(hours) for hours in self.case.facts.hours.values()], np.float64)

    def _of_rows(self, figure: str) -> Float:
        found = np.zeros(self.rows.shape)
        demand, hours = self.case.facts.demand, list(self.case.facts.hours)
        for t, c in zip(*np.nonzero(self.rows >= 0), strict=True):
            region, service, _ = self.members[c]
            found[t, c] = getattr(demand[(region, self.model, service, hours[t])], figure)
        return found

    def _by_profile(self, figure: str) -> Float:
        facts = self.case.facts
        wanted = [facts.services[service].profile for _, service, _ in self.members]
        records = [facts.shapes[name] for name in self.shapes]
        absent = float("nan")
        of_profile = {
            name: np.array([float(getattr(shape, figure).get(name, absent)) for shape in records], np.float64)
            for name in set(wanted)
        }
        return np.array([of_profile[name] for name in wanted]).reshape(len(wanted), len(records))


def read_pools(case: Case, keys: Sequence[Key]) -> tuple[Pool, ...]:
    """The pools that hold all demand rows `keys`, by (model, tenant)."""
    facts, number = case.facts, {name: t for t, name in enumerate(case.facts.hours)}
    rows_of: dict[tuple[str, str], dict[Member, dict[int, int]]] = {}
    for i, key in enumerate(keys):
        member = (key[0], key[2], case.residency.set_of(facts, key))
        rows_of.setdefault((key[1], facts.tenant(key)), {}).setdefault(member, {})[number[key[3]]] = i
    return tuple(_pool(case, *kind, rows_of[kind]) for kind in sorted(rows_of))


def _pool(case: Case, model: str, tenant: str, rows_of: Mapping[Member, Mapping[int, int]]) -> Pool:
    facts = case.facts
    sold = {server.gpu for server in facts.servers.values()}
    shapes = tuple(sorted(n for n, s in facts.shapes.items() if s.model == model and s.gpu in sold))
    members = tuple(sorted(rows_of))
    rows = np.full((len(facts.hours), len(members)), -1, np.int64)
    for c, member in enumerate(members):
        for t, i in rows_of[member].items():
            rows[t, c] = i
    return Pool(case, model, tenant, members, rows, shapes)


def _float(value: object) -> float:
    return np.inf if value is None else float(value)  # type: ignore[arg-type]
