"""One wave as a small mixed-integer program: what is added, what is switched, what is drained, of some sites.

y, n       replicas and servers that stand before the wave; R, W, U: quarters, kW and rack units left then
a, m       replicas added, servers installed: integer, up to what is still to come
d, q       replicas drained, servers retired: integer, up to what is still to go
t          (`push`) replicas that stop though they are to stay, where servers are exchanged; they come again later
x_cw       share of class c on way w after the switch; s_c what it lacks of `kept`; b: of x, on backup budgets alone
z, v       (`push`) replicas and servers that would fit once the wave is over

    cover    Σ_w x_cw + s_c ≥ kept_c,  Σ_w x_cw ≤ 1
    (4)      Σ load_cw·x_cw − a + d ≤ y − (what other classes keep busy)           every block and time
    (9)      Σ megabits_c·x_cw ≤ wire − (what other classes send)                  every site and time, both ways
    (6)      Σ g·a − Σ G·m ≤ R, and after it Σ g·(a − d) − Σ G·(m − q) ≤ R          every row
    (7, 8)   Σ kW·m ≤ W, Σ U·m ≤ U
    push     Σ g·(a − d + z) − Σ G·(m − q + v) ≤ R, Σ kW·(m − q + v) ≤ W, the same of U, Σ z + Σ v ≥ 1

Where `push`, t stands beside d everywhere, and Σ t only where Σ v ≥ 1. What classes lack is made small first: requests
unserved, then those on backup budgets; and then progress large, Σ g·(a + d − t) + Σ G·(m + q). Without `push` no class
may lack more than it did before; with it something will fit next.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import TypeAlias

import numpy as np
import scipy.sparse as sp

from placement.diff.ground import ADMISSIBLE, Block, Ground, Name, Row, Standing
from placement.diff.plans import Key, Machine, Way
from placement.plan.document import BILLION
from placement.plan.steps import Place
from solvers.exact.backends import End, solve_glop, solve_highs
from solvers.exact.model import Program

UNSERVED, BACKUP = 1e4, 1e2
"""Weights of what is made small first: of all requests unserved, of all on backup budgets."""
NEXT, PAUSED, QUIET = 0.1, 0.5, 1e-3
"""Beside a GPU's progress: of a GPU that would fit next, of one that stops for a while, of all requests rerouted."""
LOST_SLACK = 1e-4
"""Of what is made small first, for the solver's tolerance: a hundred-millionth of the requests."""
SLACK = 2e-9
"""Of a class: below the solver's own tolerance, and made good exactly afterwards."""

Shares: TypeAlias = dict[Key, dict[Way, float]]


@dataclass(frozen=True)
class Still:
    """What is left to come and to go at some sites."""

    add: Mapping[Place, int]
    install: Mapping[Machine, int]
    drain: Mapping[Place, int]
    retire: Mapping[Machine, int]

    def __bool__(self) -> bool:
        return any(any(counts.values()) for counts in (self.add, self.install, self.drain, self.retire))

    @property
    def whole_numbers(self) -> int:
        """Decisions that are counts."""
        return sum(len(counts) for counts in (self.add, self.install, self.drain, self.retire))


@dataclass(frozen=True)
class Task:
    """What a wave of some sites is found from. `spare` is what other classes leave, `before` today's shares."""

    ground: Ground
    standing: Standing
    still: Still
    ways: Mapping[Key, Sequence[Way]]  # of the classes that may be sent elsewhere
    before: Mapping[Key, Mapping[Way, int]]
    replicas_left: Mapping[tuple[Block, str], float]  # y − what other classes keep busy; every block of `ways`
    wires_left: tuple[Mapping[tuple[str, str], float], Mapping[tuple[str, str], float]]  # of limited wires
    push: bool = False
    gap: float = 1e-6  # relative, of either goal


@dataclass(frozen=True)
class Found:
    """A wave of some sites."""

    add: dict[Place, int]
    install: dict[Machine, int]
    drain: dict[Place, int]
    retire: dict[Machine, int]
    shares: Shares

    @property
    def moves(self) -> bool:
        """Whether anything comes or goes."""
        return any((self.add, self.install, self.drain, self.retire))


