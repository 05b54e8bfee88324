"""(14) The order of safe steps from one plan to the next, as waves: add, switch traffic, drain.

After every step, with r the routes that hold then, y what stands then, and λ today's demand:

    (4) Σ_i λ_i·r_ipd / q_d ≤ y_pd   (6) rows of GPUs, old and new together   (7, 8) kW and rack units of all servers
    (9) both wires of every site     (2, 3) every route admissible            Σ_pd r_ipd ≥ kept_i

Where everything new fits beside everything old, there is one wave. Where it does not, at *blocked* sites, each wave is
a program (`program`): all that is left of small moves in one, of large ones a program for each blocked site, one after
the other, in which the classes it serves may go to the nearest other sites with room. Greedy waves may end in a corner;
a small move is then searched exhaustively (`search`). Where no order keeps everything, a wave takes what can make up
for least: first what only the backup budgets admit (13), then requests unserved, and says which and how many.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from placement.diff.exactly import settled, whole
from placement.diff.ground import ADMISSIBLE, STANDS_IN, Ground, Name, Standing
from placement.diff.plans import Key, Routes, Way
from placement.diff.program import Found, Still, Task, solve

JOINT_COUNTS, JOINT_SHARES = 60, 4000
"""Decisions and routes up to which a wave is one program."""
JOINT_GAP, SITE_GAP = 1e-6, 0.02
"""How close to the best a wave's program is solved."""
NEAREST = 12
"""Sites that a class may go to from a blocked one, where there are too many to ask for all."""
MOST_WAVES = 500
ROUNDING_PPB = 100
"""Of a class: less is what rounding to whole parts may lack, and no loss."""


class NoOrderError(RuntimeError):
    """No order was found, not even one that drops requests: the new plan does not stand by itself."""


@dataclass(frozen=True)
class Step:
    """A wave: what comes, the routes from then on, what goes."""

    found: Found
    standing: Standing  # after the wave
    routes: Routes


def lacking(basis: Ground, routes: Routes) -> bool:
    """Whether a class lacks more of what both plans serve than rounding takes, or is on backup budgets."""
    for key, kept in basis.kept.items():
        ways = routes[key]
        backup = sum(share for way, share in ways.items() if basis.admits(key, way) < ADMISSIBLE)
        if kept - sum(ways.values()) > ROUNDING_PPB or backup > ROUNDING_PPB:
            return True
    return False


def check_carried(basis: Ground, standing: Standing, routes: Routes) -> None:
    """(4, 9) exactly: what stands carries the routes. Raises RuntimeError, so that no wrong order leaves this house."""
    busy, up, down = basis.busy(routes)
    for (block, time), load in busy.items():
        if load > standing.replicas.get(basis.place(block, time), 0):
            raise RuntimeError(f"a wave overloads {block[1]} at {block[0]}")
    for name, flow in (("uplink", up), ("downlink", down)):
        for (site, _), sent in flow.items():
            limit = getattr(basis.facts.sites[site], f"{name}_mbps")
            if limit is not None and sent > limit:
                raise RuntimeError(f"a wave overloads the {name} of {site}")


def still_of(standing: Standing, goal: Standing, sites: Iterable[str] | None = None) -> Still:
    """What is to come and to go until `goal` (at some sites)."""
    only = None if sites is None else frozenset(sites)
    replicas = _changes(standing.replicas, goal.replicas, only)
    servers = _changes(standing.servers, goal.servers, only)
    return Still(
        {place: n for place, n in replicas.items() if n > 0},
        {machine: n for machine, n in servers.items() if n > 0},
        {place: -n for place, n in replicas.items() if n < 0},
        {machine: -n for machine, n in servers.items() if n < 0},
    )


def _changes(now: Mapping[Name, int], goal: Mapping[Name, int], only: frozenset[str] | None) -> dict[Name, int]:
    names = sorted(now.keys() | goal.keys())
    found = {name: goal.get(name, 0) - now.get(name, 0) for name in names if only is None or name[0] in only}
    return {name: change for name, change in found.items() if change}


