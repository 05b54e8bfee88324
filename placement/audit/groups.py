"""(G) What a group of sites earns together, at most: the best leaf of a tree whose leaves cover every plan.

Every leaf is valued anew: its prices, the prices of the group's own cuts, and the counts that its path allows. What a
path asks for at least and the tables do not know (a shape without any pair at the site) is left out, which only weakens
the bound.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from placement.audit.arrays import CertificateError, Float, Int
from placement.audit.case import Case
from placement.audit.cuts import Block, CutBook, open_book
from placement.audit.descriptors import MOST_COUNT, OPEN, REPLICAS, SERVERS, Blocks, Branchings
from placement.audit.descriptors import Group as Listed
from placement.audit.quotes import CLOSED, FREE, OPENED, PathLimits, Quotes
from placement.audit.site_value import EPS, ServerLimits

MOST_LEAVES = 128
"""Leaves of a group that are valued at once."""

Counter = tuple[int, str, str, str, str | None]
"""What a branching counts: kind, site, name, owner, slice."""


@dataclass(frozen=True)
class Paths:
    """At least and at most so many of every counter in every leaf, A × K."""

    counters: tuple[Counter, ...]
    least: Int
    most: Int

    @cached_property
    def possible(self) -> Float:
        """0 for a leaf that some counts meet, else -inf; A."""
        return np.where((self.least <= self.most).all(axis=1), 0.0, -np.inf)

    def at(self, site: str) -> PathLimits:
        """What the leaves allow at one site."""
        state = np.full(len(self.least), FREE)
        servers: dict[str, list[int]] = {}
        replicas: dict[Block, tuple[Int, Int]] = {}
        for k, (kind, where, name, tenant, slice_) in enumerate(self.counters):
            if where != site:
                continue
            if kind == OPEN:
                state = np.where(self.most[:, k] < 1, CLOSED, np.where(self.least[:, k] > 0, OPENED, state))
            elif kind == SERVERS:
                servers.setdefault(tenant, []).append(k)
            else:
                replicas[(site, name, tenant, slice_)] = (self.least[:, k], self.most[:, k])
        return PathLimits(state, {tenant: self._of_servers(listed) for tenant, listed in servers.items()}, replicas)

    def _of_servers(self, listed: list[int]) -> ServerLimits:
        return ServerLimits(tuple(self.counters[k][2] for k in listed), self.least[:, listed], self.most[:, listed])


@dataclass(frozen=True)
class SiteGroup:
    """A group at the root's prices of all rows."""

    sites: tuple[str, ...]
    rows: Int  # of the R rows
    usd: Float  # leaves × rows
    book: CutBook
    paths: Paths

    def parts(self) -> Iterator["SiteGroup"]:
        """The same with `MOST_LEAVES` of the leaves at a time, so that no array is large."""
        for at in range(0, len(self.usd), MOST_LEAVES):
            of = slice(at, at + MOST_LEAVES)
            paths = Paths(self.paths.counters, self.paths.least[of], self.paths.most[of])
            yield SiteGroup(self.sites, self.rows, self.usd[of], replace(self.book, usd=self.book.usd[of]), paths)

    def quotes(self, root: Quotes) -> Quotes:
        """The leaves' prices: never more than the root's."""
        column = np.full(len(root.usd), -1)
        column[self.rows] = np.arange(len(self.rows))
        return Quotes(root.usd, (*root.books, self.book), column, np.minimum(self.usd, root.usd[self.rows]))

    def usd_most(self, root: Quotes, values: Sequence[Float]) -> float:
        """W, from the values V_p of its sites in every leaf.

        Raises:
            CertificateError: no leaf can be met.
            OverflowError: prices beyond floats.
        """
        own = np.minimum(self.usd, root.usd[self.rows])
        given = root.usd[self.rows] - own
        size = (np.abs(root.usd[self.rows]) + np.abs(own)).sum(axis=1)
        total = given.sum(axis=1) + 4 * (len(self.rows) + 4) * EPS * size - self.book.gain_usd()
        terms = np.stack(np.broadcast_arrays(total, self.paths.possible, *values))
        known = np.where(np.isneginf(terms), 0.0, terms)
        whole = known.sum(axis=0) + (len(terms) + 8) * EPS * np.abs(known).sum(axis=0)
        whole = np.where(np.isneginf(terms).any(axis=0), -np.inf, whole)
        if np.isnan(whole).any() or whole.max() == np.inf:
            raise OverflowError("a group earns more than floats hold")
        if np.isneginf(whole.max()):
            raise CertificateError("groups: no leaf can be met, and some plan meets one")
        return float(whole.max())


