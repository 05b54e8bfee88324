"""(C) Rounding cuts, derived anew from the loads of the tables; `docs/certificate.md` has the mathematics.

A cut is certain for any weights, unit and blocks: only these are taken from the certificate. κ = 1, since a plan may
fill a replica whole. The sum of weights over the unit, d, is rounded down first: where d is needed, anything less is
needed too. Then f = frac(d) and ⌈d⌉ are exact.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from placement.audit.arrays import CertificateError, Float, Int
from placement.audit.descriptors import Cuts
from placement.audit.site_value import EPS

SURE = 1e-6
"""A fraction f this near to 0 or 1 is no fraction in floats."""
MOST_UNITS = 1e9

Block = tuple[str, str, str, str | None]
"""Site, shape, owner, and the one slice it stands in, or None."""


@dataclass(frozen=True)
class CutBook:
    """C cuts over R rows, and their prices: A × C, a row for every leaf of a group, or a single one."""

    usd: Float  # A × C, ≥ 0
    whole: Float  # C: ⌈d⌉
    fraction: Float  # C: f
    first: Int  # R + 1: the entries of row r are those from first[r] to first[r + 1]
    cut: Int  # of every entry
    share: Float  # w/R, rounded up
    slope: Float  # w/(R·f), rounded up: what a unit of price takes from the row
    blocks: dict[Block, Int]  # the cuts that count the block by replicas

    def gain_usd(self) -> Float:
        """Σ_c γ_c·(⌈d_c⌉ − Σ_i w_i/(R·f)): what a bound gains beside what rows and blocks lose, A; rounded down."""
        taken = np.bincount(self.cut, self.slope, len(self.whole))
        size = self.usd @ (self.whole + taken)
        return np.asarray(self.usd @ (self.whole - taken) - (len(self.cut) + len(self.whole) + 16) * EPS * size)

    def of(self, cuts: Int, rows: Int, load: Float, group: Int) -> "BlockCuts":
        """What `cuts` mean to a block with pairs of `rows`, each with its load in the slice `group`.

        Raises:
            CertificateError: a row of a cut keeps nothing busy on one of its blocks, or more than floats hold.
        """
        local: Int = np.full(len(self.whole), -1)
        local[cuts] = np.arange(len(cuts))
        pair, entry = _entries(self.first, rows)
        mine = local[self.cut[entry]] >= 0
        pair, entry = pair[mine], entry[mine]
        at = local[self.cut[entry]]
        if not (load[pair] > 0).all():
            raise CertificateError("cuts: a block carries a row of a cut without being busy")
        carries = np.zeros((len(cuts), int(group.max(initial=-1)) + 1))
        np.maximum.at(carries, (at, group[pair]), self.share[entry] / load[pair])
        carried = carries.sum(axis=1) * (1 + (carries.shape[1] + 16) * EPS)
        if not (carried <= MOST_UNITS).all():
            raise CertificateError("cuts: a replica carries too many units of a cut")
        return BlockCuts(self.usd[:, cuts], counted_units(carried, self.fraction[cuts]), pair, at, self.slope[entry])


def counted_units(carried: Float, fraction: Float) -> Float:
    """F(α) = ⌊α⌋ + min(1, frac(α)/f), rounded up."""
    part = carried - np.floor(carried)
    return np.asarray(np.floor(carried) + np.minimum(1.0, part / fraction * (1 + 4 * EPS)), np.float64)


@dataclass(frozen=True)
class BlockCuts:
    """The cuts that count one block by replicas: n cuts, and m entries of theirs for pairs of the block."""

    usd: Float  # A × n
    counted: Float  # n: F(α), rounded up
    pair: Int  # m: which of the block's pairs
    cut: Int  # m
    slope: Float  # m

    def replica_usd(self) -> Float:
        """What each replica earns, A; rounded up."""
        return np.asarray(self.usd @ self.counted * (1 + (len(self.counted) + 4) * EPS), np.float64)

    def taken_usd(self, pairs: int) -> Float:
        """What the pairs earn less, A × pairs; rounded down."""
        if len(self.usd) == 1:
            taken: Float = np.bincount(self.pair, self.usd[0, self.cut] * self.slope, pairs)[None].astype(np.float64)
        else:
            dense = np.zeros((self.usd.shape[1], pairs))
            dense[self.cut, self.pair] = self.slope
            taken = self.usd @ dense
        return np.asarray(taken * (1 - (self.usd.shape[1] + 4) * EPS), np.float64)


def _entries(first: Int, rows: Int) -> tuple[Int, Int]:
    """All entries of the rows, with the position in `rows` of the row that each belongs to."""
    counts = first[rows + 1] - first[rows]
    pair = np.repeat(np.arange(len(rows)), counts)
    within = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts)
    return pair, first[rows][pair] + within


def open_book(cuts: Cuts, of_listed: Int, blocks: Sequence[Block]) -> CutBook:
    """The cuts of a certificate over the rows that `of_listed` says its positions mean.

    Raises:
        CertificateError: a fraction f that is not surely one.
    """
    rows, size = of_listed[cuts.row], len(of_listed)
    whole, fraction = rounded_need(cuts.row_cut, cuts.weight, cuts.unit)
    share = cuts.weight / cuts.unit[cuts.row_cut] * (1 + 2 * EPS)
    order = np.argsort(rows, kind="stable")
    entry_cut = cuts.row_cut[order]
    return CutBook(
        usd=np.atleast_2d(cuts.usd),
        whole=whole,
        fraction=fraction,
        first=np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=size))]).astype(np.int64),
        cut=entry_cut,
        share=share[order],
        slope=share[order] / fraction[entry_cut] * (1 + 4 * EPS),
        blocks=_cuts_of_blocks(cuts, blocks),
    )


def rounded_need(owner: Int, weight: Float, unit: Float) -> tuple[Float, Float]:
    """⌈d⌉ and frac(d) with d ≤ Σ w/R in floats; `owner` says whose unit every weight is counted in.

    Raises:
        CertificateError: a fraction that is not surely one.
    """
    total = np.bincount(owner, weight, len(unit))
    entries = np.bincount(owner, minlength=len(unit))
    need = total / unit * (1 - (entries + 8) * EPS)
    fraction = need - np.floor(need)
    if not ((fraction > SURE) & (fraction < 1 - SURE) & (need < MOST_UNITS)).all():
        raise CertificateError("cuts: what a cut asks for is no fraction that can be rounded up")
    return np.floor(need) + 1, fraction


def _cuts_of_blocks(cuts: Cuts, blocks: Sequence[Block]) -> dict[Block, Int]:
    order = np.argsort(cuts.block, kind="stable")
    found, first = np.unique(cuts.block[order], return_index=True)
    parts = np.split(cuts.block_cut[order], first[1:]) if len(found) else []
    return {blocks[b]: part for b, part in zip(found.tolist(), parts, strict=True)}
