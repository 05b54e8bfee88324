"""Every order of single steps, for small moves: one that keeps everything is found whenever there is one.

A state is how many of each kind have come and gone. What may follow depends on it alone, since traffic can be switched
at will between any two steps: to add or to install, the rows of (6–8) must have room; to drain, some routes must keep
every class on what is left. Adding never takes from anybody, so the search looks deep before it looks wide, additions
first, and no state twice.
"""

from collections.abc import Iterator
from math import prod
from typing import Any, NamedTuple

from placement.diff.exactly import settled, whole
from placement.diff.ground import ADMISSIBLE, Block, Ground, Standing
from placement.diff.plans import Key, Routes, Way
from placement.diff.program import Found, Still, Task, solve
from placement.diff.waves import Step, still_of
from placement.plan.document import BILLION

MOST_STATES = 3000
NOTHING = Still({}, {}, {}, {})


class _Unit(NamedTuple):
    """One kind of step: what it changes by one, and how often it is to be taken."""

    kind: str  # add, install, drain, retire
    name: Any
    times: int


def searched(basis: Ground) -> tuple[Step, ...] | None:
    """Waves that keep everything; None where there are none, or too many states to look at."""
    still = still_of(basis.old, basis.new)
    kinds = (("install", still.install), ("add", still.add), ("drain", still.drain), ("retire", still.retire))
    units = [_Unit(kind, name, count) for kind, counts in kinds for name, count in counts.items()]
    if prod(unit.times + 1 for unit in units) > MOST_STATES:
        return None
    search = _Search(basis, units)
    path = search.path()
    return None if path is None else tuple(search.waves(path))


def _found(parts: dict[str, dict[Any, int]]) -> Found:
    return Found(parts["add"], parts["install"], parts["drain"], parts["retire"], {})


class _Search:
    """The states of one move."""

    def __init__(self, basis: Ground, units: list[_Unit]) -> None:
        self.basis, self.units = basis, units
        self.begun = tuple(0 for _ in units)
        self.done = tuple(unit.times for unit in units)
        self.room_at_first = basis.room(basis.old)

    def path(self) -> list[int] | None:
        """The units of a way in their order; None where there is none."""
        seen, stack = {self.begun}, [(self.begun, self._next(self.begun))]
        taken: list[int] = []
        while stack:
            state, ways = stack[-1]
            if state == self.done:
                return taken
            for unit in ways:
                after = (*state[:unit], state[unit] + 1, *state[unit + 1 :])
                if after not in seen:
                    seen.add(after)
                    if self._holds(after, self.units[unit].kind):
                        stack.append((after, self._next(after)))
                        taken.append(unit)
                        break
            else:
                stack.pop()
                if taken:
                    taken.pop()
        return None

    def waves(self, path: list[int]) -> Iterator[Step]:
        """The way as waves: whatever comes until something goes, and whatever goes until something comes."""
        state, counts, gone = self.begun, dict[int, int](), False
        for number, unit in enumerate(path):
            state = (*state[:unit], state[unit] + 1, *state[unit + 1 :])
            counts[unit] = counts.get(unit, 0) + 1
            gone = gone or self.units[unit].kind in ("drain", "retire")
            last = number + 1 == len(path)
            if last or (gone and self.units[path[number + 1]].kind in ("add", "install")):
                yield self._wave(state, counts, last=last)
                counts, gone = {}, False

    def _wave(self, state: tuple[int, ...], counts: dict[int, int], *, last: bool) -> Step:
        basis, parts = self.basis, dict[str, dict[Any, int]]()
        for kind in ("add", "install", "drain", "retire"):
            parts[kind] = {self.units[u].name: n for u, n in counts.items() if self.units[u].kind == kind}
        if last:
            parts["drain"] |= basis.strange.replicas
            parts["retire"] |= basis.strange.servers
            return Step(_found(parts), basis.new, basis.goal)
        standing = self._standing(state)
        routes = self._routes(standing)
        if routes is None:
            raise RuntimeError("a state that held does not hold any more")
        return Step(_found(parts), standing, routes)

    def _next(self, state: tuple[int, ...]) -> Iterator[int]:
        return iter([u for u, unit in enumerate(self.units) if state[u] < unit.times])

    def _standing(self, state: tuple[int, ...]) -> Standing:
        standing = self.basis.old
        for unit, count in zip(self.units, state, strict=True):
            change = {unit.name: count if unit.kind in ("add", "install") else -count}
            replicas = unit.kind in ("add", "drain")
            standing = standing.with_(change if replicas else {}, {} if replicas else change)
        return standing

    def _holds(self, state: tuple[int, ...], kind: str) -> bool:
        """Whether what a step of the kind led to may be."""
        standing, basis = self._standing(state), self.basis
        if kind == "drain":
            return self._routes(standing) is not None
        if kind == "install":
            return all(self._powered(standing, site) for site in {machine[0] for machine in standing.servers})
        return all(left >= min(0, self.room_at_first.get(row, 0)) for row, left in basis.room(standing).items())

    def _powered(self, standing: Standing, site: str) -> bool:
        place = self.basis.facts.sites[site]
        begun = self.basis.drawn(self.basis.old.servers, site)
        now = self.basis.drawn(standing.servers, site)
        limits = (place.usable_kw, place.rack_units)
        return all(used <= max(limit, first) for used, limit, first in zip(now, limits, begun, strict=True))

    def _routes(self, standing: Standing) -> Routes | None:
        """Routes that keep every class on what stands."""
        basis, facts = self.basis, self.basis.facts
        ways: dict[Key, list[Way]] = {}
        for key, kept in basis.kept.items():
            tenant = facts.tenant(key)
            ways[key] = [
                (site, shape)
                for site, shape, owner, name in sorted(standing.replicas)
                if owner == tenant and (name in ("", key[3])) and standing.replicas[site, shape, owner, name]
                and basis.admits(key, (site, shape)) == ADMISSIBLE
            ]  # fmt: skip
            if kept and not ways[key]:
                return None
        left: dict[tuple[Block, str], float] = {}
        wires: tuple[dict[tuple[str, str], float], dict[tuple[str, str], float]] = ({}, {})
        for key, some in ways.items():
            for way in some:
                block = basis.block(key, way)
                left[block, key[3]] = float(standing.replicas[basis.place(block, key[3])])
                place = facts.sites[way[0]]
                for room, limit in zip(wires, (place.uplink_mbps, place.downlink_mbps), strict=True):
                    if limit is not None:
                        room[way[0], key[3]] = float(limit)
        before = {key: dict.fromkeys(some, BILLION) for key, some in ways.items()}
        found = solve(Task(basis, standing, NOTHING, ways, before, left, wires))
        if found is None:
            return None
        routes = {key: whole(found.shares.get(key, {})) for key in ways}
        return settled(basis, standing.replicas, routes, routes)
