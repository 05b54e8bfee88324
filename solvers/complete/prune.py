"""What nothing needs any more is taken away, the dearest servers first, as long as every domain may fail."""

import numpy as np

from solvers.complete.draft import SIZES, Draft
from solvers.complete.reserve import NOTHING
from solvers.complete.servers import trim
from solvers.complete.survival import Backup, Survival
from solvers.problem import Int

FULL = 5e-10
"""Of a replica, that a load may be over whole ones; less than what the check allows."""


def drop_idle(draft: Draft, survival: Survival | None) -> None:
    """Take away replicas that neither the primaries nor any domain's backup need, and the servers under them."""
    needed = needed_replicas(draft, survival)
    for block in np.flatnonzero(draft.replicas > needed).tolist():
        draft.add(block, int(needed[block] - draft.replicas[block]))
        if survival is not None:
            survival.replicas_changed(block)
    trim(draft)


def needed_replicas(draft: Draft, survival: Survival | None) -> Int:
    """Replicas that loads and pins ask for, never more than stand, B."""
    problem = draft.problem
    used = np.flatnonzero(draft.share > 0)
    busy = np.zeros(problem.blocks, np.bool_)
    busy[problem.pair_block[used]] = True
    if survival is None:
        load = np.zeros((problem.blocks, max(problem.slices, 1)))
        row = problem.pair_demand[used]
        np.add.at(
            load, (problem.pair_block[used], problem.demand_slice[row]), problem.pair_load[used] * draft.share[used]
        )
    else:
        load = survival.primary + survival.most_load()
        for backup in survival.backups:
            busy[survival.reserve.pair_block[backup.pair]] = True
    need = np.ceil(load.max(axis=1, initial=0.0) / problem.capacity_factor - FULL).astype(np.int64)
    need = np.minimum(np.maximum(need, busy), draft.replicas)
    return _with_pins(draft, need)


def _with_pins(draft: Draft, need: Int) -> Int:
    """The same, raised where a pin would otherwise have fewer than its least."""
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


def remove_servers(draft: Draft, survival: Survival) -> bool:
    """Try to do without every server, the dearest first; whether any went."""
    problem = draft.problem
    held = np.flatnonzero((draft.servers > 0) & (problem.offer_usd > 0) & (draft.offer_unit >= 0))
    opening = problem.open_usd[problem.offer_site[held]] / np.maximum(draft.count[problem.offer_site[held]], 1)
    order = held[np.lexsort((held, -(problem.offer_usd[held] + opening)))]
    gone = False
    for offer in order.tolist():
        while draft.servers[offer] > 0 and _without(draft, survival, offer):
            gone = True
    return gone


def _without(draft: Draft, survival: Survival, offer: int) -> bool:
    """Give one server back if the reserve holds without the replicas that it carried; else leave all as it was."""
    dropped = _to_drop(draft, survival, int(draft.offer_unit[offer]), int(draft.offer_quarters[offer]))
    if dropped is None:
        return False
    for block, count in dropped:
        draft.add(block, -count)
        survival.replicas_changed(block)
    changed = _overloaded(survival, [block for block, _ in dropped])
    kept: list[tuple[int, Backup]] = []
    for domain in changed:
        kept.append((domain, survival.backups[domain]))
        if survival.fail(domain) > NOTHING:
            for block, count in dropped:
                draft.add(block, count)
                survival.replicas_changed(block)
            for other, backup in kept:
                survival.backups[other] = backup
            return False
        survival.keep(domain)
    draft.buy(offer, -1)
    return True


def _to_drop(draft: Draft, survival: Survival, unit: int, quarters: int) -> list[tuple[int, int]] | None:
    """Replicas to take away so that the unit does without a server; None where the primaries or jobs need them."""
    held = draft.held[unit] - np.where(quarters >= SIZES, quarters, 0)
    over = draft.taken[unit] - held[:, None]
    dropped: list[tuple[int, int]] = []
    if (over <= 0).all():
        return dropped
    problem = draft.problem
    blocks = np.flatnonzero((draft.block_unit == unit) & (draft.replicas > 0))
    primary = survival.primary[blocks].max(axis=1)
    floor = np.ceil(primary / problem.capacity_factor - FULL).astype(np.int64)
    spare = draft.replicas[blocks] - np.maximum(floor, survival.busy[blocks])
    spare = np.minimum(spare, _above_pins(draft)[blocks])
    worth = primary / np.maximum(draft.replicas[blocks], 1)
    for k in np.lexsort((blocks, -draft.quarters[blocks], worth)).tolist():
        block, size = int(blocks[k]), int(draft.quarters[blocks[k]])
        when = slice(None) if draft.stands[block] < 0 else slice(int(draft.stands[block]), int(draft.stands[block]) + 1)
        level = int(draft.level[block]) + 1
        most = int(over[:level, when].max())
        count = min(int(spare[k]), -(-most // size)) if most > 0 else 0
        if count > 0:
            over[:level, when] -= count * size
            dropped.append((block, count))
        if (over <= 0).all():
            return dropped
    return None


def _above_pins(draft: Draft) -> Int:
    """How many replicas of every block its pins let go, B."""
    pins = draft.problem.rules.pins
    free = draft.replicas.copy()
    if pins is not None:
        left = np.maximum(draft.pinned() - pins.least[:, None], 0).min(axis=1)
        np.minimum.at(free, pins.entry_block, left[pins.entry_pin])
    return free


def _overloaded(survival: Survival, blocks: list[int]) -> list[int]:
    """Domains whose backups no longer fit on some of the blocks."""
    slices = survival.slices
    cells = np.sort((np.asarray(blocks, np.int64)[:, None] * slices + np.arange(slices)).ravel())
    room = survival.room.load.ravel()
    found = []
    for domain in range(survival.reserve.domains):
        loaded, load = survival.cell_load(domain)
        at = np.searchsorted(loaded, cells)
        here = at < len(loaded)
        here[here] = loaded[at[here]] == cells[here]
        gone = survival.draft.replicas[cells[here] // slices] == 0
        if ((load[at[here]] > room[cells[here]] + FULL) | gone).any():
            found.append(domain)
    return found