@dataclass(frozen=True, kw_only=True)
class _Wave(Program):
    names: tuple[str, ...]

    def row_names(self) -> Iterator[str]:
        return (f"row {number}" for number in range(len(self.row_upper)))

    def column_names(self) -> Iterator[str]:
        return iter(self.names)


@dataclass
class _Rows:
    """Columns and rows as they are made."""

    cost: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    whole: list[bool] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    entries: list[tuple[int, int, float]] = field(default_factory=list)
    low: list[float] = field(default_factory=list)
    high: list[float] = field(default_factory=list)

    def column(self, name: str, upper: float, cost: float = 0.0, *, whole: bool = False) -> int:
        self.names.append(name)
        self.upper.append(upper)
        self.cost.append(cost)
        self.whole.append(whole)
        return len(self.cost) - 1

    def row(self, entries: Iterable[tuple[int, float]], low: float = -inf, high: float = inf) -> None:
        number = len(self.low)
        self.entries += [(number, column, value) for column, value in entries if value]
        self.low.append(low)
        self.high.append(high)

    def program(self, cost: Mapping[int, float] | None = None) -> _Wave:
        """The program, or one of another goal on the same rows."""
        entries = np.array(self.entries, np.float64).reshape(-1, 3)
        at, shape = entries[:, :2].astype(np.int64), (len(self.low), len(self.cost))
        return _Wave(
            cost=np.array(self.cost if cost is None else [cost.get(j, 0.0) for j in range(len(self.cost))]),
            lower=np.zeros(len(self.cost)),
            upper=np.array(self.upper),
            integer=np.array(self.whole, np.bool_),
            matrix=sp.coo_matrix((entries[:, 2], (at[:, 0], at[:, 1])), shape=shape).tocsr(),
            row_lower=np.array(self.low),
            row_upper=np.array(self.high),
            row_scale=np.ones(len(self.low)),
            names=tuple(self.names),
        )


def solve(task: Task) -> Found | None:
    """The wave; None where there is none."""
    building = _Building(task)
    rows, lacking = building.rows, building.lacking
    if not rows.cost:
        return None
    least: list[float] | None = None
    if lacking:
        least = _solved(rows.program(dict(lacking)), task.gap)
        if least is None:
            return None
        lost = sum(least[column] * weight for column, weight in lacking)
        rows.row(lacking, high=lost + LOST_SLACK)
    values = _solved(rows.program(), task.gap) or least
    return None if values is None else building.found(values)


def _solved(program: "_Wave", gap: float) -> list[float] | None:
    whole = bool(program.integer.any())
    answer = solve_highs(program, time_limit_s=None, gap=gap) if whole else solve_glop(program)
    return answer.values.tolist() if answer.values is not None and answer.end is End.DONE else None


