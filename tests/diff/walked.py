"""Takes the steps of a diff one after the other, in the tests' own arithmetic, and looks at what stands after each.

Nothing of the product is asked but the document itself: exact fractions from the figures of `diff_world`.
"""

from collections.abc import Iterator, Mapping
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
from scipy.optimize import linprog

from tests.diff.diff_world import (
    CAPACITY,
    DEMAND,
    GPUS,
    MBIT,
    MODEL,
    SERVER_GPUS,
    SERVER_KW,
    SHARES,
    SITES,
    Replicas,
    Routes,
    Servers,
    admissible,
    busy,
    sent,
)

Way = tuple[str, str]


class World:
    """What stands and flows, and what must hold of it."""

    def __init__(self, limits: tuple[int, int], servers: Servers, replicas: Replicas, routes: Routes) -> None:
        self.kw, self.mbps = limits
        self.servers, self.replicas = dict(servers), dict(replicas)
        self.routes = {cls: dict(ways) for cls, ways in routes.items()}

    def broken(self) -> Iterator[str]:
        """Every rule that does not hold."""
        for way, load in busy(self.routes).items():
            if load > self.replicas.get(way, 0):
                yield f"(4) {way}: {float(load)} busy of {self.replicas.get(way, 0)}"
        for site, megabits in sent(self.routes).items():
            if megabits > self.mbps:
                yield f"(9) {site}: {float(megabits)} Mbit/s of {self.mbps}"
        for site in SITES:
            for size in (1, 2):
                taken = sum(GPUS[d] * n for (p, d), n in self.replicas.items() if p == site and GPUS[d] >= size)
                room = sum(
                    SERVER_GPUS[k] * n for (p, k), n in self.servers.items() if p == site and SERVER_GPUS[k] >= size
                )
                if taken > room:
                    yield f"(6) {site}, of {size}: {taken} GPUs of {room}"
            drawn = sum((SERVER_KW[k] * n for (p, k), n in self.servers.items() if p == site), Fraction(0))
            if drawn > self.kw:
                yield f"(7) {site}: {drawn} kW of {self.kw}"
        for place, count in [*self.replicas.items(), *self.servers.items()]:
            if count < 0:
                yield f"{place}: {count} stand"
        for cls, ways in self.routes.items():
            if sum(ways.values()) > SHARES:
                yield f"(1) {cls}: {sum(ways.values())}"

    def inadmissible(self) -> dict[tuple[str, str, str], int]:
        """Parts of each class that go where only the backup budget admits them."""
        found = {c: sum(n for (p, _), n in ways.items() if not admissible(c[0], p)) for c, ways in self.routes.items()}
        return {cls: share for cls, share in found.items() if share}


def kept(old: Routes, new: Routes) -> dict[tuple[str, str, str], int]:
    """What both plans serve of each class; both keep every rule."""
    return {cls: min(sum(old.get(cls, {}).values()), sum(new.get(cls, {}).values())) for cls in DEMAND}


def walk(
    steps: Mapping[str, Any],
    limits: tuple[int, int],
    old: tuple[Servers, Replicas, Routes],
    new: tuple[Servers, Replicas, Routes],
) -> None:
    """Raises AssertionError at the first step after which anything does not hold that the document promises."""
    world, both = World(limits, *old), kept(old[2], new[2])
    if steps["start"]:
        started: dict[Any, dict[Way, int]] = {}
        _take(started, steps["start"])
        assert {c: w for c, w in started.items() if w} == {c: dict(w) for c, w in old[2].items() if w}
    for wave in steps["waves"]:
        for rows, counts, sign in (("install", world.servers, 1), ("add", world.replicas, 1)):
            _change(counts, wave[rows], sign)
            assert not list(world.broken()), (wave["number"], rows)
        if wave["routes"] is None:
            assert wave is steps["waves"][-1]
            world.routes = {cls: dict(ways) for cls, ways in new[2].items()}
        else:
            _take(world.routes, wave["routes"])
        assert not list(world.broken()), (wave["number"], "switch")
        for rows, counts in (("drain", world.replicas), ("retire", world.servers)):
            _change(counts, wave[rows], -1)
            assert not list(world.broken()), (wave["number"], rows)
        told = {(m["why"], m["region"], m["model"], m["service"]): m["share_ppb"] for m in wave["missing"]}
        is_ = {("within the backup budget", *cls): share for cls, share in world.inadmissible().items()}
        for cls, share in both.items():
            lacks = share - sum(world.routes.get(cls, {}).values())
            if lacks > 0:
                is_["unserved", *cls] = lacks
        assert told == is_, wave["number"]
    assert {k: n for k, n in world.servers.items() if n} == {k: n for k, n in new[0].items() if n}
    assert {k: n for k, n in world.replicas.items() if n} == {k: n for k, n in new[1].items() if n}


