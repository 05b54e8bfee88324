"""(D) Covers, derived anew from the loads of the tables: what is left after any one failure has to be enough.

With d = Σ w/R, k = ⌈d⌉ and f = frac(d), k units are needed beside v = Σ w·u/(R·f) without any one domain, so that a
site of m counts m/(k + m) of what has to stand; `docs/certificate.md` (D). Only rows, weights and units are taken from
the certificate. A cover holds for rows that no failure can lose, which `backups` finds out while sites are priced.
"""

from dataclasses import dataclass

import numpy as np

from placement.audit.arrays import CertificateError, Float, Int
from placement.audit.cuts import MOST_UNITS, counted_units, rounded_need
from placement.audit.descriptors import Covers
from placement.audit.site_value import EPS


@dataclass(frozen=True)
class CoverBook:
    """F covers over I demand rows, and their prices."""

    usd: Float  # F, ≥ 0
    units: Float  # F: k
    fraction: Float  # F: f
    first: Int  # I + 1: the entries of row i are those from first[i] to first[i + 1]
    cover: Int  # of every entry
    share: Float  # w/R, rounded up
    slope: Float  # (1 + 1/k)·w/(R·f), rounded up: what a unit of price takes from leaving the row

    @property
    def covered(self) -> Int:
        """The rows of any cover."""
        return np.flatnonzero(np.diff(self.first))

    def gain_usd(self) -> Float:
        """γ·(k + 1), F; rounded down."""
        return np.asarray(self.usd * (self.units + 1) * (1 - 4 * EPS), np.float64)

    def spared_usd(self) -> Float:
        """How much less leaving a row costs, I; rounded up."""
        row = np.repeat(np.arange(len(self.first) - 1), np.diff(self.first))
        usd = np.bincount(row, self.usd[self.cover] * self.slope, len(self.first) - 1)
        return np.asarray(usd * (1 + (len(self.cover) + 4) * EPS), np.float64)

    def standing_usd(self, rows: Int, load: Float, slice_: Int, most: int, *, fails: bool) -> Float:
        """What 1, 2, … replicas of a block earn that may serve or back up `rows`, at most `most`; rounded up.

        It ends where more replicas earn no more. `fails`: whether some domain that may fail holds the block's site.

        Raises:
            CertificateError: a row of a cover keeps nothing busy there, or more than floats hold.
        """
        counts = self.first[rows + 1] - self.first[rows]
        pair = np.repeat(np.arange(len(rows)), counts)
        entry = np.arange(len(pair)) - np.repeat(np.cumsum(counts) - counts, counts) + self.first[rows][pair]
        if not len(entry):
            return np.empty(0)
        if not (load[pair] > 0).all():
            raise CertificateError("covers: a block carries a row of a cover without being busy")
        covers, of = np.unique(self.cover[entry], return_inverse=True)
        carries = np.zeros((len(covers), int(slice_.max()) + 1))
        np.maximum.at(carries, (of, slice_[pair]), self.share[entry] / load[pair])
        carried = carries.sum(axis=1) * (1 + (carries.shape[1] + 16) * EPS)
        if not (carried <= MOST_UNITS).all():
            raise CertificateError("covers: a replica carries too many units of a cover")
        units, fraction = self.units[covers][:, None], self.fraction[covers][:, None]
        y = np.arange(1, min(most, int(np.ceil(units[:, 0] / carried).max())) + 1)
        held = np.minimum(units, counted_units(carried[:, None] * y * (1 + 2 * EPS), fraction))
        counted = (units + 1) * held / (units + (held if fails else 0.0))
        return np.asarray(self.usd[covers] @ counted * (1 + (len(covers) + 12) * EPS), np.float64)


def open_covers(covers: Covers, of_listed: Int) -> CoverBook:
    """The covers of a certificate over the demand rows that `of_listed` says its positions mean.

    Raises:
        CertificateError: a fraction f that is not surely one.
    """
    rows = of_listed[covers.row]
    units, fraction = rounded_need(covers.row_cover, covers.weight, covers.unit)
    share = covers.weight / covers.unit[covers.row_cover] * (1 + 2 * EPS)
    order = np.argsort(rows, kind="stable")
    cover = covers.row_cover[order]
    slope = share[order] / fraction[cover] * (1 + 1 / units[cover]) * (1 + 8 * EPS)
    first = np.concatenate([[0], np.cumsum(np.bincount(rows, minlength=len(of_listed)))]).astype(np.int64)
    return CoverBook(covers.usd, units, fraction, first, cover, share[order], slope)
