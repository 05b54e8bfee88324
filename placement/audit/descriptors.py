"""What a certificate says beside prices: cuts, backups, groups with their trees, by position in its own lists.

Only the arrays are looked at here: what they mean, and whether the tables know the names, is for `cuts`, `backups`
and `groups` to find out. Everything strange is refused.
"""

from dataclasses import dataclass

import numpy as np

from placement.audit.arrays import (
    Arrays,
    CertificateError,
    Float,
    Int,
    alike,
    count,
    distinct,
    figures,
    positive,
    prices,
    texts,
    whole,
)

CUTS = ("cut_unit", "cut_row_first", "cut_row", "cut_weight", "cut_block_first", "cut_block", "cut_usd")
BLOCKS = ("block_site", "block_shape", "block_tenant", "block_slice")
COVERS = ("cover_unit", "cover_row_first", "cover_row", "cover_weight", "cover_usd")
BACKUPS = ("backup_domain", "backup_row", "backup_usd")
TREE = ("kind", "site", "name", "tenant", "slice", "most", "left", "right")
GROUP = ("site", "row", *CUTS, *(f"tree_{name}" for name in TREE), "leaf_usd")

OPEN, SERVERS, REPLICAS = 0, 1, 2
"""What a branching counts: whether a site is open, servers of a kind and owner, replicas of a block."""
MOST_COUNT = 2**31


@dataclass(frozen=True)
class Blocks:
    """The blocks that cuts and trees speak of, N: a shape of an owner at a site, in one slice or in all (-1)."""

    site: Int
    shape: list[str]
    tenant: list[str]
    slice: Int

    def named(self, at: int) -> tuple[int, str, str, int]:
        return int(self.site[at]), self.shape[at], self.tenant[at], int(self.slice[at])


@dataclass(frozen=True)
class Cuts:
    """C cuts; `row_cut` and `block_cut` say which cut an entry belongs to."""

    unit: Float  # C, > 0
    row_cut: Int
    row: Int
    weight: Float  # > 0
    block_cut: Int
    block: Int
    usd: Float  # C, or leaves × C; ≥ 0

    @property
    def count(self) -> int:
        return len(self.unit)


@dataclass(frozen=True)
class Covers:
    """F covers; `row_cover` says which of them an entry belongs to."""

    unit: Float  # F, > 0
    row_cover: Int
    row: Int
    weight: Float  # > 0
    usd: Float  # F, ≥ 0

    @property
    def count(self) -> int:
        return len(self.unit)


@dataclass(frozen=True)
class BackupPrices:
    """J failure rows of (13), each once: what `row` serves is served outside of `domain` when that has failed."""

    domain: list[str]
    row: Int
    usd: Float  # any sign


@dataclass(frozen=True)
class Branchings:
    """J nodes that form one tree: node 0 is the root, every other node and every leaf (-1 - leaf) is one child."""

    kind: Int
    site: Int
    name: list[str]
    tenant: list[str]
    slice: Int
    most: Int
    left: Int
    right: Int

    def __len__(self) -> int:
        return len(self.kind)


@dataclass(frozen=True)
class Group:
    """Sites whose joint value is bounded by branching."""

    site: Int
    row: Int
    cuts: Cuts  # usd: leaves × C
    tree: Branchings
    leaf_usd: Float  # leaves × rows of the group

    @property
    def leaves(self) -> int:
        return len(self.leaf_usd)


def read_blocks(arrays: Arrays, prefix: str, sites: int, slices: int) -> Blocks:
    """The blocks of a period, each once."""
    site = whole(arrays, f"{prefix}block_site", 0, sites - 1)
    stands = whole(arrays, f"{prefix}block_slice", -1, slices - 1)
    found = Blocks(site, texts(arrays, f"{prefix}block_shape"), texts(arrays, f"{prefix}block_tenant"), stands)
    alike(len(site), f"{prefix}block_…", found.shape, found.tenant, stands)
    if len({found.named(n) for n in range(len(site))}) < len(site):
        raise CertificateError(f"{prefix}block_…: a block is listed twice")
    return found


def read_cuts(arrays: Arrays, prefix: str, rows: int, blocks: int, leaves: int | None = None) -> Cuts:
    """The cuts of a period, or of a group with `leaves`."""
    size = arrays[f"{prefix}cut_unit"].shape[:1]
    cuts = size[0] if size else 0
    unit = positive(arrays, f"{prefix}cut_unit", cuts)
    row = whole(arrays, f"{prefix}cut_row", 0, rows - 1)
    block = whole(arrays, f"{prefix}cut_block", 0, blocks - 1)
    found = Cuts(
        unit=unit,
        row_cut=_owners(arrays, f"{prefix}cut_row_first", cuts, len(row)),
        row=row,
        weight=positive(arrays, f"{prefix}cut_weight", len(row)),
        block_cut=_owners(arrays, f"{prefix}cut_block_first", cuts, len(block)),
        block=block,
        usd=prices(arrays, f"{prefix}cut_usd", (cuts,) if leaves is None else (leaves, cuts)),
    )
    distinct(found.row_cut * rows + row, f"{prefix}cut_row: a row of a cut")
    distinct(found.block_cut * blocks + block, f"{prefix}cut_block: a block of a cut")
    return found


