"""What rounding cuts change in a bound, re-derived from their descriptors: `docs/certificate.md` (C)."""

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from bench.arrays.instance import EdgeArrays, Float, Int
from bench.arrays.planned import CertificateFormError, CutArrays

EPS = float(np.finfo(np.float64).eps)
SHARPEST = Fraction(1, 10**6)


@dataclass(frozen=True)
class Cut:
    """One cut, exact where it decides and rounded against itself where it does not.

    Per USD of its price: the bound gains `gain`, pairs of row `row[k]` on its blocks earn less by `pair_less[k]`
    (never too much), and each replica of `block[k]` costs less by `replica_less[k]` (never too little).
    """

    row: Int
    pair_less: Float
    block: Int
    replica_less: Float
    gain: Fraction
    pair: Int  # pairs of its rows on its blocks
    pair_of_row: Int  # position in `row` of each


def derive(arrays: EdgeArrays, cuts: CutArrays, pair_first: Int, pair_block: Int) -> list[Cut]:
    """Every cut of `cuts`.

    Raises CertificateFormError where one proves nothing: a row or block that is none or comes twice, or a remainder
    too close to a whole.
    """
    return [_derive(arrays, cuts, c, pair_first, pair_block) for c in range(cuts.count)]


def _derive(arrays: EdgeArrays, cuts: CutArrays, c: int, pair_first: Int, pair_block: Int) -> Cut:
    row = cuts.row[cuts.row_first[c] : cuts.row_first[c + 1]]
    weight = cuts.weight[cuts.row_first[c] : cuts.row_first[c + 1]]
    block = np.sort(cuts.block[cuts.block_first[c] : cuts.block_first[c + 1]])
    _refuse(row, arrays.classes, f"cut {c}: rows")
    _refuse(block, arrays.blocks, f"cut {c}: blocks")
    unit = Fraction(float(cuts.unit[c]))
    whole = sum((Fraction(w) for w in weight.tolist()), Fraction(0)) / unit
    rest = whole - math.floor(whole)
    if not SHARPEST < rest < 1 - SHARPEST:
        raise CertificateFormError(f"cut {c}: the remainder {float(rest):.3g} proves nothing")
    share = weight / (float(unit) * float(rest)) * (1 - 8 * EPS)
    exact_share = sum((Fraction(w) for w in weight.tolist()), Fraction(0)) / (unit * rest)
    pair = np.concatenate([np.arange(pair_first[i], pair_first[i + 1]) for i in row.tolist()])
    of_row = np.repeat(np.arange(len(row)), pair_first[row + 1] - pair_first[row])
    place = np.searchsorted(block, pair_block[pair])
    inside = place < len(block)
    inside[inside] = block[place[inside]] == pair_block[pair[inside]]
    pair, of_row, place = pair[inside], of_row[inside], place[inside]
    alpha = np.zeros(len(block))
    np.maximum.at(alpha, place, weight[of_row] / arrays.demand[row[of_row]] / float(unit) * (1 + 8 * EPS))
    return Cut(row, share, block, _rounded(alpha, float(rest)), math.ceil(whole) - exact_share, pair, of_row)


def _rounded(alpha: Float, rest: float) -> Float:
    """F(α) = ⌊α⌋ + min(1, frac(α)/f), rounded up."""
    floor = np.floor(alpha)
    return np.asarray((floor + np.minimum(1.0, (alpha - floor) / rest * (1 + 8 * EPS))) * (1 + 4 * EPS), np.float64)


def _refuse(index: Int, size: int, what: str) -> None:
    if not len(index):
        raise CertificateFormError(f"{what}: none")
    if index.min() < 0 or index.max() >= size or len(np.unique(index)) < len(index):
        raise CertificateFormError(f"{what} outside of 0..{size - 1}, or twice")
