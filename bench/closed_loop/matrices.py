"""Real matrices of round trips, R regions × P sites drawn from them: the truth, and what was measured before."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.tools.process import ROOT

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]
Ints = NDArray[np.int64]

DATA = ROOT.parent / "shared" / "data" / "rtt"
LEAST_PINGS = 10
DENSE = 100
"""Countries with figures to at least so many others."""


@dataclass(frozen=True)
class Matrix:
    """R × P, ms: `rtt_ms` is the truth, `before_ms` what old measurements saw; NaN where the data hold no figure."""

    rtt_ms: Float
    before_ms: Float


def planetlab(seed: int) -> Matrix:
    """40 nodes as regions and 80 others as sites, of PlanetLab's 490: snapshot 0 now, snapshot 9 before."""
    with np.load(DATA / "planetlab490_2snapshots.npz") as file:
        now, before = file["rtt_ms"].astype(np.float64)
    part = _drawn(len(now), 40, 80, seed)
    return Matrix(now[part], before[part])


def ripe(seed: int) -> Matrix:
    """40 countries as regions and 50 others as sites, of those that RIPE Atlas knows best; means, one snapshot."""
    table = pd.read_csv(DATA / "ripe_country2025" / "country_rtt_stat.csv.gz", keep_default_na=False)
    table = table[(table["rtt_cnt"] >= LEAST_PINGS) & (table["cty1"] != table["cty2"])]
    table = table[(table["cty1"] != "None") & (table["cty2"] != "None")]
    ends = pd.concat([table["cty1"], table["cty2"]]).value_counts()
    names = sorted(ends.index[ends >= DENSE])
    square = pd.DataFrame(np.nan, names, names)
    for one, other, ms in zip(table["cty1"], table["cty2"], table["rtt_avg"].astype(float), strict=True):
        if one in square.index and other in square.index:
            square.loc[one, other] = square.loc[other, one] = ms
    now = square.to_numpy(np.float64)[_drawn(len(names), 36, 50, seed)]
    return Matrix(now, now)


def _drawn(nodes: int, regions: int, sites: int, seed: int) -> tuple[NDArray[np.int64], ...]:
    drawn = np.random.default_rng(seed).permutation(nodes)[: regions + sites]
    return np.ix_(drawn[:regions], drawn[regions:])


MATRICES: dict[str, Callable[[int], Matrix]] = {"planetlab": planetlab, "ripe": ripe}
