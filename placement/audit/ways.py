"""Every (class, shape) of one period in flat float64 arrays: what serving needs and costs, wherever it is done.

T slices in the order of the facts' hours; C classes, pool after pool; K kinds, which are the shapes of every pool; W
ways, which are the classes of every kind: kind after kind, so that a way's number tells the order of all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import chain

import numpy as np

from placement.audit.case import Case
from placement.audit.facts import Key, Shape
from placement.audit.pools import Float, Int, Member, Pool, read_pools
from placement.audit.prices import KBYTE_PER_GB, SECONDS


@dataclass(frozen=True)
class Ways:
    """All ways to serve the demand rows of a case; figures of classes are T × C, those of ways W."""

    case: Case
    pools: tuple[Pool, ...]

    @cached_property
    def members(self) -> tuple[Member, ...]:
        """The classes, C."""
        return tuple(chain.from_iterable(pool.members for pool in self.pools))

    @cached_property
    def rows(self) -> Int:
        """Number of the demand row, T × C; -1 where the class asks for nothing."""
        none = np.empty((len(self.case.facts.hours), 0), np.int64)
        return np.concatenate([none, *(pool.rows for pool in self.pools)], axis=1)

    @cached_property
    def kinds(self) -> tuple[tuple[Pool, str], ...]:
        """Pool and shape of every kind, K."""
        return tuple((pool, shape) for pool in self.pools for shape in pool.shapes)

    @cached_property
    def rank(self) -> Int:
        """The number of every kind's shape within its pool, K."""
        return np.array([d for pool in self.pools for d in range(len(pool.shapes))], np.int64)

    @cached_property
    def kind(self) -> Int:
        """The kind of every way."""
        return np.repeat(np.arange(len(self.kinds)), [len(pool.members) for pool, _ in self.kinds])

    @cached_property
    def of_class(self) -> Int:
        """The class of every way."""
        ends = np.cumsum([0, *(len(pool.members) for pool in self.pools)]).tolist()
        parts = [np.arange(*ends[j : j + 2]) for j, pool in enumerate(self.pools) for _ in pool.shapes]
        return np.concatenate([np.empty(0, np.int64), *parts])

    @cached_property
    def rate(self) -> Float:
        """Design rate, T × C; 0 without a row."""
        return self._of_rows("requests_per_s")

    @cached_property
    def mean_hours(self) -> Float:
        """Mean rate · hours a month, T × C."""
        hours = np.array([float(hours) for hours in self.case.facts.hours.values()], np.float64)
        return self._of_rows("mean_requests_per_s") * hours[:, None]

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
        """TTFT of the shape for the class's profile, W; NaN where the shape lacks the profile."""
        return self._by_profile("ttft_ms")

    @cached_property
    def capacity(self) -> Float:
        """Requests/s of a replica, W; NaN where the shape lacks the profile."""
        return self._by_profile("requests_per_s")

    @cached_property
    def kw_per_request(self) -> Float:
        """kW above idle for a request a second, W."""
        busy_kw = self.case.prices.busy_kw
        kw = np.array([float(shape.gpus * busy_kw[shape.gpu]) for shape in self._shapes], np.float64)
        return kw[self.kind] / self.capacity

    def of_service(self, figure: str) -> Float:
        """A figure of every class's service, C; inf where it is a limit that is not stated."""
        services = self.case.facts.services
        value = {name: _float(getattr(services[name], figure)) for name in {member[1] for member in self.members}}
        return np.array([value[member[1]] for member in self.members], np.float64)

    @cached_property
    def _shapes(self) -> list[Shape]:
        """K."""
        return [self.case.facts.shapes[name] for _, name in self.kinds]

    def _of_rows(self, figure: str) -> Float:
        found = np.zeros(self.rows.shape)
        demand, hours = self.case.facts.demand, list(self.case.facts.hours)
        models = list(chain.from_iterable([pool.model] * len(pool.members) for pool in self.pools))
        for t, c in zip(*(at.tolist() for at in np.nonzero(self.rows >= 0)), strict=True):
            region, service, _ = self.members[c]
            found[t, c] = getattr(demand[(region, models[c], service, hours[t])], figure)
        return found

    def _by_profile(self, figure: str) -> Float:
        services = self.case.facts.services
        profiles = {name: n for n, name in enumerate(sorted({services[m[1]].profile for m in self.members}))}
        of_class = np.array([profiles[services[service].profile] for _, service, _ in self.members], np.int64)
        absent = float("nan")
        told = [[float(getattr(shape, figure).get(name, absent)) for name in profiles] for shape in self._shapes]
        figures = np.array(told, np.float64).reshape(len(self._shapes), len(profiles))
        return np.asarray(figures[self.kind, of_class[self.of_class]], np.float64)


def read_ways(case: Case, keys: Sequence[Key]) -> Ways:
    """The ways to serve the demand rows `keys`."""
    return Ways(case, read_pools(case, keys))


def _float(value: Fraction | None) -> float:
    return np.inf if value is None else float(value)