class Walk:
    """Where the way of waves has come to."""

    def __init__(self, basis: Ground) -> None:
        self.ground, self.standing, self.routes = basis, basis.old, basis.start
        self.steps: list[Step] = []

    @property
    def still(self) -> Still:
        """What is to come and to go."""
        return still_of(self.standing, self.ground.new)

    def waves(self) -> tuple[Step, ...]:
        """All waves: what keeps everything as long as anything moves so, else what takes least."""
        while self.blocked():
            self.steps.append(self.wave(push=False) or self.wave(push=True) or self._nothing())
            if len(self.steps) > MOST_WAVES:
                raise NoOrderError(f"no order of steps after {MOST_WAVES} waves")
        return (*self.steps, self.last())

    def _nothing(self) -> Step:
        raise NoOrderError(f"the new plan's replicas at {', '.join(self.blocked())} need more than its servers")

    def blocked(self) -> list[str]:
        """Sites where what is to come does not fit beside what stands."""
        still, basis = self.still, self.ground
        together = self.standing.with_(still.add, still.install)
        room = basis.room(together)
        found = {place[0] for place in still.add if any(room[row] < 0 for row in basis.rows_of(place))}
        for site in {machine[0] for machine in still.install}:
            (kw, units), place = basis.drawn(together.servers, site), basis.facts.sites[site]
            if kw > place.usable_kw or units > place.rack_units:
                found.add(site)
        return sorted(found)

    def last(self) -> Step:
        """All that is left: everything comes, traffic goes as the new plan says, everything old goes."""
        still = self.still
        gone = self.ground.strange
        found = Found(
            dict(still.add),
            dict(still.install),
            {**still.drain, **gone.replicas},
            {**still.retire, **gone.servers},
            {},
        )
        return Step(found, self.ground.new, self.ground.goal)

    def wave(self, *, push: bool) -> Step | None:
        """The next wave; None where nothing moves."""
        blocked = self.blocked()
        free = self._free(blocked)
        wave = _Wave(self, self.standing.with_(free.add, free.install), free)
        if wave.is_small(blocked):
            wave.take(blocked, joint=True, push=push)
        else:
            for site in blocked:
                wave.take([site], joint=False, push=push)
        return self._took(wave) if wave.found.moves else None

    def _free(self, blocked: Sequence[str]) -> Found:
        """All that is to come at sites that are not blocked."""
        still = self.still
        add = {place: n for place, n in still.add.items() if place[0] not in blocked}
        install = {machine: n for machine, n in still.install.items() if machine[0] not in blocked}
        return Found(add, install, {}, {}, {})

    def _took(self, wave: "_Wave") -> Step:
        routes = settled(self.ground, wave.after.replicas, wave.routes, wave.keys)
        check_carried(self.ground, wave.after, routes)
        self.standing, self.routes = wave.after, routes
        return Step(wave.found, wave.after, routes)