def read_covers(arrays: Arrays, prefix: str, rows: int) -> Covers:
    """The covers of a period."""
    size = arrays[f"{prefix}cover_unit"].shape[:1]
    covers = size[0] if size else 0
    row = whole(arrays, f"{prefix}cover_row", 0, rows - 1)
    found = Covers(
        unit=positive(arrays, f"{prefix}cover_unit", covers),
        row_cover=_owners(arrays, f"{prefix}cover_row_first", covers, len(row)),
        row=row,
        weight=positive(arrays, f"{prefix}cover_weight", len(row)),
        usd=prices(arrays, f"{prefix}cover_usd", (covers,)),
    )
    distinct(found.row_cover * rows + row, f"{prefix}cover_row: a row of a cover")
    return found


def _owners(arrays: Arrays, name: str, cuts: int, entries: int) -> Int:
    """Which cut every entry belongs to, by where the entries of each begin."""
    first = whole(arrays, name, 0, entries)
    if len(first) != cuts + 1 or first[0] != 0 or first[-1] != entries or (np.diff(first) < 0).any():
        raise CertificateError(f"{name} does not divide {entries} entries between {cuts}")
    return np.repeat(np.arange(cuts), np.diff(first))


def read_backups(arrays: Arrays, prefix: str, rows: int) -> BackupPrices:
    """The prices of backups of a period."""
    row = whole(arrays, f"{prefix}backup_row", 0, rows - 1)
    found = BackupPrices(
        texts(arrays, f"{prefix}backup_domain"), row, figures(arrays, f"{prefix}backup_usd", row.shape)
    )
    alike(len(row), f"{prefix}backup_…", found.domain)
    if len(set(zip(found.domain, row.tolist(), strict=True))) < len(row):
        raise CertificateError(f"{prefix}backup_…: a row of a domain is listed twice")
    return found


def read_groups(arrays: Arrays, prefix: str, rows: int, slices: int, blocks: Blocks, sites: int) -> tuple[Group, ...]:
    """The groups of a period: no site in two of them."""
    found = tuple(
        _group(arrays, f"{prefix}g{k}_", rows, slices, blocks, sites)
        for k in range(count(arrays, f"{prefix}groups", sites))
    )
    if found:
        distinct(np.concatenate([group.site for group in found]), f"{prefix}g…_site: a site")
    return found


def _group(arrays: Arrays, prefix: str, rows: int, slices: int, blocks: Blocks, sites: int) -> Group:
    site, row = whole(arrays, f"{prefix}site", 0, sites - 1), whole(arrays, f"{prefix}row", 0, rows - 1)
    distinct(row, f"{prefix}row: a row")
    leaves = len(arrays[f"{prefix}leaf_usd"]) if arrays[f"{prefix}leaf_usd"].ndim == 2 else 0
    leaf_usd = figures(arrays, f"{prefix}leaf_usd", (leaves, len(row)))
    cuts = read_cuts(arrays, prefix, rows, len(blocks.site), leaves)
    if not np.isin(blocks.site[cuts.block], site).all():
        raise CertificateError(f"{prefix}cut_block: a block is at no site of the group")
    return Group(site, row, cuts, _tree(arrays, f"{prefix}tree_", slices, sites, site, leaves), leaf_usd)


def _tree(arrays: Arrays, prefix: str, slices: int, sites: int, of_group: Int, leaves: int) -> Branchings:
    kind = whole(arrays, f"{prefix}kind", OPEN, REPLICAS)
    found = Branchings(
        kind=kind,
        site=whole(arrays, f"{prefix}site", 0, sites - 1),
        name=texts(arrays, f"{prefix}name"),
        tenant=texts(arrays, f"{prefix}tenant"),
        slice=whole(arrays, f"{prefix}slice", -1, slices - 1),
        most=whole(arrays, f"{prefix}most", 0, MOST_COUNT),
        left=whole(arrays, f"{prefix}left", -leaves, len(kind) - 1),
        right=whole(arrays, f"{prefix}right", -leaves, len(kind) - 1),
    )
    columns = (found.site, found.name, found.tenant, found.slice, found.most, found.left, found.right)
    alike(len(kind), f"{prefix}…", *columns)
    if not np.isin(found.site, of_group).all():
        raise CertificateError(f"{prefix}site: a branching at no site of the group")
    _refuse_what_covers_not(found, leaves, prefix)
    return found


def _refuse_what_covers_not(tree: Branchings, leaves: int, prefix: str) -> None:
    """From the root every node and every leaf is reached, each once: then the leaves cover every plan."""
    if leaves != len(tree) + 1:
        raise CertificateError(f"{prefix}…: {len(tree)} branchings do not have {leaves} leaves")
    seen, waiting = set[int](), [0 if len(tree) else -1]
    while waiting:
        child = waiting.pop()
        if child in seen:
            raise CertificateError(f"{prefix}…: node {child} is reached twice")
        seen.add(child)
        if child >= 0:
            waiting += (int(tree.left[child]), int(tree.right[child]))
    if len(seen) != len(tree) + leaves:
        raise CertificateError(f"{prefix}…: {len(tree) + leaves - len(seen)} nodes or leaves are never reached")
