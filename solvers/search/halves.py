"""Two halves of the sites that share little demand, one for each thread: the median of a smoothed random field."""

import numpy as np
from numpy.typing import NDArray

from solvers.search.ground import Ground

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

SMOOTHINGS = 3


def split_sites(ground: Ground, open_: Bool, rng: np.random.Generator) -> tuple[Bool, Bool]:
    """(sites of the first half, rows of the first half).

    A random value of every site is averaged over the rows that it can serve and back, a few times, which leaves a field
    that is smooth where demand is shared; sites below its median over the open ones are the first half. A row belongs
    to the half with more of its sites, open ones counting double.
    """
    entry_row = np.repeat(np.arange(len(ground.penalty)), np.diff(ground.entry_first))
    site = ground.entry_site
    rows, sites = len(ground.penalty), len(ground.open_usd)
    field = rng.normal(size=sites)
    per_row = np.maximum(np.bincount(entry_row, minlength=rows), 1)
    per_site = np.maximum(np.bincount(site, minlength=sites), 1)
    for _ in range(SMOOTHINGS):
        by_row = np.bincount(entry_row, field[site], minlength=rows) / per_row
        field = np.bincount(site, by_row[entry_row], minlength=sites) / per_site
        spread = float(field.std())
        field = (field - field.mean()) / (spread if spread > 0 else 1.0)
    middle = float(np.median(field[open_])) if open_.any() else float(np.median(field))
    first = field <= middle
    weight = np.where(open_, 2.0, 1.0)[site] * np.where(first, 1.0, -1.0)[site]
    return first, np.bincount(entry_row, weight, minlength=rows) >= 0
