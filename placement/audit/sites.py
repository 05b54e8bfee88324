"""V_p: the most that a site earns at the prices of a certificate, for one set of prices or all leaves of a group."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from placement.audit.arrays import Float, Int
from placement.audit.blocks import SiteBlock
from placement.audit.case import Case
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
    slice_values,
    trimmed,
    useful_quarters,
)

Kind = tuple[str, int]
"""Blocks that exclude each other at a site: model, quarter GPUs."""
Owned = tuple[str, str]
"""GPUs that are packed and bought together: GPU, owner."""


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

    def usd(
        self, site: str, blocks: Iterable[SiteBlock], credit: float, quotes: Quotes, paths: PathLimits = UNLIMITED
    ) -> Float:
        """V_p, A: ≥ 0 where a leaf does not open the site; -inf where what it asks for cannot be.

        Raises:
            OverflowError: prices beyond floats.
        """
        found: dict[Owned, dict[Kind, list[Worth]]] = defaultdict(lambda: defaultdict(list))
        for block in blocks:
            worth = self._worth(block, quotes, paths)
            if worth is not None:
                found[(block.gpu, block.tenant)][(block.model, block.quarters)].append(worth)
        if not paths.none:  # servers may stand there though nothing earns
            for gpu in self.servers.gpus.get(site, ()):
                found.update({(gpu, tenant): found[(gpu, tenant)] for tenant in self.case.facts.tenants})
        held = [self._held(site, owned, found[owned], paths) for owned in sorted(found)]
        paid = self.servers.dearer * float(self.case.facts.sites[site].open_usd_month)
        return _settled(held, paid, credit, paths)

    def _worth(self, block: SiteBlock, quotes: Quotes, paths: PathLimits) -> Worth | None:
        """What 0, 1, … replicas of a block earn; None where it earns nothing and nothing is asked of it."""
        slices = len(self.case.facts.hours)
        stands = list(self.case.facts.hours) if self.case.facts.replicas_follow_slices else [None]
        cost, replica_usd = block.cost[None], np.zeros((1, len(stands)))
        of_slice = block.slice[block.group]
        for book in quotes.books:
            for s, name in enumerate(stands):
                at = np.arange(len(block.row)) if name is None else np.flatnonzero(of_slice == s)
                cuts = book.of(
                    (block.site, block.shape, block.tenant, name), block.row[at], block.load[at], block.group[at]
                )
                if cuts is None:
                    continue
                taken = np.zeros((len(book.usd), len(block.row)))
                taken[:, at] = cuts.taken_usd(len(at))
                more = np.zeros((len(book.usd), len(stands)))
                more[:, s] = cuts.replica_usd()
                cost, replica_usd = cost + taken, replica_usd + more
        limits = [paths.replicas.get((block.site, block.shape, block.tenant, name)) for name in stands]
        profit = profit_usd(quotes.of_rows(block.row), cost)
        some = np.flatnonzero((profit > 0).any(axis=0))
        if not (len(some) or replica_usd.any() or any(limits)):
            return None
        most = self.servers.room(block.site, block.gpu) // block.quarters
        value = _by_slice(block, profit, some, most, slices)
        if stands == [None]:
            value = around_the_clock(value)[..., None, :]
        if replica_usd.any():
            value = longer(value, most + 1)
            value = value + replica_usd[..., None] * np.arange(most + 1) * (1 + 8 * EPS)
            value = value * (1 + 8 * EPS)
        if not np.isfinite(value).all():
            raise OverflowError("a block earns more than floats hold")
        return _within(value, limits, most)

    def _held(self, site: str, owned: Owned, kinds: dict[Kind, list[Worth]], paths: PathLimits) -> Held:
        """Most that the blocks on one owner's servers of a GPU earn less those servers."""
        gpu, tenant = owned
        limits, room = self._of_gpu(paths.of_servers(tenant), gpu), self.servers.room(site, gpu)
        groups = [(quarters, _exclusive(kinds[(model, quarters)])) for model, quarters in sorted(kinds)]
        slices = len(self.case.facts.hours) if self.case.facts.replicas_follow_slices else 1
        if groups:
            packs = [[Group(quarters, trimmed(value[..., t, :])) for quarters, value in groups] for t in range(slices)]
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


def _by_slice(block: SiteBlock, profit: Float, some: Int, most: int, slices: int) -> Float:
    """V_t(y) of the pairs `some` that earn, summed over the groups of a slice: A × T × (Y + 1)."""
    normal = int(np.searchsorted(some, block.normal))
    parts = [_values(profit, block, of, most) for of in (some[:normal], some[normal:]) if len(of)]
    length = max((value.shape[-1] for _, value in parts), default=1)
    found, terms = np.zeros((len(profit), slices, length)), np.zeros(slices)
    for groups, value in parts:
        of, whole = block.slice[groups], longer(value, length)
        for t in range(slices):
            found[:, t] += whole[:, of == t].sum(axis=1)
            terms[t] += (of == t).sum()
    return np.asarray(found * (1 + (terms[:, None] + 2) * EPS), np.float64)


def _values(profit: Float, block: SiteBlock, some: Int, most: int) -> tuple[Int, Float]:
    """The groups that any of the pairs `some` is in, and the value of each: A × groups × (Y + 1)."""
    group = block.group[some]
    first = np.flatnonzero(np.diff(group, prepend=-1))  # they are sorted
    if len(first) == 1:
        return group[:1], slice_values(profit[:, None, some], block.load[None, some], most)
    size = np.diff(np.append(first, len(some)))
    row, column = np.repeat(np.arange(len(first)), size), np.arange(len(some)) - np.repeat(first, size)
    gain, need = np.zeros((len(profit), len(first), size.max())), np.zeros((len(first), size.max()))
    gain[:, row, column], need[row, column] = profit[:, some], block.load[some]
    return group[first], slice_values(gain, need, most)


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


def _settled(held: Sequence[Held], paid: float, credit: float, paths: PathLimits) -> Float:
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