class _Building:
    """The program of a task, and what its columns mean."""

    def __init__(self, task: Task) -> None:
        self.task, self.ground, self.rows = task, task.ground, _Rows()
        still, gpus = task.still, self._gpus
        self.add = self._counted("a", still.add, gpus)
        self.drain = self._counted("d", still.drain, gpus)
        self.install = self._counted("m", still.install, self._server_gpus)
        self.retire = self._counted("q", still.retire, self._server_gpus)
        self.pause = self._counted("t", self._pausable(), lambda place: -PAUSED * gpus(place)) if task.push else {}
        self.next_add = self._counted("z", still.add, lambda place: NEXT * gpus(place)) if task.push else {}
        more = self._server_gpus
        self.next_install = self._counted("v", still.install, lambda kind: NEXT * more(kind)) if task.push else {}
        self.lacking: list[tuple[int, float]] = []  # columns of what classes lack, with what they weigh
        facts = self.ground.facts
        self.rate = {key: float(facts.demand[key].requests_per_s) for key in task.ways}
        self.asked = sum(self.rate.values()) or 1.0
        self.share: dict[tuple[Key, Way], int] = {}
        self._traffic()
        self._gpu_rows()
        self._site_rows()
        if task.push:
            self._left_rows()

    def found(self, values: list[float]) -> Found:
        """What the values of the columns say."""
        shares: Shares = defaultdict(dict)
        for (key, way), column in self.share.items():
            shares[key][way] = values[column]

        def counts(kind: Mapping[Name, int]) -> dict[Name, int]:
            return {name: count for name, column in kind.items() if (count := round(values[column]))}

        drain = counts(self.drain)
        for place, count in counts(self.pause).items():
            drain[place] = drain.get(place, 0) + count
        return Found(counts(self.add), counts(self.install), drain, counts(self.retire), dict(shares))

    def _counted(self, letter: str, counts: Mapping[Name, int], gpus: Callable[[Name], float]) -> dict[Name, int]:
        """A column for each count that may change, at what progress with one of it is worth."""
        return {
            name: self.rows.column(f"{letter}|{'|'.join(name)}", count, -gpus(name), whole=True)
            for name, count in sorted(counts.items())
            if count
        }

    def _pausable(self) -> dict[Place, int]:
        """Replicas that are to stay where servers are still to come: they may have to make way."""
        standing, still = self.task.standing.replicas, self.task.still
        sites = {machine[0] for machine in still.install}
        return {
            place: count - still.drain.get(place, 0)
            for place, count in standing.items()
            if place[0] in sites and count > still.drain.get(place, 0)
        }

    def _gpus(self, place: Place) -> float:
        return self.ground.quarters(place[1]) / 4

    def _server_gpus(self, machine: Machine) -> float:
        return float(self.ground.facts.servers[machine[1]].gpus)

    def _traffic(self) -> None:
        """cover, (4), (9)."""
        task, ground = self.task, self.ground
        blocks: dict[tuple[Block, str], list[tuple[int, float]]] = defaultdict(list)
        wires: tuple[dict[tuple[str, str], list[tuple[int, float]]], ...] = (defaultdict(list), defaultdict(list))
        for key in sorted(task.ways):
            weight, had = self.rate[key] / self.asked, task.before.get(key, {})
            columns = []
            for way in task.ways[key]:
                within = ground.admits(key, way) == ADMISSIBLE
                most = 1.0 if within or task.push else had.get(way, 0) / BILLION
                cost = 0.0 if way in had else QUIET * weight
                column = self.rows.column(f"x|{'|'.join((*key, *way))}", most, cost)
                if not within:
                    self.lacking.append((column, BACKUP * weight))
                self.share[key, way] = column
                columns.append((column, 1.0))
                blocks[ground.block(key, way), key[3]].append((column, float(ground.load(key, way[1]))))
                for sent, megabits in zip(wires, ground.megabits(key), strict=True):
                    sent[way[0], key[3]].append((column, float(megabits)))
            kept = ground.kept[key] / BILLION
            lacks = kept if task.push else max(kept - sum(had.values()) / BILLION, 0.0)
            self.rows.row(columns, high=1.0)
            if lacks:
                short = self.rows.column(f"s|{'|'.join(key)}", lacks)
                self.lacking.append((short, UNSERVED * weight))
                columns.append((short, 1.0))
            if kept > SLACK:
                self.rows.row(columns, low=kept - SLACK)
        for (block, time), entries in sorted(blocks.items()):
            place = ground.place(block, time)
            kinds = ((self.add, -1.0), (self.drain, 1.0), (self.pause, 1.0))
            changes = [(kind[place], sign) for kind, sign in kinds if place in kind]
            self.rows.row([*entries, *changes], high=task.replicas_left[block, time])
        for sent, left in zip(wires, task.wires_left, strict=True):
            for where, entries in sorted(sent.items()):
                if where in left:
                    self.rows.row(entries, high=left[where])

    def _gpu_rows(self) -> None:
        """(6) while both stand, and after it."""
        room = self.ground.room(self.task.standing)
        for row, parts in sorted(self._by_row().items()):
            left = float(room.get(row, 0))
            if left < 0:  # too many stand already: nothing is added, no server is taken away, until drains make room
                self._forbid(column for column, _, kind in parts if kind in "aq")
            else:
                self.rows.row([(column, size) for column, size, kind in parts if kind in "am"], high=left)
            if any(kind == "q" for _, _, kind in parts):
                after = [(column, size) for column, size, kind in parts if kind in "amdtq"]
                self.rows.row(after, high=max(left, 0.0))
            if self.task.push and any(kind in "zv" for _, _, kind in parts):
                coming = [(column, size) for column, size, kind in parts if kind in "zv"]
                kept = [(column, size) for column, size, kind in parts if kind in "amdtq"]
                self._fits("|".join(map(str, row)), coming, kept, left)

    def _fits(self, row: str, coming: list[tuple[int, float]], kept: list[tuple[int, float]], left: float) -> None:
        """push: what would come next fits; in a row that is exceeded only where drains make up for that, too."""
        if left >= 0:
            self.rows.row([*coming, *kept], high=left)
            return
        some = self.rows.column(f"any|{row}", 1.0, whole=True)  # 1 where any of it comes
        for column, size in coming:
            if size > 0:
                self.rows.row([(column, 1.0), (some, -self.rows.upper[column])], high=0.0)
        self.rows.row([*coming, *kept, (some, -left)], high=0.0)

    def _by_row(self) -> dict[Row, list[tuple[int, float, str]]]:
        """The columns of each row of (6), with what they take there, and their kind."""
        found: dict[Row, list[tuple[int, float, str]]] = defaultdict(list)
        for letter, kind, sign in (
            ("a", self.add, 1),
            ("d", self.drain, -1),
            ("t", self.pause, -1),
            ("z", self.next_add, 1),
        ):
            for place, column in kind.items():
                for row in self.ground.rows_of(place):
                    found[row].append((column, float(sign * self.ground.quarters(place[1])), letter))
        for letter, servers, sign in (("m", self.install, -1), ("q", self.retire, 1), ("v", self.next_install, -1)):
            for machine, column in servers.items():
                for row in self.ground.rows_of_server(machine):
                    found[row].append((column, sign * 4 * self._server_gpus(machine), letter))
        return found

    def _site_rows(self) -> None:
        """(7, 8) kW and rack units of what is installed; and of what would be next."""
        facts, comes = self.ground.facts, self.install | self.next_install
        for site in sorted({machine[0] for machine in comes}):
            drawn, place = self.ground.drawn(self.task.standing.servers, site), facts.sites[site]
            for what, used, limit in zip(
                ("power_kw", "rack_units"), drawn, (place.usable_kw, place.rack_units), strict=True
            ):
                left = float(limit - used)
                installed = self._drawn_by(self.install, site, what, 1.0)
                if left < 0:
                    self._forbid(column for column, _ in installed)
                else:
                    self.rows.row(installed, high=left)
                if self.next_install:
                    retired = self._drawn_by(self.retire, site, what, -1.0)
                    coming = self._drawn_by(self.next_install, site, what, 1.0)
                    self._fits(f"{what}|{site}", coming, [*installed, *retired], left)

    def _drawn_by(self, kind: Mapping[Machine, int], site: str, what: str, sign: float) -> list[tuple[int, float]]:
        servers = self.ground.facts.servers
        return [(column, sign * float(getattr(servers[m[1]], what))) for m, column in kind.items() if m[0] == site]

    def _left_rows(self) -> None:
        """push: something would fit next, of what is not added in this wave."""
        for name, column in self.next_add.items():
            self.rows.row([(column, 1.0), (self.add[name], 1.0)], high=self.rows.upper[column])
        for machine, column in self.next_install.items():
            self.rows.row([(column, 1.0), (self.install[machine], 1.0)], high=self.rows.upper[column])
        coming = [*self.next_add.values(), *self.next_install.values()]
        self.rows.row([(column, 1.0) for column in coming], low=1.0)
        installed = [(column, -self._most_paused) for column in self.next_install.values()]
        self.rows.row([*((column, 1.0) for column in self.pause.values()), *installed], high=0.0)

    @property
    def _most_paused(self) -> float:
        return sum(self.rows.upper[column] for column in self.pause.values())

    def _forbid(self, columns: Iterable[int]) -> None:
        for column in columns:
            self.rows.upper[column] = 0.0
