"""The blocks of one site as flat pairs: rows, loads and costs, which no leaf of a group changes.

A pair's group is the slice that its load falls into: the T slices of a normal day, then one for every domain and slice
of the failure rows that the block may serve.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from placement.audit.arrays import Float, Int
from placement.audit.backups import Backups
from placement.audit.case import Case
from placement.audit.descriptors import MOST_COUNT
from placement.audit.exact import known
from placement.audit.facts import rows as rows_of
from placement.audit.failures import failing_domains
from placement.audit.grid import SiteRoutes
from placement.audit.pools import Bool
from placement.audit.rows import Rows
from placement.audit.site_value import EPS


@dataclass(frozen=True)
class SiteBlock:
    """A shape of an owner at a site; its n pairs are sorted by group."""

    site: str
    shape: str
    tenant: str
    gpu: str
    model: str
    quarters: int
    row: Int  # n, of the R rows
    load: Float  # n: replicas that the whole row keeps busy
    cost: Float  # n: USD of the whole row at the prices of budget and wires
    group: Int  # n
    slice: Int  # slice of every group
    normal: int  # pairs of a normal day, which come first
    useful: int  # replicas beyond which none can be of use, whatever they earn
    standing_usd: Float  # what 1, 2, … replicas earn by covers, until more earn no more


@dataclass(frozen=True)
class BlockReader:
    """The blocks of every site, at prices of budget and wires."""

    case: Case
    rows: Rows
    backups: Backups
    dearer: float

    def at(self, site: str, uplink: Float, downlink: Float) -> Iterator[SiteBlock]:
        """Blocks that the site could hold and that have some pair, on a normal day or in a failure."""
        primary = list(self.rows.penalties.grid.at(site))
        behind = self.backups.at(site, primary) if not self.backups.none else [None] * len(primary)
        out = self.backups.outside(site)
        serves, backs_up = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for routes, other in zip(primary, behind, strict=True):
            wires = None
            for d, shape in enumerate(routes.pool.shapes):
                if not self.case.hosting.can_hold(site, shape):
                    continue
                here = routes.admissible[:, d]
                there = np.empty(0, np.int64) if other is None else other.classes[other.admissible[:, d]]
                if not here.any() and not len(there):
                    continue
                if wires is None:
                    wires = _wires_usd(routes, uplink, downlink)
                normal = self._normal(routes, d, here, wires[:, here])
                serves.append(normal[0])
                backs_up.append(_asked(routes.pool.rows[:, there]))
                standing = self._standing(routes, d, np.union1d(routes.classes[here], there))
                yield self._block(site, shape, routes, normal, standing, self._failing(standing, out))
        if not self.backups.none:
            self.backups.see(site, np.concatenate(serves), np.concatenate(backs_up))

    def _normal(self, routes: SiteRoutes, d: int, here: Bool, wires: Float) -> tuple[Int, Float, Float, Int]:
        """Rows, loads, costs and slices of the pairs of a normal day."""
        rows = routes.pool.rows[:, routes.classes[here]]
        asked = rows >= 0
        cost = self.dearer * routes.least_usd(d, here) + wires
        return rows[asked], routes.load(d, here)[asked], cost[asked], np.nonzero(asked)[0]

    def _standing(self, routes: SiteRoutes, d: int, classes: Int) -> tuple[Int, Float]:
        """Demand rows of the classes and their loads, where anything is said of failures."""
        if self.backups.none:
            return np.empty(0, np.int64), np.empty(0)
        pool = routes.pool
        rows = pool.rows[:, classes]
        asked = rows >= 0
        load = np.asarray(pool.rate[:, classes] / pool.capacity[classes, d], np.float64)
        return rows[asked], load[asked]

    def _failing(self, standing: tuple[Int, Float], out: Bool) -> tuple[Int, Float, Int, Int]:
        """Failure rows, their loads, and a number and a slice for the group of each; by domain and slice."""
        if not len(self.rows.failed):
            return np.empty(0, np.int64), np.empty(0), np.empty(0, np.int64), np.empty(0, np.int64)
        found, load = self.backups.of(*standing, out)
        slices = len(self.case.facts.hours)
        key = self.rows.domain[found - self.rows.count] * slices + self.rows.slice[self.rows.demand[found]]
        order = np.argsort(key, kind="stable")
        groups, group = np.unique(key[order], return_inverse=True)
        return found[order], load[order], group, groups % slices

    def _block(
        self,
        site: str,
        name: str,
        routes: SiteRoutes,
        normal: tuple[Int, Float, Float, Int],
        standing: tuple[Int, Float],
        failing: tuple[Int, Float, Int, Int],
    ) -> SiteBlock:
        shape, slices = self.case.facts.shapes[name], len(self.case.facts.hours)
        useful = self._useful(site, shape.model, normal)
        fails = any(site in sites for sites in self.rows.domains.values())
        return SiteBlock(
            site=site,
            shape=name,
            tenant=routes.pool.tenant,
            gpu=shape.gpu,
            model=shape.model,
            quarters=shape.quarters,
            row=np.concatenate([normal[0], failing[0]]),
            load=np.concatenate([normal[1], failing[1]]),
            cost=np.concatenate([normal[2], np.zeros(len(failing[0]))]),
            group=np.concatenate([normal[3], slices + failing[2]]),
            slice=np.concatenate([np.arange(slices), failing[3]]),
            normal=len(normal[0]),
            useful=useful,
            standing_usd=self.rows.covers.standing_usd(*standing, self.rows.slice[standing[0]], useful, fails=fails),
        )

    def _useful(self, site: str, model: str, normal: tuple[Int, Float, Float, Int]) -> int:
        """Replicas that all of the block's rows fill in their busiest slice, or that a pin asks of the model there.

        A plan that holds more costs no less than the same plan without them. Under N-1 a row is at a block at most
        once in both roles together, so this holds where the two have the same budget, and is left out elsewhere.
        """
        if self._backs_up_longer:
            return MOST_COUNT
        busy = np.bincount(normal[3], normal[1], 1).max()
        return max(int(np.ceil(busy * (1 + 4 * (len(normal[1]) + 1) * EPS))), self._pinned.get((site, model), 0))

    @cached_property
    def _backs_up_longer(self) -> bool:
        """Whether N-1 is on and a service may be backed up farther away than it is served."""
        services = self.case.facts.services.values()
        return bool(failing_domains(self.case.scenario)) and any(
            service.backup_latency_budget_ms > service.latency_budget_ms for service in services
        )

    @cached_property
    def _pinned(self) -> dict[tuple[str, str], int]:
        """The least replicas that pins ask for, by site and model."""
        found: dict[tuple[str, str], int] = {}
        for row in rows_of(self.case.scenario, "pins"):
            key = row["site"], row["model"]
            found[key] = max(found.get(key, 0), math.ceil(known(row["min_replicas"]) or 0))
        return found


def _wires_usd(routes: SiteRoutes, uplink: Float, downlink: Float) -> Float:
    """Priced Mbit/s of whole rows, T × n."""
    pool, at = routes.pool, routes.classes
    return np.asarray(pool.out_mbps[:, at] * uplink[:, None] + pool.in_mbps[:, at] * downlink[:, None], np.float64)


def _asked(rows: Int) -> Int:
    return np.asarray(rows[rows >= 0], np.int64)
