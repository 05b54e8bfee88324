"""Two halves of the sites that share little demand, one for each thread: the median of a smoothed random field."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from solvers.search.ground import Ground

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

SMOOTHINGS = 3
SAMPLE = 32
"""Pairs of a row that are looked at."""


@dataclass(frozen=True)
class Sharing:
    """Which rows and sites belong together, by a sample of every row's pairs."""

    row: Int
    site: Int


def sharing_of(ground: Ground) -> Sharing:
    """Up to SAMPLE pairs of every row, evenly spread over its sites."""
    count = np.diff(ground.row_first)
    kept = np.minimum(count, SAMPLE)
    row = np.repeat(np.arange(len(count)), kept)
    turn = np.arange(len(row)) - np.repeat(np.cumsum(kept) - kept, kept)
    pair = ground.row_first[row] + turn * count[row] // np.maximum(kept[row], 1)
    return Sharing(row, ground.block_site[ground.pair_block[pair]].astype(np.int64))


def split_sites(sharing: Sharing, rows: int, open_: Bool, rng: np.random.Generator) -> tuple[Bool, Bool]:
    """(sites of the first half, rows of the first half).

    A random value of every site is averaged over the rows that it can serve and back, a few times, which leaves a field
    that is smooth where demand is shared; sites below its median over the open ones are the first half. A row belongs
    to the half with more of its sites, open ones counting double.
    """
    row, site, sites = sharing.row, sharing.site, len(open_)
    field = rng.normal(size=sites)
    per_row = np.maximum(np.bincount(row, minlength=rows), 1)
    per_site = np.maximum(np.bincount(site, minlength=sites), 1)
    for _ in range(SMOOTHINGS):
        by_row = np.bincount(row, field[site], minlength=rows) / per_row
        field = np.bincount(site, by_row[row], minlength=sites) / per_site
        spread = float(field.std())
        field = (field - field.mean()) / (spread if spread > 0 else 1.0)
    middle = float(np.median(field[open_])) if open_.any() else float(np.median(field))
    first = field <= middle
    weight = np.where(open_, 2.0, 1.0)[site] * np.where(first, 1.0, -1.0)[site]
    return first, np.bincount(row, weight, minlength=rows) >= 0
