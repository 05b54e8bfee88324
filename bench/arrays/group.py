"""What a group of sites earns at most, by branching: `docs/certificate.md` (G), for a reference instance."""

import math
from collections.abc import Iterator, Mapping
from fractions import Fraction

import numpy as np

from bench.arrays.cuts import Cut, derive
from bench.arrays.instance import EdgeArrays, Float, Int
from bench.arrays.planned import CertificateFormError, GroupArrays, TreeArrays
from bench.arrays.site import FREE, Allowed, Site, earned_usd

SPLIT_OPEN, SPLIT_SERVERS, SPLIT_REPLICAS = 0, 1, 2
MANY = 10**9

Path = dict[int, Allowed]


def group_usd(
    arrays: EdgeArrays, group: GroupArrays, sites: Mapping[int, Site], row_usd: Float, pair_first: Int, pair_block: Int
) -> float:
    """W: the most that any leaf of the group's tree earns, rounded up.

    `sites` are priced at the root, `row_usd` (I) is what the root pays for a class.
    Raises CertificateFormError where the tree does not cover every plan, or a cut holds blocks of other sites.
    """
    _refuse(arrays, group)
    cuts = derive(arrays, group.cuts, pair_first, pair_block)
    best = -math.inf
    for leaf, path in leaves(arrays, group.tree, set(group.site.tolist())):
        if leaf >= len(group.leaf_usd):
            raise CertificateFormError(f"the tree speaks of a leaf {leaf} that has no prices")
        best = max(best, _leaf_usd(group, cuts, sites, row_usd, leaf, path, pair_block))
    if best == -math.inf:
        raise CertificateFormError("the leaves of a tree leave no plan at all")
    return best


def _leaf_usd(
    group: GroupArrays, cuts: list[Cut], sites: Mapping[int, Site], row_usd: Float, leaf: int, path: Path,
    pair_block: Int,
) -> float:  # fmt: skip
    paid = row_usd.copy()
    paid[group.row] = np.minimum(group.leaf_usd[leaf], row_usd[group.row])
    left_over = row_usd[group.row] - paid[group.row]
    total = sum((Fraction(usd) for usd in (left_over * (1 + 1e-15)).tolist()), Fraction(0))
    less, replica_less = _of_cuts(cuts, group.cut_usd[leaf], sites, group, pair_block)
    for cut, usd in zip(cuts, group.cut_usd[leaf].tolist(), strict=True):
        total -= Fraction(usd) * cut.gain
    for number in group.site.tolist():
        usd = earned_usd(sites[number], paid, path.get(number, FREE), less, replica_less)
        if usd == -math.inf:
            return -math.inf
        total += Fraction(usd)
    nearest = float(total)
    return nearest if Fraction(nearest) >= total else math.nextafter(nearest, math.inf)


def _of_cuts(
    cuts: list[Cut], usd: Float, sites: Mapping[int, Site], group: GroupArrays, pair_block: Int
) -> tuple[dict[int, Float], dict[int, float]]:
    """By block: what its pairs earn less, and what its replicas cost less."""
    less: dict[int, Float] = {}
    replica_less: dict[int, float] = {}
    blocks = {block.number: block for number in group.site.tolist() for block in sites[number].blocks}
    for cut, price in zip(cuts, usd.tolist(), strict=True):
        if not price:
            continue
        for block, each in zip(cut.block.tolist(), cut.replica_less.tolist(), strict=True):
            replica_less[block] = replica_less.get(block, 0.0) + price * each * (1 + 1e-13)
        for block in np.unique(pair_block[cut.pair]).tolist():
            here = pair_block[cut.pair] == block
            held = less.setdefault(block, np.zeros(len(blocks[block].row)))
            of_row = cut.pair_of_row[here]
            held[np.searchsorted(blocks[block].row, cut.row[of_row])] += price * cut.pair_less[of_row] * (1 - 1e-13)
    return less, replica_less


def leaves(arrays: EdgeArrays, tree: TreeArrays, sites: set[int]) -> Iterator[tuple[int, Path]]:
    """Every leaf with what its path allows, site by site.

    Raises CertificateFormError: a node is met twice, does not exist, or counts what is not the group's.
    """
    stack: list[tuple[int, Path]] = [(0, {})] if len(tree.kind) else [(-1, {})]
    met: set[int] = set()
    while stack:
        node, path = stack.pop()
        if node < 0:
            yield -1 - node, path
            continue
        if node >= len(tree.kind) or node in met:
            raise CertificateFormError(f"node {node} of a tree does not exist, or is met twice")
        met.add(node)
        for side, child in ((0, int(tree.left[node])), (1, int(tree.right[node]))):
            narrowed = _narrowed(arrays, tree, node, side, path, sites)
            if narrowed is not None:
                stack.append((child, narrowed))


def _narrowed(arrays: EdgeArrays, tree: TreeArrays, node: int, side: int, path: Path, sites: set[int]) -> Path | None:
    """The path once it goes left (side 0) or right; None where nothing can be there."""
    kind, index, most = int(tree.kind[node]), int(tree.index[node]), int(tree.most[node])
    span = (0, most) if side == 0 else (most + 1, MANY)
    if kind == SPLIT_OPEN:
        site, size = index, arrays.sites
    elif kind == SPLIT_SERVERS:
        site, size = index // 3, 3 * arrays.sites
    elif kind == SPLIT_REPLICAS:
        site, size = (int(arrays.replica_site[index]) if 0 <= index < arrays.blocks else -1), arrays.blocks
    else:
        raise CertificateFormError(f"a tree counts kind {kind}, which is none")
    if not 0 <= index < size or site not in sites:
        raise CertificateFormError(f"node {node} of a tree counts what is not at the group's sites")
    before = path.get(site, FREE)
    after = Allowed(before.opened, dict(before.servers), dict(before.replicas))
    if kind == SPLIT_OPEN:
        opened = (span[0] <= 1 <= span[1], span[0] <= 0 <= span[1])  # whether 1 and whether 0 is allowed
        if not any(opened):
            return None
        if not all(opened):
            if before.opened is not None and before.opened != opened[0]:
                return None
            after.opened = opened[0]
    elif kind == SPLIT_SERVERS:
        after.servers[index % 3] = _both(before.servers.get(index % 3, (0, MANY)), span)
    else:
        after.replicas[index] = _both(before.replicas.get(index, (0, MANY)), span)
    return {**path, site: after}


def _both(first: tuple[int, int], second: tuple[int, int]) -> tuple[int, int]:
    return max(first[0], second[0]), min(first[1], second[1])


def _refuse(arrays: EdgeArrays, group: GroupArrays) -> None:
    inside = np.zeros(arrays.sites, np.bool_)
    inside[group.site] = True
    if len(group.row) and (group.row.min() < 0 or group.row.max() >= arrays.classes):
        raise CertificateFormError("a group holds a row that does not exist")
    if len(np.unique(group.row)) < len(group.row):
        raise CertificateFormError("a group holds a row twice")
    block = group.cuts.block
    if len(block) and (block.min() < 0 or block.max() >= arrays.blocks or not inside[arrays.replica_site[block]].all()):
        raise CertificateFormError("a cut of a group holds blocks of other sites")
