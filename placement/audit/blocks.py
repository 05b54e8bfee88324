"""The blocks of one site as flat pairs: rows, loads and costs, which no leaf of a group changes.

A pair's group is the slice that its load falls into: the T slices of a normal day, then one for every domain and slice
of the failure rows that the block may serve.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from placement.audit.arrays import Float, Int
from placement.audit.backups import Backups
from placement.audit.case import Case
from placement.audit.descriptors import MOST_COUNT
from placement.audit.exact import known
from placement.audit.facts import rows as rows_of
from placement.audit.failures import failing_domains
from placement.audit.grid import SitePairs, SiteRoutes
from placement.audit.pools import Bool
from placement.audit.rows import Rows
from placement.audit.site_value import EPS

Array = TypeVar("Array", Int, Float)


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
class _Pairs:
    """Pairs of the B blocks of a site, block after block and there group after group."""

    first: Int  # B + 1: the pairs of block b are those from first[b] to first[b + 1]
    row: Int
    load: Float
    group: Int

    def of(self, b: int) -> slice:
        """The pairs of a block."""
        return slice(int(self.first[b]), int(self.first[b + 1]))

    @cached_property
    def block(self) -> Int:
        """The block of every pair."""
        return np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))


@dataclass(frozen=True)
class _Failing(_Pairs):
    """Pairs of failure rows: a block's groups are a domain and slice each."""

    first_group: Int  # B + 1: the groups of block b are those from first_group[b] to first_group[b + 1]
    slice: Int  # of every group

    def slices(self, b: int) -> Int:
        """The slices of the block's groups."""
        return self.slice[self.first_group[b] : self.first_group[b + 1]]


@dataclass(frozen=True)
class BlockReader:
    """The blocks of every site, at prices of budget and wires."""

    case: Case
    rows: Rows
    backups: Backups
    dearer: float

    def at(self, site: str, uplink: Float, downlink: Float) -> list[SiteBlock]:
        """Blocks that the site could hold and that have some pair, on a normal day or in a failure."""
        grid = self.rows.penalties.grid
        primary = grid.hosted(grid.at(site), site)
        may_stand = self._standing(site, primary)
        kinds = np.union1d(primary.kind, may_stand.kind)
        normal, standing = _pairs_of(primary, kinds), _pairs_of(may_stand, kinds)
        failing = self._failing(site, standing)
        cost = self.dearer * primary.least_usd() + primary.wires_usd(uplink, downlink)
        busy = self._busy(normal)
        covers = self._covers(site, standing)
        found = []
        for b, kind in enumerate(kinds.tolist()):
            pool, name = grid.ways.kinds[kind]
            useful = self._useful(site, pool.model, busy[b])
            found.append(self._block(site, pool.tenant, name, (normal, cost, failing), b, useful, covers(b, useful)))
        return found

    def _standing(self, site: str, primary: SiteRoutes) -> SitePairs:
        """All that the site may serve or back up, where anything is said of failures; the backups are told of it."""
        if self.backups.none:
            return SitePairs(primary.ways, np.empty(0, np.int64))
        backup = self.backups.at(site, primary)
        self.backups.see(site, primary.row, backup.row)
        return primary if backup is primary else SitePairs(primary.ways, np.union1d(primary.way, backup.way))

    def _failing(self, site: str, standing: _Pairs) -> _Failing:
        """What the site may serve in failures."""
        blocks, none = len(standing.first), np.empty(0, np.int64)
        if not len(self.rows.failed):
            return _Failing(np.zeros(blocks, np.int64), none, np.empty(0), none, np.zeros(blocks, np.int64), none)
        found, pair = self.backups.of(standing.row, self.backups.outside(site))
        slices = len(self.case.facts.hours)
        size = len(self.rows.domains) * slices
        block, domain = standing.block[pair], self.rows.domain[found - self.rows.count]
        key = block * size + domain * slices + standing.group[pair]
        order = np.argsort(key, kind="stable")
        groups, group = np.unique(key[order], return_inverse=True)
        first = np.searchsorted(block[order], np.arange(blocks))
        first_group = np.searchsorted(groups, np.arange(blocks) * size)
        local = group - first_group[block[order]]
        return _Failing(first, found[order], standing.load[pair[order]], local, first_group, groups % slices)

    def _block(
        self,
        site: str,
        tenant: str,
        name: str,
        pairs: tuple[_Pairs, Float, _Failing],
        b: int,
        useful: int,
        standing_usd: Float,
    ) -> SiteBlock:
        normal, cost, failing = pairs
        shape, slices = self.case.facts.shapes[name], len(self.case.facts.hours)
        of_day, failed = normal.of(b), failing.of(b)
        return SiteBlock(
            site=site,
            shape=name,
            tenant=tenant,
            gpu=shape.gpu,
            model=shape.model,
            quarters=shape.quarters,
            row=_joined(normal.row[of_day], failing.row[failed]),
            load=_joined(normal.load[of_day], failing.load[failed]),
            cost=_joined(cost[of_day], np.zeros(failed.stop - failed.start)),
            group=_joined(normal.group[of_day], slices + failing.group[failed]),
            slice=_joined(np.arange(slices), failing.slices(b)),
            normal=of_day.stop - of_day.start,
            useful=useful,
            standing_usd=standing_usd,
        )

    def _covers(self, site: str, standing: _Pairs) -> Callable[[int, int], Float]:
        """What 1, 2, … replicas of a block earn by covers, by the block and its useful replicas."""
        book, fails = self.rows.covers, bool(len(self.rows.domains_of(site)))
        some = np.zeros(len(standing.first), np.bool_)
        some[standing.block[self._in_cover[standing.row]]] = True

        def of_block(b: int, useful: int) -> Float:
            if not some[b]:
                return np.empty(0)
            at = standing.of(b)
            return book.standing_usd(standing.row[at], standing.load[at], standing.group[at], useful, fails=fails)

        return of_block

    def _busy(self, normal: _Pairs) -> Float:
        """Replicas that all rows of each block keep busy in its busiest slice, rounded up; B."""
        slices, pairs = len(self.case.facts.hours), np.diff(normal.first)
        busy = np.bincount(normal.block * slices + normal.group, normal.load, len(pairs) * slices)
        most = busy.reshape(len(pairs), slices).max(axis=1, initial=0.0)
        return np.asarray(np.ceil(most * (1 + 4 * (pairs + 1) * EPS)), np.float64)

    def _useful(self, site: str, model: str, busy: float) -> int:
        """Replicas that all of the block's rows fill in their busiest slice, or that a pin asks of the model there.

        A plan that holds more costs no less than the same plan without them. Under N-1 a row is at a block at most
        once in both roles together, so this holds where the two have the same budget, and is left out elsewhere.
        """
        return MOST_COUNT if self._backs_up_longer else max(int(busy), self._pinned.get((site, model), 0))

    @cached_property
    def _in_cover(self) -> Bool:
        """Whether a demand row is in any cover, I."""
        return np.diff(self.rows.covers.first) > 0

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


def _joined(first: Array, second: Array) -> Array:
    """The second behind the first, which is not copied where there is no second."""
    return np.concatenate([first, second]) if len(second) else first


def _pairs_of(pairs: SitePairs, kinds: Int) -> _Pairs:
    """The pairs of the blocks of these kinds; groups are slices."""
    first = np.searchsorted(pairs.kind, np.append(kinds, len(pairs.ways.kinds)))
    return _Pairs(first, pairs.row, pairs.load, pairs.slice)
