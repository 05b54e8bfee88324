"""(max, +) convolution of a value by width with the value of one choice by replicas."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int32 = NDArray[np.int32]


@njit(cache=True, nogil=True)
def convolve(
    old: Float, new: Float, value: Float, most: int, weight: int, reach: int, pick: Int32, none: float = 0.0
) -> None:
    """new(w) = max over y in 0..most of old(w − y·weight) + value(y), for w = 0..reach; `pick` notes the y.

    `none` counts for value[0]; any value may be −inf; `old` must be filled to `reach`. The inner loop runs along w,
    which vectorises.
    """
    for w in range(reach + 1):
        new[w] = old[w] + none
        pick[w] = 0
    for y in range(1, most + 1):
        gain = value[y]
        if gain > -np.inf:
            shift = y * weight
            for w in range(shift, reach + 1):
                v = old[w - shift] + gain
                if v > new[w]:
                    new[w] = v
                    pick[w] = y


@njit(cache=True, nogil=True)
def raise_by(old: Float, new: Float, value: Float, most: int, weight: int, reach: int) -> None:
    """new(w) = max(new(w), old(w − y·weight) + value(y)) for y = 1..most; `read_picks` finds the y again."""
    for y in range(1, most + 1):
        gain = value[y]
        shift = y * weight
        for w in range(shift, reach + 1):
            new[w] = max(new[w], old[w - shift] + gain)
