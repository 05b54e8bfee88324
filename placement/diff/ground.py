"""What a move stands on: the exact facts of the first period, both ends of the way, and any state between them.

λ is the demand of the new plan's scenario: the old plan's inputs are yesterday's, and traffic that comes from now on is
today's. Both plans were made to hold for their own demand, so the larger of the two would be a load that neither end of
the way need bear.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import NamedTuple, TypeAlias, TypeVar

from placement.audit.case import Case
from placement.audit.facts import Facts
from placement.diff.changes import slices_of
from placement.diff.plans import Key, Machine, Plan, Routes, Way
from placement.diff.traffic import latency_ms
from placement.plan.document import BILLION
from placement.plan.steps import SIZES, Place, by_slice

Block: TypeAlias = tuple[str, str, str]
"""Replicas as routes see them: site, shape, tenant."""
Load: TypeAlias = dict[tuple[Block, str], Fraction]
"""Replicas kept busy, by block and time of day."""
Flow: TypeAlias = dict[tuple[str, str], Fraction]
"""Mbit/s by site and time of day."""

ADMISSIBLE, STANDS_IN = 2, 1
"""A route within its budget; one within its backup budget alone."""

Name = TypeVar("Name", bound=tuple[str, ...])


class Row(NamedTuple):
    """A row of (6): GPUs of a type and owner at a site, in a slice of replicas, of this many quarters or more."""

    site: str
    gpu: str
    tenant: str
    slice: str
    size: int


@dataclass(frozen=True)
class Standing:
    """What stands at one time. A place or machine that is not there counts 0."""

    replicas: Mapping[Place, int]
    servers: Mapping[Machine, int]

    def with_(self, replicas: Mapping[Place, int], servers: Mapping[Machine, int]) -> "Standing":
        """The same with so many more (or, below 0, fewer)."""
        return Standing(_plus(self.replicas, replicas), _plus(self.servers, servers))


def _plus(counts: Mapping[Name, int], more: Mapping[Name, int]) -> dict[Name, int]:
    return {**counts, **{name: counts.get(name, 0) + count for name, count in more.items()}}


@dataclass(frozen=True)
class Ground:
    """Both ends of the way, by names that the scenario knows; `strange` are those that it does not, still to be gone.

    `kept` is what both plans serve of each class, parts per billion: min(S0, S1), S0 being the old plan's routes as
    far as they hold under today's rules and today's demand.
    """

    case: Case
    old: Standing
    new: Standing
    strange: Standing
    start: Routes
    goal: Routes
    inadmissible: Mapping[Key, int]
    overloaded: Mapping[Key, int]
    kept: Mapping[Key, int]
    _memo: dict[tuple[Key, Way], int] = field(default_factory=dict)

    @property
    def facts(self) -> Facts:
        return self.case.facts

    @cached_property
    def slices(self) -> tuple[str, ...]:
        """Times of day that replicas may differ between."""
        return slices_of(self.facts)

    def place(self, block: Block, time: str) -> Place:
        """The replicas that serve a block at a time of day."""
        return (*block, time if self.facts.replicas_follow_slices else "")

    def block(self, key: Key, way: Way) -> Block:
        """The replicas at which a route of the class ends."""
        return way[0], way[1], self.facts.tenant(key)

    def quarters(self, shape: str) -> int:
        """Quarters of a GPU that a replica takes."""
        return self.facts.shapes[shape].quarters

    def load(self, key: Key, shape: str) -> Fraction:
        """Replicas that the whole class keeps busy, λ/q."""
        facts = self.facts
        return facts.demand[key].requests_per_s / facts.shapes[shape].requests_per_s[facts.services[key[2]].profile]

    def megabits(self, key: Key) -> tuple[Fraction, Fraction]:
        """Mbit/s up and down of the whole class."""
        service, rate = self.facts.services[key[2]], self.facts.demand[key].requests_per_s
        return rate * 8 * service.kbyte_out / 1000, rate * 8 * service.kbyte_in / 1000

    def admits(self, key: Key, way: Way) -> int:
        """ADMISSIBLE where rules 2 and 3 admit it, STANDS_IN where they do within the backup budget (13), else 0."""
        if (key, way) not in self._memo:
            planned, admitted = latency_ms(self.case, key, way)
            backup_ms = self.facts.services[key[2]].backup_latency_budget_ms
            stands_in = planned is not None and planned <= backup_ms and bool(self._fails)
            stands_in = stands_in and self.case.residency.allows(self.facts, key, way[0])
            self._memo[key, way] = ADMISSIBLE if admitted else STANDS_IN if stands_in else 0
        return self._memo[key, way]

    @cached_property
    def _fails(self) -> tuple[str, ...]:
        return self.case.scenario.document.reliability.n_minus_1

    def busy(self, routes: Routes, keys: Iterable[Key] | None = None) -> tuple[Load, Flow, Flow]:
        """(4, 9) replicas kept busy and Mbit/s up and down of the routes (of some classes), exactly."""
        facts = self.facts
        parts: dict[tuple[Block, str, str], Fraction] = defaultdict(Fraction)
        wires: dict[tuple[str, str, str], Fraction] = defaultdict(Fraction)
        for key in routes if keys is None else keys:
            rate, profile = facts.demand[key].requests_per_s, facts.services[key[2]].profile
            for way, share in routes.get(key, {}).items():
                parts[self.block(key, way), key[3], profile] += share * rate
                wires[way[0], key[3], key[2]] += share * rate
        load: Load = defaultdict(Fraction)
        for (block, time, profile), amount in parts.items():
            load[block, time] += amount / BILLION / facts.shapes[block[1]].requests_per_s[profile]
        up: Flow = defaultdict(Fraction)
        down: Flow = defaultdict(Fraction)
        for (site, time, name), amount in wires.items():
            up[site, time] += amount * 8 * facts.services[name].kbyte_out / 1000 / BILLION
            down[site, time] += amount * 8 * facts.services[name].kbyte_in / 1000 / BILLION
        return load, up, down

    def room(self, standing: Standing, site: str | None = None) -> dict[Row, int]:
        """(6) quarters left in every row (of one site); below 0 where too many stand."""
        facts, left = self.facts, dict[Row, int]()
        for machine, count in standing.servers.items():
            if site is None or machine[0] == site:
                for row in self.rows_of_server(machine):
                    left[row] = left.get(row, 0) + count * int(4 * facts.servers[machine[1]].gpus)
        for place, count in standing.replicas.items():
            if site is None or place[0] == site:
                for row in self.rows_of(place):
                    left[row] = left.get(row, 0) - count * self.quarters(place[1])
        return left

    def rows_of(self, place: Place) -> Iterator[Row]:
        """The rows that a replica takes part in."""
        shape = self.facts.shapes[place[1]]
        for size in SIZES:
            if size <= shape.quarters:
                yield Row(place[0], shape.gpu, place[2], place[3], size)

    def rows_of_server(self, machine: Machine) -> Iterator[Row]:
        """The rows that a server makes room in."""
        server = self.facts.servers[machine[1]]
        for size in SIZES:
            if size <= 4 * server.gpus:
                for name in self.slices:
                    yield Row(machine[0], server.gpu, machine[2], name, size)

    def drawn(self, servers: Mapping[Machine, int], site: str | None = None) -> tuple[Fraction, Fraction]:
        """(7, 8) kW and rack units of servers (of one site)."""
        kw = units = Fraction(0)
        for machine, count in servers.items():
            if count and (site is None or machine[0] == site):
                kind = self.facts.servers[machine[1]]
                kw += kind.power_kw * count
                units += kind.rack_units * count
        return kw, units

    def seconds(self, place: Place) -> Fraction:
        """What the weights of a shape take over the uplink of a site, 8000·weights_gb/uplink_mbps."""
        uplink = self.facts.sites[place[0]].uplink_mbps
        return 8000 * self.facts.shapes[place[1]].weights_gb / uplink if uplink else Fraction(0)


def ground(case: Case, old: Plan, new: Plan) -> Ground:
    """The way from the old plan to the new one."""
    facts = case.facts
    replicas_old, strange = _known(facts, by_slice(old.replicas, slices_of(facts)))
    replicas_new, _ = _known(facts, by_slice(new.replicas, slices_of(facts)))
    counts = {machine: stands.count for machine, stands in old.servers.items() if stands.count}
    known = {m: n for m, n in counts.items() if m[0] in facts.sites and m[1] in facts.servers and m[2] in facts.tenants}
    goal = {key: dict(new.routes.get(key, {})) for key in facts.demand}
    found = Ground(
        case,
        Standing(replicas_old, known),
        Standing(replicas_new, {machine: stands.count for machine, stands in new.servers.items() if stands.count}),
        Standing(strange, {machine: n for machine, n in counts.items() if machine not in known}),
        {},
        goal,
        {},
        {},
        {},
    )
    return _started(found, old.routes)


def _known(facts: Facts, replicas: Mapping[Place, int]) -> tuple[dict[Place, int], dict[Place, int]]:
    """Replicas by names that the scenario knows, and the others."""
    known: dict[Place, int] = {}
    strange: dict[Place, int] = {}
    for place, count in replicas.items():
        site, shape, tenant, name = place
        fits = site in facts.sites and shape in facts.shapes and tenant in facts.tenants and name in slices_of(facts)
        (known if fits and facts.shapes[shape].quarters else strange)[place] = count
    return known, strange


def _started(bare: Ground, routes: Routes) -> Ground:
    """With the old routes as far as they hold now: admissible, and where a row is overloaded all of it alike less."""
    admitted, inadmissible = {}, {}
    for key in bare.facts.demand:
        ways = routes.get(key, {})
        stays = {
            way: share
            for way, share in ways.items()
            if bare.admits(key, way) == ADMISSIBLE
            and bare.old.replicas.get(bare.place(bare.block(key, way), key[3]), 0)
        }
        admitted[key] = stays
        lost = sum(ways.values()) - sum(stays.values())
        if lost:
            inadmissible[key] = lost
    start, overloaded = _held_back(bare, admitted)
    kept = {key: min(sum(start[key].values()), sum(bare.goal[key].values())) for key in start}
    return Ground(bare.case, bare.old, bare.new, bare.strange, start, bare.goal, inadmissible, overloaded, kept)


def _held_back(bare: Ground, routes: Routes) -> tuple[dict[Key, dict[Way, int]], dict[Key, int]]:
    """Routes within capacity and wires: what ends at an overloaded one is scaled down alike. And what that takes."""
    load, up, down = bare.busy(routes)
    found, lost = {}, {}
    for key, ways in routes.items():
        fewer = {}
        for way, share in ways.items():
            block, site = bare.block(key, way), bare.facts.sites[way[0]]
            part = Fraction(1)
            for used, limit in (
                (load[block, key[3]], bare.old.replicas[bare.place(block, key[3])]),
                (up[way[0], key[3]], site.uplink_mbps),
                (down[way[0], key[3]], site.downlink_mbps),
            ):
                if limit is not None and used > limit:
                    part = min(part, limit / used)
            fewer[way] = int(share * part)
        found[key] = {way: share for way, share in fewer.items() if share}
        gone = sum(ways.values()) - sum(fewer.values())
        if gone:
            lost[key] = gone
    return found, lost
