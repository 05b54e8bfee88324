"""Equation 13 restated on a placement with plain numpy: every domain fails once, and what is left must carry the loss.

Nothing of `solvers.exact` is used here, so a mistake in its rows cannot hide itself. Only shares in use are looked at:
a large problem has millions of backup pairs and hundreds of domains.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from solvers.problem import Bool, Float, Int, Problem
from solvers.rules import Reserve
from solvers.solution import Placement

_SHOWN = 3
"""Offenders named in one message; the rest are counted."""
_PPB = 1e-9
"""Proportional shares may be off by a part per billion, which is what a plan can write down."""


@dataclass(frozen=True)
class _Shares:
    """Shares in use: row, block and site of each, and how much."""

    row: Int
    block: Int
    site: Int
    load: Float  # replicas that the whole row keeps busy there
    share: Float

    def where(self, kept: Bool) -> "_Shares":
        return _Shares(self.row[kept], self.block[kept], self.site[kept], self.load[kept], self.share[kept])


def reserve_violations(problem: Problem, placement: Placement, tolerance: float = 1e-9) -> list[str]:
    """What the backup shares of `placement` break of (13), one line per rule and domain; empty when nothing.

    Absent backup shares are zeros. A row may exceed its limit by `tolerance` × max(1, |limit|).
    """
    reserve = problem.rules.reserve
    if reserve is None:
        unasked = placement.backup is not None and placement.backup.nnz > 0
        return ["(13) backup shares without a rule that asks for them"] if unasked else []
    wanted = (reserve.domains, reserve.pairs)
    if placement.backup is not None and placement.backup.shape != wanted:
        return [f"backup has the shape {placement.backup.shape}, not {wanted}"]
    backup = sp.csr_matrix(wanted) if placement.backup is None else placement.backup.tocsr()
    if not np.isfinite(backup.data).all():
        return ["backup holds a value that is not finite"]
    served = np.flatnonzero(placement.share)
    block = problem.pair_block[served]
    primary = _Shares(
        problem.pair_demand[served],
        block,
        problem.block_site[block],
        problem.pair_load[served],
        placement.share[served],
    )
    found: list[str] = []
    taken = [_taken(problem, reserve, backup, domain) for domain in range(reserve.domains)]
    normal = _normal(problem, primary)
    carries = np.bincount(primary.site, minlength=problem.sites) > 0
    for domain, backups in enumerate(taken):
        down = reserve.domain_site[domain]
        if not len(backups.row) and not carries[down].any():
            continue  # a day like any other
        failure = _Failure(problem, reserve, placement, primary, normal, backups, down, tolerance)
        found.extend(f"(13) domain {domain}: {message}" for message in failure.broken())
    if reserve.policy == "priority":
        found.extend(_disorder(reserve, taken, tolerance))
    return found


def _taken(problem: Problem, reserve: Reserve, backup: sp.csr_matrix, domain: int) -> _Shares:
    """The backup shares of one domain."""
    span = slice(backup.indptr[domain], backup.indptr[domain + 1])
    pair, share = backup.indices[span].astype(np.int64), np.asarray(backup.data[span], np.float64)
    block = reserve.pair_block[pair]
    return _Shares(reserve.pair_demand[pair], block, problem.block_site[block], reserve.pair_load[pair], share)


@dataclass(frozen=True)
class _Normal:
    """What the primaries put on every block and link in a slice."""

    load: Float  # B·T
    out_mbps: Float  # P·T
    in_mbps: Float  # P·T


def _normal(problem: Problem, primary: _Shares) -> _Normal:
    slices = max(problem.slices, 1)
    when = problem.demand_slice[primary.row]
    link = primary.site * slices + when
    sent, received = (problem.out_mbps[primary.row] * primary.share, problem.in_mbps[primary.row] * primary.share)
    load = np.bincount(primary.block * slices + when, primary.load * primary.share, problem.blocks * slices)
    flows = (np.bincount(link, mbps, problem.sites * slices).astype(np.float64) for mbps in (sent, received))
    return _Normal(load.astype(np.float64), *flows)


@dataclass(frozen=True)
class _Failure:
    """One domain that has failed: `down` are the sites that are gone."""

    problem: Problem
    reserve: Reserve
    placement: Placement
    primary: _Shares
    normal: _Normal
    backup: _Shares
    down: Bool
    tolerance: float

    def broken(self) -> Iterator[str]:
        """What this failure breaks, in words."""
        fails = self.down[self.primary.site]
        loss = self._by_row(self.primary.where(fails))
        yield from self._shares()
        yield from self._balance(loss)
        yield from self._capacity()
        yield from self._network()
        if self.reserve.policy == "proportional":
            yield from self._proportional(self.primary.where(~fails), loss)
        if self.reserve.policy == "priority":
            used = np.bincount(self.backup.row, self.backup.share > self.tolerance, self.problem.demands)
            yield from self._exceeded("a loss goes to several pairs", used, np.ones(self.problem.demands))

    def _by_row(self, shares: _Shares) -> Float:
        return np.asarray(np.bincount(shares.row, shares.share, self.problem.demands), np.float64)

    def _exceeded(self, what: str, left: Float | Int, right: Float | Int) -> Iterator[str]:
        room = self.tolerance * np.maximum(1.0, np.abs(np.where(np.isfinite(right), right, 1.0)))
        bad = np.flatnonzero(left > right + room)
        if len(bad):
            named = ", ".join(f"row {k}: {left[k]:.12g} > {right[k]:.12g}" for k in bad[:_SHOWN])
            yield f"{what} broken {len(bad)} times ({named})"

    def _shares(self) -> Iterator[str]:
        z, nothing = self.backup, np.zeros(len(self.backup.row))
        yield from self._exceeded("backup share below 0", -z.share, nothing)
        yield from self._exceeded("backup at a site that has failed", np.where(self.down[z.site], z.share, 0), nothing)
        closed = ~self.placement.open[z.site]
        yield from self._exceeded("backup at a closed site", np.where(closed, z.share, 0), nothing)
        one_is_enough = z.load <= 1
        replicas = self.placement.replicas[z.block]
        yield from self._exceeded("linking (5) of backup", z.share[one_is_enough], replicas[one_is_enough])

    def _balance(self, loss: Float) -> Iterator[str]:
        """The loss is taken over, all of it and no more; a row without any pair outside of the domain loses it."""
        found = self._by_row(self.backup)
        owed = loss.copy()
        for row in np.flatnonzero(np.abs(found - loss) > self.tolerance):
            owed[row] = 0.0 if self._exempt(int(row)) else loss[row]
        yield from self._exceeded("less backup than loss", owed, found)
        yield from self._exceeded("more backup than loss", found, owed)

    def _exempt(self, row: int) -> bool:
        """Whether all backup pairs of a row fail with the domain."""
        first, last = np.searchsorted(self.reserve.pair_demand, [row, row + 1])
        return bool(self.down[self.problem.block_site[self.reserve.pair_block[first:last]]].all())

    def _capacity(self) -> Iterator[str]:
        """Where something is added; elsewhere the primaries alone stand, as on any day."""
        problem, slices, z = self.problem, max(self.problem.slices, 1), self.backup
        place, added = self._added(z.block, z.load * z.share)
        load = self.normal.load[place] + added
        room = problem.capacity_factor * self.placement.replicas[place // slices]
        survives = ~self.down[problem.block_site[place // slices]]
        for number in range(slices):
            here = survives & (place % slices == number)
            yield from self._exceeded(f"replica capacity (4) in slice {number}", load[here], room[here])

    def _network(self) -> Iterator[str]:
        problem, slices, z = self.problem, max(self.problem.slices, 1), self.backup
        links = (
            ("uplink", problem.out_mbps, problem.uplink_mbps, self.normal.out_mbps),
            ("downlink", problem.in_mbps, problem.downlink_mbps, self.normal.in_mbps),
        )
        for name, mbps, limit, flow in links:
            place, added = self._added(z.site, mbps[z.row] * z.share)
            sent, site = flow[place] + added, place // slices
            room = np.where(self.placement.open[site], limit[site], 0.0)
            for number in range(slices):
                here = ~self.down[site] & (place % slices == number)
                yield from self._exceeded(f"{name} (9) in slice {number}", sent[here], room[here])

    def _added(self, where: Int, amount: Float) -> tuple[Int, Float]:
        """What the backups add, by (where, slice) in one number."""
        slices = max(self.problem.slices, 1)
        place, at = np.unique(where * slices + self.problem.demand_slice[self.backup.row], return_inverse=True)
        return place, np.bincount(at, amount, len(place)).astype(np.float64)

    def _proportional(self, staying: _Shares, loss: Float) -> Iterator[str]:
        """z_b = x_b·X / Σ surviving x, where the row loses anything and is not exempt."""
        left = self._by_row(staying)
        factor = np.divide(loss, left, out=np.zeros(len(loss)), where=left > 0)
        for row in np.flatnonzero((factor > 0) & (self._by_row(self.backup) == 0)):
            factor[row] = 0.0 if self._exempt(int(row)) else factor[row]
        width = max(self.problem.blocks, 1)
        stays, takes = (shares.row * width + shares.block for shares in (staying, self.backup))
        places = np.unique(np.concatenate([stays, takes]))
        due: Float = np.zeros(len(places))
        found: Float = np.zeros(len(places))
        np.add.at(due, np.searchsorted(places, stays), staying.share * factor[staying.row])
        np.add.at(found, np.searchsorted(places, takes), self.backup.share)
        off = np.abs(found - due) - _PPB
        yield from self._exceeded("backup not in proportion to the shares that survive", off, np.zeros(len(off)))
        allowed = np.isin(places, self.reserve.pair_demand.astype(np.int64) * width + self.reserve.pair_block)
        elsewhere = np.where(allowed, 0.0, due)
        yield from self._exceeded("loss falls on a pair that may not back up", elsewhere, np.zeros(len(places)))


def _disorder(reserve: Reserve, taken: list[_Shares], tolerance: float) -> Iterator[str]:
    """Rows whose choices in the several domains follow from no one order of preference.

    A choice is preferred to every other choice of the row that stands, too; such preferences must not run in a circle.
    """
    chosen: dict[int, dict[int, tuple[int, int]]] = {}  # by row and domain: block and its site
    for domain, shares in enumerate(taken):
        used = shares.share > tolerance
        for row, block, site in zip(shares.row[used], shares.block[used], shares.site[used], strict=True):
            chosen.setdefault(int(row), {}).setdefault(domain, (int(block), int(site)))
    bad = []
    for row, by_domain in sorted(chosen.items()):
        places = set(by_domain.values())
        better: dict[int, set[int]] = {block: set() for block, _ in places}
        for domain, (first, _) in by_domain.items():
            better[first] |= {b for b, site in places if b != first and not reserve.domain_site[domain, site]}
        if _circular(better):
            bad.append(row)
    if bad:
        named = ", ".join(map(str, bad[:_SHOWN]))
        yield f"(13) the choices of {len(bad)} rows follow no one order of preference (row {named})"


def _circular(better: dict[int, set[int]]) -> bool:
    """Whether a relation, each key before its values, has a circle: nothing is left that stands before no other."""
    left = {key: set(values) for key, values in better.items()}
    while left:
        last = [key for key, values in left.items() if not values & left.keys()]
        if not last:
            return True
        for key in last:
            del left[key]
    return False
