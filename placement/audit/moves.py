"""Rule 14: how far the first period is from the plan before, and whether the published steps lead there safely.

What a step must keep. The moves begin with the replicas of the plan before and end with those of this plan, exactly, in
every slice. A step may hold several rows: first its additions stand beside all that stands, then its drains go.

    6     After the additions, all replicas of a pool fit on its GPUs, by size: those of the servers of both plans (of
          each kind the larger count), since old ones leave and new ones arrive around the moves.
    7, 8  Where a site cannot hold the servers of both, only those of this plan count.
    4     A drain leaves as many replicas as the new routes keep busy there, in every slice: whatever is drained carries
          old traffic only. Traffic changes over to the new routes, so their replacement stands when the last addition
          does; where there is no room for both, a drain comes first and its traffic falls back on the reserve (13).
    9     Traffic flows by the old routes or by the new ones, never by both, and each plan keeps the wires by itself.

Jobs start when the moves are done. Adding takes 8000·weights_gb/uplink_mbps seconds, the weights of a replica over the
uplink of its site; draining takes none. What the tables no longer know (a site, a shape, a slice that is gone) can only
be drained, and its GPUs cannot be counted.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from placement.audit.facts import Facts
from placement.audit.json_text import JsonError, read_json
from placement.audit.machines import Packed, Pool, check_packing, drawn, pool_of, room_of, spell_pool
from placement.audit.month import Block, Month, spell_block, standing_by_slice
from placement.audit.plan_files import PlanFiles, read_standing
from placement.audit.plan_rows import Move, Standing
from placement.audit.report import Findings

SECONDS_TOLERANCE = Fraction(1, 10**6)


@dataclass(frozen=True)
class Before:
    """What stood in the first period of the plan before."""

    servers: tuple[Standing, ...]  # of kinds and at sites that the tables still know
    standing: Mapping[tuple[Block, str], int]  # replicas by block and slice, of all that stood


def read_before(month: Month, findings: Findings) -> Before | None:
    """The plan that the scenario counts moves from; None where it names none or it cannot be read."""
    named = month.case.scenario.document.stability.previous_plan
    if named is None:
        return None
    try:
        document = read_json(Path(month.case.scenario.folder) / named / "plan.json")
    except JsonError as error:
        findings.check("14 moves", False, named, f"the plan before cannot be read: {error}")
        return None
    read = read_standing(document)
    if read is None:
        findings.check("14 moves", False, named, "the plan before is no plan")
        return None
    servers, replicas = read
    facts = month.facts
    standing = standing_by_slice(replicas, tuple(facts.hours))
    if not facts.replicas_follow_slices:  # what stood in any slice is there in all
        most: dict[Block, int] = defaultdict(int)
        for (block, _), count in standing.items():
            most[block] = max(most[block], count)
        standing = {(block, name): count for block, count in most.items() for name in facts.hours}
    known = (row for row in servers if row.site in facts.sites and row.server in facts.servers)
    return Before(tuple(known), standing)


def added(month: Month, before: Before) -> dict[str, int]:
    """Σ (y − y0)⁺ by slice."""
    found = dict.fromkeys(month.facts.hours, 0)
    for (block, name), count in month.standing.items():
        found[name] += max(count - before.standing.get((block, name), 0), 0)
    return found


def added_in_all(month: Month, before: Before | None) -> int:
    """Replicas added, each once; those that follow the slices once for every slice that they are added in."""
    if before is None:
        return 0
    by_slice = added(month, before).values()
    return sum(by_slice) if month.facts.replicas_follow_slices else max(by_slice, default=0)


def check_moves(month: Month, before: Before | None, plan: PlanFiles, findings: Findings) -> None:
    """(14) for the first period: the limit on additions, and every step."""
    stability = month.case.scenario.document.stability
    if before is None:
        if stability.previous_plan is None:
            findings.check("rule off", not plan.moves, "moves", "the scenario names no plan before")
        return
    for name, count in sorted(added(month, before).items()):
        where = "replicas added" + (f" in {name}" if name else "")
        findings.at_most("14 moves", count, stability.max_moves, where, "replicas")
    known = [move for move in plan.moves if _is_known(month.facts, move, findings)]
    _Walk(month, before, findings).take(known)


def _is_known(facts: Facts, move: Move, findings: Findings) -> bool:
    """Whether the move is of something that could stand, or drains what cannot; and takes as long as it says."""
    where = f"step {move.step}"
    if move.action == "drain":
        findings.check("14 steps", move.seconds == 0, where, f"a drain takes {float(move.seconds):.9g} s, not 0")
        return True
    known = move.site in facts.sites and move.shape in facts.shapes and move.tenant in facts.tenants
    known = known and (not move.slice or (move.slice in facts.hours and facts.replicas_follow_slices))
    if not findings.check("14 steps", known, where, f"{move.shape} at {move.site}: no such replicas in the scenario"):
        return False
    uplink = facts.sites[move.site].uplink_mbps
    seconds = 8000 * facts.shapes[move.shape].weights_gb / uplink if uplink else Fraction(0)
    off = abs(move.seconds - seconds)
    detail = f"the plan says {float(move.seconds):.9g} s, the weights take {float(seconds):.9g}"
    findings.check("14 steps", off <= SECONDS_TOLERANCE * max(seconds, Fraction(1)), where, detail, off)
    return True


class _Walk:
    """Takes the steps one after the other and looks at what stands."""

    def __init__(self, month: Month, before: Before, findings: Findings) -> None:
        self.month, self.facts, self.findings = month, month.facts, findings
        self.count: dict[tuple[Block, str], int] = defaultdict(int, before.standing)
        self.room = room_between(month.facts, before.servers, month.servers)
        self.blocks: dict[Pool, set[Block]] = defaultdict(set)
        for block, _ in self.count:
            if block[0] in self.facts.sites and block[1] in self.facts.shapes:
                self.blocks[pool_of(self.facts, *block)].add(block)

    def take(self, moves: Iterable[Move]) -> None:
        """All steps, in their order, and what stands at the end."""
        steps: dict[int, list[Move]] = defaultdict(list)
        for move in moves:
            steps[move.step].append(move)
        numbered = sorted(steps) == list(range(1, len(steps) + 1))
        self.findings.check("14 steps", numbered, "steps", f"are numbered {sorted(steps)[:9]}, not from 1 on")
        for number in sorted(steps):
            self._step(number, steps[number])
        wanted = self.month.standing
        for place in sorted(self.count.keys() | wanted.keys()):
            stands, want = self.count.get(place, 0), wanted.get(place, 0)
            detail = f"the steps leave {stands} replicas, the plan has {want}"
            self.findings.check("14 steps", stands == want, spell_block(*place), detail)

    def _step(self, number: int, moves: list[Move]) -> None:
        grown: dict[Pool, set[str]] = defaultdict(set)  # where old replicas are too many at night, the day may go on
        for move in moves:
            if move.action == "add":
                block = (move.site, move.shape, move.tenant)
                pool = pool_of(self.facts, *block)
                self.blocks[pool].add(block)
                for name in self._slices(move):
                    self.count[(block, name)] += move.count
                    grown[pool].add(name)
        for pool in sorted(grown):
            self._packs(number, pool, grown[pool])
        for move in moves:
            if move.action == "drain":
                self._drain(number, move)

    def _packs(self, number: int, pool: Pool, slices: set[str]) -> None:
        for name in sorted(slices) if self.facts.replicas_follow_slices else self.facts.day[:1]:
            taken: Packed = []
            for block in self.blocks[pool]:
                gpus = self.facts.shapes[block[1]].gpus
                taken.append((gpus, gpus * self.count[(block, name)]))
            where = f"step {number}: {spell_pool(pool, name if self.facts.replicas_follow_slices else '')}"
            check_packing(where, taken, self.room.get(pool, []), self.findings, "14 steps")

    def _drain(self, number: int, move: Move) -> None:
        block = (move.site, move.shape, move.tenant)
        for name in self._slices(move):
            self.count[(block, name)] -= move.count
            left, busy = self.count[(block, name)], self.month.busy.get((block, name), Fraction(0))
            detail = f"{left} replicas are left, and the new routes keep {float(busy):.9g} busy"
            self.findings.check("14 steps", left >= busy, f"step {number}: {spell_block(block, name)}", detail)

    def _slices(self, move: Move) -> tuple[str, ...]:
        return (move.slice,) if move.slice else tuple(self.facts.hours)


def room_between(facts: Facts, before: tuple[Standing, ...], after: tuple[Standing, ...]) -> dict[Pool, Packed]:
    """GPUs that stand while replicas move: on servers of both plans where the site can hold them, else on the new."""
    counts: dict[str, dict[tuple[str, str], list[int]]] = defaultdict(lambda: defaultdict(lambda: [0, 0]))
    for j, servers in enumerate((before, after)):
        for row in servers:
            counts[row.site][(row.server, row.tenant)][j] += row.count
    found: list[Standing] = []
    for name, kinds in counts.items():
        together: dict[str, int] = defaultdict(int)
        for (server, _), pair in kinds.items():
            together[server] += max(pair)
        (kw, units), site = drawn(facts, together), facts.sites[name]
        both = kw <= site.usable_kw and units <= site.rack_units
        for (server, tenant), pair in kinds.items():
            found.append(Standing(name, server, max(pair) if both else pair[1], 0, 0, tenant))
    return room_of(facts, found)
