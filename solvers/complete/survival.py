"""The reserve of a plan (13): whether its survivors can take what every domain loses, and the backup routes."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from solvers.complete.draft import Draft
from solvers.complete.outage import Field, Loss, Room, Route, Ways, begin, collect_ways, eject, fill, lose
from solvers.problem import Float, Int, Problem
from solvers.rules import Reserve

ANY = np.zeros(0)
EJECTIONS = 20_000
"""Entries looked at, per domain, to make room for rows that found none."""


@dataclass(frozen=True)
class Backup:
    """Who takes what when a domain fails: backup pairs and the share of their row."""

    pair: Int
    share: Float


NOTHING = Backup(np.zeros(0, np.int64), np.zeros(0))


class Survival:
    """Routes of every domain over the room that a draft's primaries leave; `renew` after the draft has changed."""

    def __init__(self, draft: Draft, reserve: Reserve) -> None:
        problem = draft.problem
        self.draft, self.reserve = draft, reserve
        self.slices = max(problem.slices, 1)
        self.field = _field(problem, reserve)
        cells = problem.blocks * self.slices
        entries = problem.demands + cells + EJECTIONS + 16
        self.route = Route(
            np.zeros(problem.demands, np.int64), np.zeros(problem.demands), np.zeros(entries, np.int64),
            np.zeros(entries), np.zeros(entries, np.int64), np.full(cells, -1, np.int64), np.zeros(cells),
            np.zeros(problem.demands), np.zeros(2, np.int64),
        )  # fmt: skip
        nothing = np.zeros(problem.demands, np.int64)
        self.now = Ways(nothing, nothing.copy(), np.zeros(reserve.pairs, np.int32))
        self.known = np.zeros(problem.blocks, np.bool_)  # blocks that `standing` counts on
        self.standing = Ways(nothing, nothing, np.zeros(0, np.int32))
        self.backups = [NOTHING] * reserve.domains
        self.worth = _worth(problem, reserve)
        self.renew()

    def renew(self) -> None:
        """Count the primaries anew."""
        problem, draft = self.draft.problem, self.draft
        used = np.flatnonzero(draft.share > 0)
        row, block = problem.pair_demand[used], problem.pair_block[used]
        share, slice_ = draft.share[used], problem.demand_slice[row]
        site = problem.block_site[block]
        order = np.argsort(site, kind="stable")
        first = np.searchsorted(site[order], np.arange(problem.sites + 1))
        self.loss = Loss(first.astype(np.int64), row[order], share[order])
        self.busy = np.bincount(block, minlength=problem.blocks) > 0
        self.primary = np.zeros((problem.blocks, self.slices))
        np.add.at(self.primary, (block, slice_), problem.pair_load[used] * share)
        links = []
        for mbps, most in ((problem.out_mbps, problem.uplink_mbps), (problem.in_mbps, problem.downlink_mbps)):
            flow = np.zeros((problem.sites, self.slices))
            np.add.at(flow, (site, slice_), mbps[row] * share)
            links.append(most[:, None] - flow)
        load = problem.capacity_factor * draft.replicas[:, None] - self.primary
        up, down = links
        self.room = Room(draft.replicas, load, load.copy(), up, up.copy(), down, down.copy())
        self.route.number[1] = 0
        self.route.head[:] = -1
        self._stand()

    def _stand(self) -> None:
        """Collect the backup pairs on blocks that stand."""
        self.stale = False
        stands = self.draft.replicas > 0
        if (stands == self.known).all():
            return
        self.known = stands
        kept = np.flatnonzero(stands[self.reserve.pair_block]).astype(np.int32)
        at = np.searchsorted(kept, self.field.first).astype(np.int64)
        self.standing = Ways(at[:-1], at[1:], kept)

    def replicas_changed(self, block: int) -> None:
        """Take note of a block's new count (while a domain is being routed, too)."""
        count = self.draft.replicas[block]
        before = self.room.load[block].copy()
        self.stale |= count > 0 and not self.known[block]
        self.room.load[block] = self.draft.problem.capacity_factor * count - self.primary[block]
        self.room.load_now[block] += self.room.load[block] - before

    def fail(self, domain: int, *, thorough: bool = True) -> float:
        """Route what a domain loses; the share of rows that finds no survivor (0: all is taken over)."""
        self._begin(domain)
        left = float(fill(self.field, self.standing, self.room, domain, self.route, ANY))
        return self._eject(domain) if left > 0 and thorough else left

    def fail_dearest_first(self, domain: int) -> float:
        """The same, but what stays is what costs least unserved."""
        self._begin(domain)
        return float(fill(self.field, self.standing, self.room, domain, self.route, self.worth))

    def _begin(self, domain: int) -> None:
        if self.stale:
            self._stand()
        begin(self.room, self.field, self.route)
        lose(self.field, self.loss, domain, self.route)

    def go_on(self, domain: int) -> float:
        """Route what the domain at hand has left, on blocks that were added since, too."""
        collect_ways(self.field, self.room, domain, self.route, self.now)
        return float(fill(self.field, self.now, self.room, domain, self.route, ANY))

    def _eject(self, domain: int) -> float:
        """Send others elsewhere to make room for what the domain at hand has left."""
        if self.stale:
            self._stand()
        return float(eject(self.field, self.standing, self.room, domain, self.route, EJECTIONS))

    def squeeze(self, domain: int) -> float:
        """Route what is left with the help of such ejections."""
        return self._eject(domain) if self.go_on(domain) > 0 else 0.0

    def keep(self, domain: int) -> None:
        """Keep the routes of the domain at hand."""
        count = int(self.route.number[1])
        used = self.route.share[:count] > 0
        self.backups[domain] = Backup(self.route.pair[:count][used].copy(), self.route.share[:count][used].copy())

    def take(self, backup: sp.csr_matrix | None) -> None:
        """Keep the routes of a completed plan, E × Z."""
        if backup is None:
            return
        for domain in range(self.reserve.domains):
            span = slice(backup.indptr[domain], backup.indptr[domain + 1])
            used = backup.data[span] > 0
            self.backups[domain] = Backup(backup.indices[span][used].astype(np.int64), backup.data[span][used])

    def rows_left(self) -> Int:
        """Rows of the domain at hand that are not taken over whole."""
        rows = self.route.rows[: self.route.number[0]]
        return np.asarray(rows[self.route.left[rows] > 0], np.int64)

    def cell_load(self, domain: int) -> tuple[Int, Float]:
        """Cells (block·T + slice) that a domain's backups load, and by how much."""
        backup = self.backups[domain]
        row = self.reserve.pair_demand[backup.pair]
        cell = self.reserve.pair_block[backup.pair] * self.slices + self.draft.problem.demand_slice[row]
        cells, where = np.unique(cell, return_inverse=True)
        load = np.bincount(where, self.reserve.pair_load[backup.pair] * backup.share, minlength=len(cells))
        return np.asarray(cells, np.int64), np.asarray(load, np.float64)

    def most_load(self) -> Float:
        """The most that any domain asks of every cell, B × T."""
        most = np.zeros(self.primary.size)
        for domain in range(self.reserve.domains):
            cells, load = self.cell_load(domain)
            most[cells] = np.maximum(most[cells], load)
        return most.reshape(self.primary.shape)

    def free_links(self) -> tuple[Float, Float]:
        """Mbit/s out of and into every site that no domain asks for, P × T each."""
        problem, sites = self.draft.problem, self.draft.problem.sites
        free = []
        for mbps, left in ((problem.out_mbps, self.room.up), (problem.in_mbps, self.room.down)):
            most = np.zeros(sites * self.slices)
            if np.isfinite(left).any():
                for backup in self.backups:
                    row = self.reserve.pair_demand[backup.pair]
                    site = problem.block_site[self.reserve.pair_block[backup.pair]]
                    key = site * self.slices + problem.demand_slice[row]
                    most = np.maximum(most, np.bincount(key, mbps[row] * backup.share, minlength=len(most)))
            free.append(np.maximum(left - most.reshape(left.shape), 0.0))
        return free[0], free[1]

    def matrix(self) -> sp.csr_matrix:
        """The backup shares, E × Z."""
        domain = np.repeat(np.arange(self.reserve.domains), [len(backup.pair) for backup in self.backups])
        pair = np.concatenate([backup.pair for backup in self.backups])
        share = np.concatenate([backup.share for backup in self.backups])
        shape = (self.reserve.domains, self.reserve.pairs)
        return sp.coo_matrix((share, (domain, pair)), shape=shape).tocsr()


def _field(problem: Problem, reserve: Reserve) -> Field:
    return Field(
        problem.block_site.astype(np.int64),
        problem.demand_slice.astype(np.int64),
        problem.out_mbps.astype(float),
        problem.in_mbps.astype(float),
        np.searchsorted(reserve.pair_demand, np.arange(problem.demands + 1)).astype(np.int64),
        reserve.pair_block,
        reserve.pair_load,
        reserve.pair_demand,
        np.ascontiguousarray(reserve.domain_site),
    )


def _worth(problem: Problem, reserve: Reserve) -> Float:
    """USD a month that a row costs unserved, for each quarter GPU that it takes as a backup at least, I."""
    least = np.full(problem.demands, np.inf)
    quarters = problem.shape_quarters[problem.block_shape[reserve.pair_block]]
    np.minimum.at(least, reserve.pair_demand, reserve.pair_load * quarters)
    return np.asarray(np.minimum(problem.unserved_usd, 1e12) / np.maximum(least, 1e-9), np.float64)
