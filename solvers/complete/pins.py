"""(14) Pins: no more replicas than the most, no fewer than the least; what falls out of a pin goes unserved."""

import numpy as np

from solvers.complete.draft import SIZES, Draft
from solvers.complete.servers import cheapest
from solvers.problem import Float, Int, Problem
from solvers.solution import Placement


def keep_pins(draft: Draft) -> str:
    """Bring every pin into its range; what is in the way in words, else ""."""
    pins = draft.problem.rules.pins
    if pins is None:
        return ""
    for pin in range(len(pins.least)):
        blocks = pins.entry_block[pins.entry_pin == pin]
        for number in range(draft.slices):
            here = blocks[(draft.stands[blocks] < 0) | (draft.stands[blocks] == number)]
            _drop_excess(draft, here, int(pins.most[pin]))
    for pin in np.flatnonzero(pins.least > 0).tolist():
        blocks = pins.entry_block[pins.entry_pin == pin]
        for number in range(draft.slices):
            here = blocks[(draft.stands[blocks] < 0) | (draft.stands[blocks] == number)]
            if not _raise_to(draft, here.tolist(), int(pins.least[pin])):
                return f"(14) no room for {pins.least[pin]} replicas of pin {pin}"
    return ""


def _drop_excess(draft: Draft, blocks: np.ndarray, most: int) -> None:
    """Take replicas away, of the least used blocks first; their rows go unserved by as much as no longer fits."""
    while len(blocks) and draft.replicas[blocks].sum() > most:
        load = busy_replicas(draft.problem, draft.placement())[blocks]
        standing = draft.replicas[blocks] > 0
        idle = np.where(standing, draft.replicas[blocks] - load, -np.inf)
        drop_replica(draft, int(blocks[int(np.argmax(idle))]))


def busy_replicas(problem: Problem, plan: Placement) -> Float:
    """Replicas that the busiest slice of every block keeps busy, B."""
    used = np.flatnonzero(plan.share > 0)
    load = np.zeros((problem.blocks, max(problem.slices, 1)))
    row = problem.pair_demand[used]
    np.add.at(load, (problem.pair_block[used], problem.demand_slice[row]), problem.pair_load[used] * plan.share[used])
    return np.asarray(load.max(axis=1) / problem.capacity_factor, np.float64)


def drop_replica(draft: Draft, block: int) -> None:
    """Take one replica away, and from the shares what no longer fits."""
    problem = draft.problem
    left = int(draft.replicas[block]) - 1
    pairs = np.flatnonzero((problem.pair_block == block) & (draft.share > 0))
    slice_ = problem.demand_slice[problem.pair_demand[pairs]]
    load = np.zeros(max(problem.slices, 1))
    np.add.at(load, slice_, problem.pair_load[pairs] * draft.share[pairs])
    room = problem.capacity_factor * left
    part = np.where(load > room, room / np.where(load > 0, load, 1.0), 1.0) if left else np.zeros_like(load)
    back = draft.share[pairs] * (1 - part[slice_])
    draft.share[pairs] -= back
    np.add.at(draft.unserved, problem.pair_demand[pairs], back)
    draft.add(block, -1)


def with_least(draft: Draft, need: Int) -> Int:
    """Replicas of every block that stay where so many are needed: more where a pin would fall below its least, B."""
    pins = draft.problem.rules.pins
    if pins is None:
        return need
    kept = need.copy()
    for pin in np.flatnonzero(pins.least > 0).tolist():
        blocks = pins.entry_block[pins.entry_pin == pin]
        for number in range(draft.slices):
            here = blocks[(draft.stands[blocks] < 0) | (draft.stands[blocks] == number)]
            for block in here.tolist():
                lack = int(pins.least[pin] - kept[here].sum())
                if lack > 0:
                    kept[block] = min(draft.replicas[block], kept[block] + lack)
    return kept


def _raise_to(draft: Draft, blocks: list[int], least: int) -> bool:
    """Add replicas one by one where servers for them cost least."""
    while draft.replicas[blocks].sum() < least:
        may = draft.may_add()
        best, usd, counts = -1, np.inf, None
        for block in blocks:
            if may[block] < 1:
                continue
            unit = int(draft.block_unit[block])
            draft.add(block, 1)
            lack = (draft.taken[unit] - draft.held[unit][:, None]).max(axis=1)
            draft.add(block, -1)
            price, wanted = cheapest(draft, unit, lack[: len(SIZES)])
            if price < usd:
                best, usd, counts = block, price, wanted
        if best < 0 or counts is None:
            return False
        for offer, count in counts:
            draft.buy(offer, count)
        draft.add(best, 1)
    return True