class _Wave:
    """One wave in the making: programs of sites add to it."""

    def __init__(self, walk: Walk, after: Standing, found: Found) -> None:
        self.ground, self.before, self.after, self.found = walk.ground, walk.standing, after, found
        self.routes: dict[Key, Mapping[Way, int]] = dict(walk.routes)
        self.keys: set[Key] = set()
        busy, *wires = self.ground.busy(self.routes)
        self.busy = {at: float(load) for at, load in busy.items()}
        self.wires = tuple({at: float(sent) for at, sent in flow.items()} for flow in wires)

    def is_small(self, blocked: Sequence[str]) -> bool:
        """Whether all classes and blocked sites make one program of a size that is solved at once."""
        if still_of(self.after, self.ground.new, blocked).whole_numbers > JOINT_COUNTS:
            return False
        kinds = ((key[1], self.ground.facts.tenant(key), key[3]) for key in self.routes)
        return sum(len(self._places.get(kind, ())) for kind in kinds) <= JOINT_SHARES

    def take(self, sites: Sequence[str], *, joint: bool, push: bool) -> None:
        """What these sites do in the wave."""
        still = still_of(self.after, self.ground.new, sites)
        if not still:
            return
        keys = self._all_keys() if joint else self._keys_at(still, sites, push=push)
        ways = {key: self._ways(key, still, joint=joint, push=push) for key in keys}
        found = solve(replace(self._task(still, ways, push=push), gap=JOINT_GAP if joint else SITE_GAP))
        if found is not None:
            self.merge(found)
            self._send(found)

    def _all_keys(self) -> list[Key]:
        return [key for key, ways in self.routes.items() if self.ground.kept[key] or ways]

    def _keys_at(self, still: Still, sites: Sequence[str], *, push: bool) -> list[Key]:
        """Classes on replicas that may go: those that shall, and where servers are exchanged all of the site."""
        goes = {place[:3] for place in still.drain}
        if push and still.install:
            goes |= {place[:3] for place in self.after.replicas if place[0] in sites}
        return [key for key, ways in self.routes.items() if any(self.ground.block(key, way) in goes for way in ways)]

    def merge(self, found: Found) -> None:
        """Take up what sites do."""
        own = self.found
        self.found = Found(
            {**own.add, **found.add},
            {**own.install, **found.install},
            {**own.drain, **found.drain},
            {**own.retire, **found.retire},
            {},
        )
        for counts, sign in ((found.add, 1), (found.drain, -1)):
            self.after = self.after.with_({place: sign * n for place, n in counts.items()}, {})
        for machines, sign in ((found.install, 1), (found.retire, -1)):
            self.after = self.after.with_({}, {machine: sign * n for machine, n in machines.items()})

    def _send(self, found: Found) -> None:
        """Take up where the classes go."""
        keys = sorted(found.shares)
        self._book(keys, -1)
        for key in keys:
            self.routes[key] = whole(found.shares[key])
        self._book(keys, 1)
        self.keys.update(keys)

    def _book(self, keys: Iterable[Key], sign: int) -> None:
        busy, *wires = self.ground.busy(self.routes, keys)
        for at, load in busy.items():
            self.busy[at] = self.busy.get(at, 0.0) + sign * float(load)
        for own, flow in zip(self.wires, wires, strict=True):
            for where, sent in flow.items():
                own[where] = own.get(where, 0.0) + sign * float(sent)

    def _task(self, still: Still, ways: Mapping[Key, Sequence[Way]], *, push: bool) -> Task:
        """The program's surroundings: what the other classes leave."""
        basis, facts = self.ground, self.ground.facts
        busy, up, down = basis.busy(self.routes, ways)
        left: dict[tuple[tuple[str, str, str], str], float] = {}
        wires: tuple[dict[tuple[str, str], float], dict[tuple[str, str], float]] = ({}, {})
        for key, some in ways.items():
            for way in some:
                block, at = basis.block(key, way), (way[0], key[3])
                stands = self.after.replicas.get(basis.place(block, key[3]), 0)
                others = self.busy.get((block, key[3]), 0.0) - float(busy.get((block, key[3]), 0))
                left[block, key[3]] = max(stands - max(others, 0.0), 0.0)
                limits = (facts.sites[way[0]].uplink_mbps, facts.sites[way[0]].downlink_mbps)
                for room, own, mine, limit in zip(wires, self.wires, (up, down), limits, strict=True):
                    if limit is not None:
                        sent = own.get(at, 0.0) - float(mine.get(at, 0))
                        room[at] = max(float(limit) - max(sent, 0.0), 0.0)
        before = {key: self.routes[key] for key in ways}
        return Task(basis, self.after, still, ways, before, left, wires, push)

    def _ways(self, key: Key, still: Still, *, joint: bool, push: bool) -> list[Way]:
        """Where the class may go: admissible, and replicas stand there or may come in this wave."""
        basis, now = self.ground, self.routes[key]
        tenant = basis.facts.tenant(key)
        there = self._places.get((key[1], tenant, key[3]), [])
        comes = {(p[0], p[1]) for p in still.add if basis.place((p[0], p[1], tenant), key[3]) == p}
        model = basis.facts.shapes
        options = {way for way in there if self.after.replicas.get(basis.place((*way, tenant), key[3]), 0)}
        options |= {way for way in comes if model[way[1]].model == key[1]}
        if not joint:
            near = self._nearest(key, sorted(options))
            options = {way for way in options if way[0] in near or way in comes or way in basis.goal[key]}
        least = STANDS_IN if push else ADMISSIBLE
        return sorted({way for way in options if basis.admits(key, way) >= least} | now.keys())

    @cached_property
    def _places(self) -> Mapping[tuple[str, str, str], list[Way]]:
        """Ways that stand at some time, by model, tenant and time of day."""
        basis, found = self.ground, defaultdict[tuple[str, str, str], set[Way]](set)
        for site, shape, tenant, name in self.after.replicas.keys() | basis.new.replicas.keys():
            for time in (name,) if name else basis.facts.hours:
                found[basis.facts.shapes[shape].model, tenant, time].add((site, shape))
        return {kind: sorted(ways) for kind, ways in found.items()}

    def _nearest(self, key: Key, options: Sequence[Way]) -> frozenset[str]:
        """The nearest sites that have room left for the class."""
        basis, pairs = self.ground, self.ground.case.network.pairs
        tenant = basis.facts.tenant(key)
        spare = {
            way[0]
            for way in options
            if self.after.replicas.get(basis.place((*way, tenant), key[3]), 0)
            > self.busy.get(((*way, tenant), key[3]), 0.0) + 1e-9
        }
        sites = sorted(spare)
        if key[0] not in self._region or not sites:
            return frozenset()
        row = self._region[key[0]]
        rtt = pairs.rtt_upper_ms[row, [self._site[site] for site in sites]]
        ranked = np.argsort(np.where(np.isnan(rtt), np.inf, rtt), kind="stable")[:NEAREST]
        return frozenset(sites[j] for j in ranked.tolist())

    @cached_property
    def _region(self) -> Mapping[str, int]:
        return {name: r for r, name in enumerate(self.ground.case.network.pairs.regions)}

    @cached_property
    def _site(self) -> Mapping[str, int]:
        return {name: p for p, name in enumerate(self.ground.case.network.pairs.sites)}
