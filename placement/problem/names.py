"""What each number of a Problem stands for, so that a solution can be told in the scenario's own words."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Int = NDArray[np.int64]
Float = NDArray[np.float64]


@dataclass(frozen=True)
class Offer:
    """A way to hold servers of one kind at one site: those that stand there, or new ones."""

    site: str
    server: str
    new: bool


@dataclass(frozen=True)
class DemandRow:
    """One class (region, model, service) in one slice."""

    region: str
    model: str
    service: str
    slice: str


@dataclass(frozen=True)
class Names:
    """Names in the order of the Problem's arrays; `pair_latency_ms` is the planned latency of every pair, N."""

    sites: tuple[str, ...]
    slices: tuple[str, ...]
    shapes: tuple[str, ...]
    offers: tuple[Offer, ...]
    demands: tuple[DemandRow, ...]
    limits: tuple[str, ...]
    pair_latency_ms: Float