def _change(counts: dict[Any, int], rows: list[dict[str, Any]], sign: int) -> None:
    for row in rows:
        place = (row["site"], row["what"])
        counts[place] = counts.get(place, 0) + sign * row["count"]


def _take(routes: dict[Any, dict[Way, int]], rows: list[dict[str, Any]]) -> None:
    """The whole routes of some classes in place of those before; each class comes to a billion with its unserved."""
    found: dict[Any, dict[Way, int]] = {}
    total: dict[Any, int] = {}
    for row in rows:
        cls = (row["region"], row["model"], row["service"])
        total[cls] = total.get(cls, 0) + row["share_ppb"]
        ways = found.setdefault(cls, {})
        if row["site"] is not None:
            ways[row["site"], row["shape"]] = row["share_ppb"]
    assert set(total.values()) <= {SHARES}
    routes.update(found)


def safe_order_exists(
    limits: tuple[int, int], old: tuple[Servers, Replicas, Routes], new: tuple[Servers, Replicas, Routes]
) -> bool:
    """By brute force over all orders of single steps: whether one keeps everything that both plans serve."""
    both = kept(old[2], new[2])
    names = sorted({*old[0], *new[0]}), sorted({*old[1], *new[1]})
    first = (*(old[0].get(k, 0) for k in names[0]), *(old[1].get(b, 0) for b in names[1]))
    last = (*(new[0].get(k, 0) for k in names[0]), *(new[1].get(b, 0) for b in names[1]))
    cut = len(names[0])
    known: dict[tuple[int, ...], bool] = {}

    def holds(state: tuple[int, ...]) -> bool:
        replicas = dict(zip(names[1], state[cut:], strict=True))
        if state[cut:] not in known:
            known[state[cut:]] = _kept_on(replicas, both, limits[1])
        world = World(limits, dict(zip(names[0], state[:cut], strict=True)), replicas, {})
        return not list(world.broken()) and known[state[cut:]]

    seen, todo = {first}, [first]
    while todo:
        state = todo.pop()
        if state == last:
            return True
        for j, (now, goal) in enumerate(zip(state, last, strict=True)):
            if now != goal:
                after = (*state[:j], now + (1 if goal > now else -1), *state[j + 1 :])
                if after not in seen:
                    seen.add(after)
                    if holds(after):
                        todo.append(after)
    return False


def _kept_on(replicas: Replicas, both: Mapping[tuple[str, str, str], int], mbps: int) -> bool:
    """Whether any routes keep these shares on these replicas: a linear program."""
    ways = [(c, p, d) for c, (p, d) in product(both, replicas) if MODEL[d] == c[1] and admissible(c[0], p)]
    if not ways:
        return not any(both.values())
    classes, blocks = sorted(both), sorted(replicas)
    cover, load, wire = (np.zeros((n, len(ways))) for n in (len(classes), len(blocks), len(SITES)))
    for j, (cls, site, shape) in enumerate(ways):
        cover[classes.index(cls), j] = -1.0
        load[blocks.index((site, shape)), j] = float(DEMAND[cls] / CAPACITY[shape])
        wire[SITES.index(site), j] = float(DEMAND[cls] * MBIT)
    wanted = [-both[cls] / SHARES + 1e-8 for cls in classes]
    room = [replicas[block] + 1e-9 for block in blocks]
    most = np.array([*wanted, *room, *(mbps + 1e-9 for _ in SITES)])
    found = linprog(np.zeros(len(ways)), np.vstack([cover, load, wire]), most, bounds=(0, 1))
    return bool(found.status == 0)
