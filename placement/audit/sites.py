"""V_p: the most that a site earns at the prices of a certificate, for one set of prices or all leaves of a group."""

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from placement.audit.arrays import Float, Int
from placement.audit.block_values import block_values
from placement.audit.blocks import SiteBlock
from placement.audit.case import Case
from placement.audit.job_values import JobValues
from placement.audit.quotes import CLOSED, OPENED, UNLIMITED, PathLimits, Quotes
from placement.audit.servers import Servers
from placement.audit.site_value import (
    EPS,
    Group,
    Held,
    ServerLimits,
    around_the_clock,
    held_servers,
    larger,
    longer,
    packed,
    profit_usd,
    trimmed,
    useful_quarters,
)

Kind = tuple[str, int]
"""Blocks that exclude each other at a site: model, quarter GPUs."""
Owned = tuple[str, str]
"""GPUs that are packed and bought together: GPU, owner."""
QUARTERS = 4
"""Of a GPU."""
SHARED = ""
"""The owner of servers that are no tenant's own: jobs run there."""


@dataclass(frozen=True)
class Worth:
    """What counts of a block are worth, A × S × (Y + 1), S slices or 1; and the leaves that ask for some, A × S."""

    value: Float
    asked: Int  # at least so many


@dataclass(frozen=True)
class SiteValue:
    """Values sites of one period."""

    case: Case
    servers: Servers
    jobs: JobValues

    def usd(
        self, site: str, blocks: Iterable[SiteBlock], credit: float, quotes: Quotes, paths: PathLimits = UNLIMITED
    ) -> Float:
        """V_p, A: ≥ 0 where a leaf does not open the site; -inf where what it asks for cannot be.

        Raises:
            OverflowError: prices beyond floats.
        """
        found: dict[Owned, dict[Kind, list[Worth]]] = defaultdict(lambda: defaultdict(list))
        for block, worth in self._worths(tuple(blocks), quotes, paths):
            found[(block.gpu, block.tenant)][(block.model, block.quarters)].append(worth)
        for gpu in self.jobs.at(site):
            found[(gpu, SHARED)].update({})
        if not paths.none:  # servers may stand there though nothing earns
            for gpu in self.servers.gpus.get(site, ()):
                found.update({(gpu, tenant): found[(gpu, tenant)] for tenant in self.case.facts.tenants})
        held = [self._held(site, owned, found[owned], paths) for owned in sorted(found)]
        paid = self.servers.dearer * float(self.case.facts.sites[site].open_usd_month)
        return settled_usd(held, paid, credit, paths)

    def _worths(
        self, blocks: Sequence[SiteBlock], quotes: Quotes, paths: PathLimits
    ) -> Iterator[tuple[SiteBlock, Worth]]:
        """What 0, 1, … replicas of a block earn, of those that earn anything or of which a leaf says something."""
        if not blocks:
            return
        facts = self.case.facts
        stands = list(facts.hours) if facts.replicas_follow_slices else [None]
        cuts = [self._of_cuts(block, quotes, stands) for block in blocks]
        taken = [
            of if of is not None else np.zeros((1, len(block.row))) for block, (of, _) in zip(blocks, cuts, strict=True)
        ]
        cost = np.concatenate([block.cost for block in blocks]) + np.concatenate(_alike(taken), axis=1)
        profit = profit_usd(quotes.of_rows(np.concatenate([block.row for block in blocks])), cost)
        most = [min(self.servers.room(block.site, block.gpu) // block.quarters, block.useful) for block in blocks]
        values = block_values(blocks, profit, most, follow=facts.replicas_follow_slices, slices=len(facts.hours))
        for block, value, limit, (_, replica_usd) in zip(blocks, values, most, cuts, strict=True):
            limits = [paths.replicas.get((block.site, block.shape, block.tenant, name)) for name in stands]
            whole = value
            if len(block.standing_usd):
                whole = _with_standing(whole, block.standing_usd, limit)
            if replica_usd.any():
                whole = longer(whole, limit + 1) + replica_usd[..., None] * np.arange(limit + 1) * (1 + 8 * EPS)
                whole = whole * (1 + 8 * EPS)
            if not np.isfinite(whole).all():
                raise OverflowError("a block earns more than floats hold")
            if whole.any() or any(limits):
                yield block, _within(whole, limits, limit)

    @staticmethod
    def _of_cuts(block: SiteBlock, quotes: Quotes, stands: Sequence[str | None]) -> tuple[Float | None, Float]:
        """What the cuts take from the block's pairs, A × n, and what each replica earns by them, A × S."""
        taken, replica_usd = None, np.zeros((1, len(stands)))
        for book in quotes.books:
            for s, name in enumerate(stands):
                key = (block.site, block.shape, block.tenant, name)
                if key not in book.blocks:
                    continue
                at = np.arange(len(block.row)) if name is None else np.flatnonzero(block.slice[block.group] == s)
                cuts = book.of(book.blocks[key], block.row[at], block.load[at], block.group[at])
                less, more = np.zeros((len(book.usd), len(block.row))), np.zeros((len(book.usd), len(stands)))
                less[:, at], more[:, s] = cuts.taken_usd(len(at)), cuts.replica_usd()
                taken, replica_usd = less if taken is None else taken + less, replica_usd + more
        return taken, replica_usd

    def _held(self, site: str, owned: Owned, kinds: dict[Kind, list[Worth]], paths: PathLimits) -> Held:
        """Most that the blocks on one owner's servers of a GPU earn less those servers."""
        gpu, tenant = owned
        limits, room = self._of_gpu(paths.of_servers(tenant), gpu), self.servers.room(site, gpu)
        groups = [(quarters, _exclusive(kinds[(model, quarters)])) for model, quarters in sorted(kinds)]
        slices = len(self.case.facts.hours) if self.case.facts.replicas_follow_slices else 1
        free = self.jobs.at(site).get(gpu) if tenant == SHARED else None
        gangs = [] if free is None else [Group(QUARTERS, free[None, :])]
        if groups or gangs:
            packs = [
                [*gangs, *(Group(quarters, trimmed(value[..., t, :])) for quarters, value in groups)]
                for t in range(slices)
            ]
            capacity = min(max(useful_quarters(pack) for pack in packs), room)
            leaves = max(group.value.shape[0] for pack in packs for group in pack)
            packs = [
                [Group(g.quarters, np.broadcast_to(g.value, (leaves, g.value.shape[-1]))) for g in pack]
                for pack in packs
            ]
            earned = around_the_clock(np.stack([packed(pack, capacity) for pack in packs], axis=-2))
        else:
            capacity, earned = 0, np.zeros((1, 1))
        asked = (
            None if paths.none else dict(zip(limits.servers, limits.least.max(axis=0, initial=0).tolist(), strict=True))
        )
        place = self.case.facts.sites[site]
        offers = self.servers.offers(site, gpu, capacity, asked)
        return held_servers(offers, earned, float(place.usable_kw), float(place.rack_units), limits)

    def _of_gpu(self, limits: ServerLimits, gpu: str) -> ServerLimits:
        """The limits on servers of a GPU."""
        own = [k for k, name in enumerate(limits.servers) if self.case.facts.servers[name].gpu == gpu]
        return ServerLimits(tuple(limits.servers[k] for k in own), limits.least[:, own], limits.most[:, own])


def _alike(parts: Sequence[Float]) -> list[Float]:
    """The parts with as many rows as the longest has."""
    rows = max(len(part) for part in parts)
    return [np.broadcast_to(part, (rows, part.shape[1])) for part in parts]


def _with_standing(value: Float, usd: Float, most: int) -> Float:
    """What 0 to `most` replicas earn, with what they earn by standing there; rounded up."""
    length = max(value.shape[-1], min(len(usd), most) + 1)
    more = np.concatenate([[0.0], usd])[np.minimum(np.arange(length), len(usd))]
    return np.asarray((longer(value, length) + more) * (1 + 2 * EPS), np.float64)


def _within(value: Float, limits: Sequence[tuple[Int, Int] | None], most: int) -> Worth:
    """Counts as the leaves allow them: below the least -inf, above the most as that."""
    if not any(limits):
        return Worth(value, np.zeros(value.shape[:-1], np.int64))
    leaves = max(len(value), *(len(limit[0]) for limit in limits if limit))
    least = np.zeros((leaves, value.shape[-2]), np.int64)
    upper = np.full((leaves, value.shape[-2]), most)
    for s, limit in enumerate(limits):
        if limit is not None:
            least[:, s], upper[:, s] = limit
    length = max(value.shape[-1], int(np.minimum(least.max(), most)) + 1)
    value = np.broadcast_to(longer(value, length), (leaves, value.shape[-2], length))
    y = np.arange(length)
    value = np.take_along_axis(value, np.minimum(y, upper[..., None]), axis=-1)
    return Worth(np.where(y >= least[..., None], value, -np.inf), least)


def _exclusive(worths: Sequence[Worth]) -> Float:
    """Of blocks that exclude each other the larger, or the one that a leaf asks for: A × S × (Y + 1)."""
    if not any(worth.asked.any() for worth in worths):
        return larger([worth.value for worth in worths])
    asked = np.stack(np.broadcast_arrays(*(worth.asked > 0 for worth in worths)))
    wanted = asked.sum(axis=0)
    kept = [(wanted == 0) | ((wanted == 1) & own) for own in asked]
    return larger([np.where(own[..., None], worth.value, -np.inf) for own, worth in zip(kept, worths, strict=True)])


def settled_usd(held: Sequence[Held], paid: float, credit: float, paths: PathLimits) -> Float:
    """What is left of what the GPUs earn: less the open site, with the credit of its wires; or nothing."""
    best = sum((of.best for of in held), np.zeros(1))
    size = sum((np.abs(np.where(np.isfinite(of.best), of.best, 0.0)) for of in held), np.zeros(1))
    opened = best - paid + credit + (16 + len(held)) * EPS * (size + paid + credit)
    if paths.none:
        return np.maximum(opened, 0.0)  # NaN stays NaN: no reason to think that the site earns nothing
    none = sum((of.none for of in held), np.zeros(1))  # 0, or -inf where something is asked for
    closed = np.where(np.isneginf(none), -np.inf, 0.0)
    with np.errstate(invalid="ignore"):
        short = [np.where(np.isneginf(of.none), 0.0, np.minimum(of.some - of.none, 0.0)) for of in held]
    some = opened + (np.max(np.broadcast_arrays(*short), axis=0) if held else -math.inf)
    free = np.maximum(opened, closed)
    return np.select([paths.state == CLOSED, paths.state == OPENED], [closed, some], free)
