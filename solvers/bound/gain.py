"""What one pair earns at given prices, and what the kernels read to know it."""

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]


class Prices(NamedTuple):
    """The multipliers as the kernels read them."""

    demand: Float  # I
    uplink: Float  # P × wired slices: failures, behind these, take no wires
    downlink: Float
    offer: Float  # O: (1 + ν)·offer_usd + ρ·limit_matrix
    replica: Float  # B: what a replica costs, below 0 where cuts pay more than that
    stand_first: Int  # B + 1: what 1, 2, … replicas of a block earn by covers (`solvers.bound.covers.CoverTable`)
    stand_usd: Float
    slot_first: Int  # C + 1: pairs that earn less by cuts (`solvers.bound.cuts.CutTable`)
    slot_pair: Int32
    slot_usd: Float  # how much less
    paid: float  # 1 + ν
    network: bool  # whether any of μ is above 0


class Facts(NamedTuple):
    """What the kernels read of the problem beyond the structure."""

    out_mbps: Float  # I
    in_mbps: Float  # I
    open_usd: Float  # P
    uplink: Float  # P
    downlink: Float  # P
    site_limit: Float  # P × R
    offer_max: Int  # O
    capacity: float
    slices: int


@njit(cache=True, nogil=True)
def gain_of(
    demand_usd: float, paid: float, pair_usd: float, up_usd: float, out_mbps: float, down_usd: float, in_mbps: float
) -> float:
    """USD that a pair earns if it is served whole, before what cuts take."""
    return demand_usd - paid * pair_usd - up_usd * out_mbps - down_usd * in_mbps
