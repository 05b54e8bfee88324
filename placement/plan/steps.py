"""(14) From the replicas that stand to those of the plan: an order of steps that never lacks a GPU.

What is promised, with the servers of the plan's first period standing; its jobs start when the moves are done:

- The steps lead exactly from the old replicas to the new ones; no place is both added to and drained.
- After every addition each row of (6) holds with old and new replicas standing together. Where the old replicas by
  themselves exceed a row (their servers are gone), nothing is added there until drains have made room.
- Before any replica is drained at a (site, GPU type, tenant), everything there that fits is added; all sites add what
  fits before any site drains, so that traffic can move away first.
- Where nothing more fits, as few replicas as let one more in are drained, of a model that keeps a replica at the site
  if there is one, and additions go on from there.
- No place is ever drained below what the plan has there, which is what its routes need.
- Replicas that the tables no longer know (of a shape, a site or a slice that is gone) are drained last; their GPUs
  cannot be counted.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Place = tuple[str, str, str, str]
"""(site, shape, tenant or "" for anybody, slice or "" for every slice)"""

SIZES = (1, 8, 16, 32)
"""Quarter GPUs from which on a row of (6) counts: all, and servers of 2, 4 and 8."""


@dataclass(frozen=True)
class Size:
    """What a replica of a shape takes: quarters of a GPU of one type; and the model it runs."""

    gpu: str
    quarters: int
    model: str


@dataclass(frozen=True)
class Machines:
    """Servers of the first period by (site, GPU type, tenant), and the times of day that replicas may differ between.

    `slices` is ("",) where replicas stand in every slice.
    """

    servers: Mapping[tuple[str, str, str], Sequence[tuple[int, int]]]  # (GPUs of a server, servers)
    slices: tuple[str, ...] = ("",)


@dataclass(frozen=True)
class Step:
    """One step of the list: start or stop `count` replicas."""

    action: Literal["add", "drain"]
    place: Place
    count: int


def safe_steps(
    old: Mapping[Place, int],
    new: Mapping[Place, int],
    sizes: Mapping[str, Size],
    sites: frozenset[str],
    machines: Machines,
) -> list[Step]:
    """The steps in order, as the module promises.

    Raises:
        ValueError: the new replicas by themselves exceed the servers, so that no order exists.
    """
    old, new = by_slice(old, machines.slices), by_slice(new, machines.slices)
    known = {place for place in old | new if place[1] in sizes and place[0] in sites and place[3] in machines.slices}
    pools: dict[tuple[str, str, str], _Pool] = {}
    for place in sorted(known):
        size = sizes[place[1]]
        key = (place[0], size.gpu, place[2])
        if key not in pools:
            pools[key] = _Pool(_room(machines.servers.get(key, ()), machines.slices))
        pools[key].take(place, size, old.get(place, 0), new.get(place, 0))
    ordered = [pools[key] for key in sorted(pools)]
    steps: list[Step] = []
    for pool in ordered:
        steps += pool.add_what_fits()
    for pool in ordered:
        steps += pool.swap()
    for pool in ordered:
        steps += pool.drain_the_rest()
    return steps + [Step("drain", place, old[place]) for place in sorted(old) if place not in known and old[place]]


def by_slice(replicas: Mapping[Place, int], slices: tuple[str, ...]) -> dict[Place, int]:
    """Replicas in each of the `slices`; where those are ("",), what stood in any slice stands in every one."""
    found: dict[Place, int] = {}
    if slices != ("",):
        for (site, shape, tenant, name), count in replicas.items():
            for at in (name,) if name else slices:
                found[site, shape, tenant, at] = found.get((site, shape, tenant, at), 0) + count
        return found
    most: dict[Place, int] = {}
    for (site, shape, tenant, name), count in replicas.items():
        place = (site, shape, tenant, "")
        if name:
            most[place] = max(most.get(place, 0), count)
        else:
            found[place] = found.get(place, 0) + count
    return {place: found.get(place, 0) + most.get(place, 0) for place in found | most}


def _room(servers: Sequence[tuple[int, int]], slices: tuple[str, ...]) -> dict[tuple[str, int], int]:
    """Quarter GPUs by (slice, size) that servers of (GPUs, count) have."""
    held = {size: sum(4 * gpus * count for gpus, count in servers if 4 * gpus >= size) for size in SIZES}
    return {(name, size): quarters for name in slices for size, quarters in held.items()}


@dataclass
class _Pool:
    """The GPUs of one type and owner at a site: what stands, and what is still to come and to go."""

    room: dict[tuple[str, int], int]  # left, by (slice, size)
    size: dict[Place, Size] = field(default_factory=dict)
    standing: dict[Place, int] = field(default_factory=dict)
    to_add: dict[Place, int] = field(default_factory=dict)
    to_drain: dict[Place, int] = field(default_factory=dict)

    def take(self, place: Place, size: Size, old: int, new: int) -> None:
        """A place of the pool: `old` replicas stand and `new` shall."""
        self.size[place] = size
        self._stand(place, old)
        if new > old:
            self.to_add[place] = new - old
        elif new < old:
            self.to_drain[place] = old - new

    def add_what_fits(self) -> Iterator[Step]:
        """Additions, large replicas first, as many of each as fit."""
        for place in sorted(self.to_add, key=lambda place: (-self.size[place].quarters, place)):
            count = min(self.to_add[place], self._fit(place))
            if count > 0:
                yield self._step("add", place, count)

    def swap(self) -> Iterator[Step]:
        """Drains that make room for one more addition, and what then fits, until all is added."""
        while self.to_add:
            wanted = min(self.to_add, key=lambda place: (-self.size[place].quarters, place))
            yield self._drain_for(wanted)
            yield from self.add_what_fits()

    def drain_the_rest(self) -> Iterator[Step]:
        """What is left to drain once everything is added."""
        for place in sorted(self.to_drain):
            yield self._step("drain", place, self.to_drain[place])

    def _drain_for(self, wanted: Place) -> Step:
        """The drain that makes most sense for a `wanted` addition that does not fit."""
        at, need = wanted[3], self.size[wanted].quarters
        asked = {size: need if size <= need else 0 for size in SIZES}
        short = {size: asked[size] - self.room[at, size] for size in SIZES if self.room[at, size] < asked[size]}
        useful = [p for p in self.to_drain if p[3] == at and any(size <= self.size[p].quarters for size in short)]
        if not useful:
            raise ValueError(f"the plan's replicas at {wanted[0]} need more GPUs than its servers have")
        place = min(useful, key=lambda place: (not self._keeps_model(place), place))
        lack = max(amount for size, amount in short.items() if size <= self.size[place].quarters)
        count = min(self.to_drain[place], -(-lack // self.size[place].quarters))
        return self._step("drain", place, count)

    def _keeps_model(self, place: Place) -> bool:
        """Whether the model still has a replica here when all of the place that shall go is gone."""
        model = self.size[place].model
        return any(
            count > (self.to_drain[place] if other == place else 0)
            for other, count in self.standing.items()
            if self.size[other].model == model and other[3] == place[3]
        )

    def _fit(self, place: Place) -> int:
        """How many more replicas fit; none while another row of the slice is exceeded."""
        quarters, at = self.size[place].quarters, place[3]
        if min(self.room[at, size] for size in SIZES) < 0:
            return 0
        return min(self.room[at, size] // quarters for size in SIZES if size <= quarters)

    def _stand(self, place: Place, count: int) -> None:
        """`count` more (or, below 0, fewer) replicas."""
        self.standing[place] = self.standing.get(place, 0) + count
        quarters = self.size[place].quarters
        for size in SIZES:
            if size <= quarters:
                self.room[place[3], size] -= count * quarters

    def _step(self, action: Literal["add", "drain"], place: Place, count: int) -> Step:
        """Take the step."""
        waiting = self.to_add if action == "add" else self.to_drain
        waiting[place] -= count
        if not waiting[place]:
            del waiting[place]
        self._stand(place, count if action == "add" else -count)
        return Step(action, place, count)
