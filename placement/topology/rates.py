"""Bandwidth figures of whole countries and networks to a careful figure for each of their pairs.

A median over a country is what half of its hosts stay below, so it is no pair's bandwidth. What the plan takes is

    mbps(r, s) = 0.2 · least over methods and families of the median from A to B        region r in A, site s in B

of ten measurements or more; of several figures that reach a pair (its countries', its networks') the least. 0.2 is a
judgement: access rates within a country spread about like a log-normal with a sigma of 1, of which 5 % lie below
exp(-1.645) = 0.19 of the median. Nobody's distribution at hand confirms or corrects it.
"""

import numpy as np
import pandas as pd

from placement.topology.aggregate import LEAST_SAMPLES
from placement.topology.endpoints import Endpoints
from placement.topology.pairs import Float

CAREFUL_SHARE = 0.2


def aggregate_mbps(coarse: pd.DataFrame, ends: Endpoints, shape: tuple[int, int]) -> Float:
    """R × P Mbit/s, region to site, from the summaries of countries and networks; NaN where they say nothing.

    Bandwidth has a direction: up from the region's end, down from the site's.
    """
    enough = coarse[coarse[["records", "samples"]].max(axis=1) >= LEAST_SAMPLES]
    there = enough[["source", "target", "mbps_up"]].set_axis(["near", "far", "mbps"], axis=1)
    back = enough[["target", "source", "mbps_down"]].set_axis(["near", "far", "mbps"], axis=1)
    least = pd.concat([there, back]).dropna(subset=["mbps"]).groupby(["near", "far"])["mbps"].min()
    regions, sites = ends.places("region"), ends.places("site")
    found = np.full(shape, np.nan)
    for near, far, mbps in least.reset_index().itertuples(index=False):
        if near in regions and far in sites:
            block = np.ix_(regions[near], sites[far])
            found[block] = np.fmin(found[block], CAREFUL_SHARE * mbps)
    return found
