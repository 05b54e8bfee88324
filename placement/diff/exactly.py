"""From a solver's shares to whole parts per billion that keep every row exactly, and what a class then lacks."""

from collections.abc import Iterable, Mapping
from fractions import Fraction
from math import ceil, floor

from placement.diff.ground import Ground
from placement.diff.plans import Key, Routes, Way
from placement.plan.document import BILLION
from placement.plan.steps import Place


def whole(shares: Mapping[Way, float]) -> dict[Way, int]:
    """Shares rounded down, to at most a billion in all, but for what a solver lost below its tolerance."""
    found = {way: min(max(floor(share * BILLION + 1e-3), 0), BILLION) for way, share in sorted(shares.items())}
    over = sum(found.values()) - BILLION
    for way in sorted(found, key=lambda way: -found[way]):
        if over <= 0:
            break
        less = min(over, found[way])
        found[way] -= less
        over -= less
    return {way: share for way, share in found.items() if share > 0}


def settled(ground: Ground, replicas: Mapping[Place, int], routes: Routes, changed: Iterable[Key]) -> Routes:
    """The routes with each row of (4) and (9) kept exactly: `changed` classes give way by as few parts as that takes,
    and get what they lack of `kept` where there is room."""
    rows = _Rows(ground, replicas, routes)
    for key in sorted(changed):
        ways = rows.routes[key]
        for way in sorted(ways):
            less = max((ceil(-left / unit) for left, unit in rows.of(key, way) if left < 0 and unit), default=0)
            rows.send(key, way, -min(less, ways[way]))
    for key in sorted(changed):
        for way in sorted(rows.routes[key], key=lambda way: (-rows.routes[key][way], way)):
            lacks = ground.kept[key] - sum(rows.routes[key].values())
            if lacks <= 0:
                break
            room = min((floor(left / unit) for left, unit in rows.of(key, way) if unit), default=lacks)
            if room > 0:
                rows.send(key, way, min(lacks, room))
    return {key: {way: share for way, share in ways.items() if share} for key, ways in rows.routes.items()}


class _Rows:
    """What is left in every row, exactly, as shares change."""

    def __init__(self, ground: Ground, replicas: Mapping[Place, int], routes: Routes) -> None:
        self.ground, self.replicas = ground, replicas
        self.routes = {key: dict(ways) for key, ways in routes.items()}
        self.busy, *self.wires = ground.busy(routes)

    def of(self, key: Key, way: Way) -> list[tuple[Fraction, Fraction]]:
        """(left, what one part per billion takes) in every row of a route."""
        ground, at = self.ground, (way[0], key[3])
        block, site = ground.block(key, way), ground.facts.sites[way[0]]
        standing = self.replicas.get(ground.place(block, key[3]), 0)
        found = [(standing - self.busy[block, key[3]], ground.load(key, way[1]) / BILLION)]
        limits = (site.uplink_mbps, site.downlink_mbps)
        for sent, limit, megabits in zip(self.wires, limits, ground.megabits(key), strict=True):
            if limit is not None:
                found.append((limit - sent[at], megabits / BILLION))
        return found

    def send(self, key: Key, way: Way, more: int) -> None:
        """So many parts more of a class (or, below 0, fewer)."""
        if not more:
            return
        ground = self.ground
        self.routes[key][way] += more
        self.busy[ground.block(key, way), key[3]] += more * ground.load(key, way[1]) / BILLION
        for sent, megabits in zip(self.wires, ground.megabits(key), strict=True):
            sent[way[0], key[3]] += more * megabits / BILLION
