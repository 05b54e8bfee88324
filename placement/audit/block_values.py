"""What 0, 1, … replicas of every block of a site earn: the knapsacks of all blocks and slices together."""

from collections.abc import Sequence

import numpy as np

from placement.audit.arrays import Float, Int
from placement.audit.blocks import SiteBlock
from placement.audit.site_value import EPS, longer, slice_values


def block_values(
    blocks: Sequence[SiteBlock], profit: Float, most: Sequence[int], *, follow: bool, slices: int
) -> list[Float]:
    """A × S × (Y + 1) for each block, S slices where replicas follow them, else 1.

    `profit` is A × all pairs of the blocks, block after block; `most` the replicas of each that a site could hold.
    """
    stands = slices if follow else 1
    sizes = np.array([len(block.row) for block in blocks])
    groups = np.cumsum([0, *(len(block.slice) for block in blocks)])
    load = np.concatenate([block.load for block in blocks])
    group = np.concatenate([block.group for block in blocks]) + np.repeat(groups[:-1], sizes)
    where = np.concatenate([block.slice for block in blocks]) if follow else np.zeros(groups[-1], np.int64)
    where = where + np.repeat(np.arange(len(blocks)), np.diff(groups)) * stands  # block and slice of every group
    of_day = np.concatenate([np.arange(len(block.row)) < block.normal for block in blocks])
    earns = (profit > 0).any(axis=0)
    parts = []
    for some in (np.flatnonzero(earns & of_day), np.flatnonzero(earns & ~of_day)):  # slices of like size together
        if len(some):
            found, value = _values(profit, load, group, some, max(most))
            parts.append(_summed(value, where[found], len(blocks) * stands))
    length = max((part.shape[-1] for part in parts), default=1)
    total = sum((longer(part, length) for part in parts), np.zeros((1, 1, 1))) * (1 + 2 * EPS)
    total = np.broadcast_to(total, (len(total), len(blocks) * stands, length))
    return [
        total[:, b * stands : (b + 1) * stands, : limit + 1]
        for b, limit in enumerate(most)
    ]  # fmt: skip


def _values(profit: Float, load: Float, group: Int, some: Int, most: int) -> tuple[Int, Float]:
    """The groups that any of the pairs `some` is in, and the value of each: A × groups × (Y + 1)."""
    of = group[some]
    first = np.flatnonzero(np.diff(of, prepend=-1))  # they are sorted
    size = np.diff(np.append(first, len(some)))
    row, column = np.repeat(np.arange(len(first)), size), np.arange(len(some)) - np.repeat(first, size)
    gain, need = np.zeros((len(profit), len(first), size.max())), np.zeros((len(first), size.max()))
    gain[:, row, column], need[row, column] = profit[:, some], load[some]
    return of[first], slice_values(gain, need, most)


def _summed(value: Float, key: Int, count: int) -> Float:
    """Sums of the values with the same key, A × count × (Y + 1); rounded up."""
    order = np.argsort(key, kind="stable")
    first = np.flatnonzero(np.diff(key[order], prepend=-1))
    found = np.zeros((len(value), count, value.shape[-1]))
    found[:, key[order][first]] = np.add.reduceat(value[:, order], first, axis=1)
    terms = np.diff(np.append(first, len(key))).max()
    return np.asarray(found * (1 + (terms + 2) * EPS), np.float64)
