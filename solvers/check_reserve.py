"""Equation 13 restated on a placement with plain numpy: every domain fails once, and what is left must carry the loss.

Nothing of `solvers.exact` is used here, so a mistake in its rows cannot hide itself.
"""

from collections.abc import Iterator

import numpy as np

from solvers.problem import Float, Int, Problem
from solvers.rules import Reserve
from solvers.solution import Placement

_SHOWN = 3
"""Offenders named in one message; the rest are counted."""
_PPB = 1e-9
"""Proportional shares may be off by a part per billion, which is what a plan can write down."""


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
    backup = np.zeros(wanted) if placement.backup is None else np.asarray(placement.backup.toarray(), np.float64)
    if not np.isfinite(backup).all():
        return ["backup holds a value that is not finite"]
    exempt = reserve.exempt(problem.demands, problem.block_site[reserve.pair_block])
    found: list[str] = []
    for domain in range(reserve.domains):
        failure = _Failure(problem, reserve, placement, domain, backup[domain], exempt[domain], tolerance)
        found.extend(f"(13) domain {domain}: {message}" for message in failure.broken())
    if reserve.policy == "priority":
        found.extend(_disorder(problem, reserve, backup, tolerance))
    return found


class _Failure:
    """One domain that has failed: X is the loss of every row, `down` the sites that are gone."""

    def __init__(
        self,
        problem: Problem,
        reserve: Reserve,
        placement: Placement,
        domain: int,
        backup: Float,
        exempt: np.ndarray,
        tolerance: float,
    ) -> None:
        self.problem, self.reserve, self.placement = problem, reserve, placement
        self.backup, self.exempt, self.tolerance = backup, exempt, tolerance
        self.down = reserve.domain_site[domain]
        self.site = problem.block_site[reserve.pair_block]
        lost = np.where(self.down[problem.pair_site], placement.share, 0.0)
        self.loss = np.where(exempt, 0.0, np.bincount(problem.pair_demand, lost, problem.demands))

    def broken(self) -> Iterator[str]:
        """What this failure breaks, in words."""
        yield from self._shares()
        yield from self._balance()
        yield from self._capacity()
        yield from self._network()
        if self.reserve.policy == "proportional":
            yield from self._proportional()
        if self.reserve.policy == "priority":
            yield from self._single()

    def _exceeded(self, what: str, left: Float | Int, right: Float | Int) -> Iterator[str]:
        room = self.tolerance * np.maximum(1.0, np.abs(np.where(np.isfinite(right), right, 1.0)))
        bad = np.flatnonzero(left > right + room)
        if len(bad):
            named = ", ".join(f"row {k}: {left[k]:.12g} > {right[k]:.12g}" for k in bad[:_SHOWN])
            yield f"{what} broken {len(bad)} times ({named})"

    def _shares(self) -> Iterator[str]:
        z, pairs = self.backup, self.reserve.pairs
        yield from self._exceeded("backup share below 0", -z, np.zeros(pairs))
        yield from self._exceeded("backup at a site that has failed", np.where(self.down[self.site], z, 0), 0 * z)
        yield from self._exceeded("backup at a closed site", np.where(self.placement.open[self.site], 0, z), 0 * z)
        replicas = self.placement.replicas[self.reserve.pair_block]
        one_is_enough = self.reserve.pair_load <= 1
        yield from self._exceeded("linking (5) of backup", z[one_is_enough], replicas[one_is_enough])

    def _balance(self) -> Iterator[str]:
        found = np.bincount(self.reserve.pair_demand, self.backup, self.problem.demands)
        yield from self._exceeded("less backup than loss", self.loss, found)
        yield from self._exceeded("more backup than loss", found, self.loss)

    def _capacity(self) -> Iterator[str]:
        problem, reserve = self.problem, self.reserve
        for number in range(problem.slices):
            here = problem.demand_slice[problem.pair_demand] == number
            there = problem.demand_slice[reserve.pair_demand] == number
            primary = problem.pair_load * self.placement.share * here
            load = np.bincount(problem.pair_block, primary, problem.blocks)
            load = load + np.bincount(reserve.pair_block, reserve.pair_load * self.backup * there, problem.blocks)
            room = problem.capacity_factor * self.placement.replicas
            survives = ~self.down[problem.block_site]
            yield from self._exceeded(f"replica capacity (4) in slice {number}", load[survives], room[survives])

    def _network(self) -> Iterator[str]:
        problem, reserve = self.problem, self.reserve
        links = (
            ("uplink", problem.out_mbps, problem.uplink_mbps),
            ("downlink", problem.in_mbps, problem.downlink_mbps),
        )
        for name, mbps, limit in links:
            for number in range(problem.slices):
                here = problem.demand_slice[problem.pair_demand] == number
                there = problem.demand_slice[reserve.pair_demand] == number
                primary = mbps[problem.pair_demand] * self.placement.share * here
                flow = np.bincount(problem.pair_site, primary, problem.sites)
                flow = flow + np.bincount(self.site, mbps[reserve.pair_demand] * self.backup * there, problem.sites)
                room = np.where(self.placement.open, limit, 0.0)
                yield from self._exceeded(f"{name} (9) in slice {number}", flow[~self.down], room[~self.down])

    def _proportional(self) -> Iterator[str]:
        """z_b = x_b·X / Σ surviving x, where the row loses anything."""
        problem, reserve = self.problem, self.reserve
        staying = np.where(self.down[problem.pair_site], 0.0, self.placement.share)
        left = np.bincount(problem.pair_demand, staying, problem.demands)
        factor = np.divide(self.loss, left, out=np.zeros(problem.demands), where=left > 0)
        width = max(problem.blocks, 1)
        key = reserve.pair_demand * width + reserve.pair_block
        wanted = np.zeros(reserve.pairs)
        primary = problem.pair_demand * width + problem.pair_block
        at = np.searchsorted(key, primary)
        known = (at < len(key)) & (key[np.minimum(at, len(key) - 1)] == primary) if len(key) else at < 0
        due = staying * factor[problem.pair_demand]
        wanted[at[known]] = due[known]
        off = np.abs(self.backup - wanted) - _PPB
        yield from self._exceeded("backup not in proportion to the shares that survive", off, np.zeros(reserve.pairs))
        elsewhere = np.where(known, 0.0, due)
        yield from self._exceeded("loss falls on a pair that may not back up", elsewhere, np.zeros(problem.pairs))

    def _single(self) -> Iterator[str]:
        used = np.bincount(self.reserve.pair_demand, self.backup > self.tolerance, self.problem.demands)
        yield from self._exceeded("a loss goes to several pairs", used, np.ones(self.problem.demands))


def _disorder(problem: Problem, reserve: Reserve, backup: Float, tolerance: float) -> Iterator[str]:
    """Rows whose choices in the several domains follow from no one order of preference.

    A choice is preferred to every other choice of the row that stands, too; such preferences must not run in a circle.
    """
    site = problem.block_site[reserve.pair_block]
    bad = []
    for row in range(problem.demands):
        pairs = np.flatnonzero(reserve.pair_demand == row)
        used = backup[:, pairs] > tolerance
        lost = np.flatnonzero(used.any(axis=1))
        chosen = pairs[used[lost].argmax(axis=1)].tolist() if len(lost) else []
        better: dict[int, set[int]] = {pair: set() for pair in chosen}
        for e, first in zip(lost.tolist(), chosen, strict=True):
            better[first] |= {b for b in better if b != first and not reserve.domain_site[e, site[b]]}
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
