"""What an inference starts from, and what it gives."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Known:
    """K measured pairs of N rows and M columns (regions and sites), and what geography says of all pairs.

    Where `square` is true, row i and column i are the same node: then N = M, (i, j) and (j, i) may differ, and (i, i)
    is no pair. `row`, `column` and `rtt_ms` have K entries, no pair twice, rtt_ms finite and above 0. `floor_ms` is
    N × M, the least round trip that light allows (0 where places are not known). `prior_ms` is N × M, what other
    sources take the round trip for (country figures, distance), NaN where they are silent.
    """

    shape: tuple[int, int]
    row: Ints
    column: Ints
    rtt_ms: Float
    square: bool = False
    floor_ms: Float | None = None
    prior_ms: Float | None = None


@dataclass(frozen=True)
class Inference:
    """N × M: 5 %, 50 % and 95 % of the chance of a pair's round trip lie below these, ms, for measured pairs too (as if
    they had not been measured, but for networks of fewer than `inferring.FEW_LINKS` links, which are too small to hold
    any out); NaN where nothing can be said. lower <= mid <= upper, and none below light."""

    lower_ms: Float
    mid_ms: Float
    upper_ms: Float