def open_group(
    case: Case, listed: Listed, sites: Sequence[str], slices: Sequence[str], of_listed: Int, blocks: Sequence[Block]
) -> SiteGroup:
    """A group of the certificate with its names resolved against the tables.

    Raises:
        CertificateError: a name that the tables do not know; a cut whose fraction is none.
    """
    return SiteGroup(
        sites=tuple(sites[p] for p in listed.site),
        rows=of_listed[listed.row],
        usd=listed.leaf_usd,
        book=open_book(listed.cuts, of_listed, blocks),
        paths=_paths(_counters(case, listed.tree, sites, slices), listed.tree, listed.leaves),
    )


def open_blocks(case: Case, blocks: Blocks, sites: Sequence[str], slices: Sequence[str]) -> list[Block]:
    """The blocks that a certificate speaks of, by name.

    Raises:
        CertificateError: a shape or owner that the tables do not know; a slice where replicas stand in all, or none
            where they follow the slices.
    """
    known = zip(blocks.site.tolist(), blocks.shape, blocks.tenant, blocks.slice.tolist(), strict=True)
    return [_block(case, sites[p], shape, tenant, slices[t] if t >= 0 else None) for p, shape, tenant, t in known]


def _block(case: Case, site: str, shape: str, tenant: str, slice_: str | None) -> Block:
    if shape not in case.facts.shapes or tenant not in case.facts.tenants:
        raise CertificateError(f"blocks: the tables know no shape {shape!r} of {tenant!r}")
    if (slice_ is not None) != case.facts.replicas_follow_slices:
        raise CertificateError("blocks: replicas stand in one slice exactly where they follow the slices")
    return site, shape, tenant, slice_


def _counters(case: Case, tree: Branchings, sites: Sequence[str], slices: Sequence[str]) -> list[Counter]:
    found: list[Counter] = []
    for j, kind in enumerate(tree.kind.tolist()):
        site, name, tenant = sites[tree.site[j]], tree.name[j], tree.tenant[j]
        slice_ = slices[tree.slice[j]] if tree.slice[j] >= 0 else None
        if kind == REPLICAS:
            _block(case, site, name, tenant, slice_)
        elif slice_ is not None or (kind == OPEN and (name or tenant)):
            raise CertificateError("groups: a branching on a site or on servers names what it does not count")
        elif kind == SERVERS and (name not in case.facts.servers or tenant not in case.facts.tenants):
            raise CertificateError(f"groups: the tables know no server {name!r} of {tenant!r}")
        found.append((kind, site, name, tenant, slice_))
    return found


def _paths(counters: list[Counter], tree: Branchings, leaves: int) -> Paths:
    """Down every path: left at most so many, right more."""
    number = {counter: k for k, counter in enumerate(dict.fromkeys(counters))}
    least, most = np.zeros((2, leaves, len(number)), np.int64)
    none, all_ = np.zeros(len(number), np.int64), np.full(len(number), MOST_COUNT + 1)
    for counter, k in number.items():
        all_[k] = 1 if counter[0] == OPEN else all_[k]
    waiting = [(0 if len(tree) else -1, none, all_)]
    while waiting:
        child, low, high = waiting.pop()
        if child < 0:
            least[-1 - child], most[-1 - child] = low, high
            continue
        k, limit = number[counters[child]], int(tree.most[child])
        left, right = high.copy(), low.copy()
        left[k], right[k] = min(high[k], limit), max(low[k], limit + 1)
        waiting += [(int(tree.left[child]), low, left), (int(tree.right[child]), right, high)]
    return Paths(tuple(number), least, most)
