"""What one block is worth: a fractional knapsack a slice, over the whole range of replica counts at once."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Int32 = NDArray[np.int32]
Float32 = NDArray[np.float32]

TINY = 1e-300
FEW = 24
"""Items that are sorted at once."""


@njit(cache=True, nogil=True)
def sort_falling(key: Float, item: Int32, first: int, last: int) -> None:
    """Sort key[first:last] from high to low, `item` along; equal keys keep the order of their items."""
    gap = 1
    while gap < (last - first) // 3:
        gap = 3 * gap + 1
    while gap > 0:
        for j in range(first + gap, last):
            k, it = key[j], item[j]
            i = j
            while i - gap >= first and (key[i - gap] < k or (key[i - gap] == k and item[i - gap] > it)):
                key[i] = key[i - gap]
                item[i] = item[i - gap]
                i -= gap
            key[i] = k
            item[i] = it
        gap //= 3


@njit(cache=True, nogil=True)
def sort_first(key: Float, item: Int32, load: Float, first: int, last: int, room: float) -> int:
    """Sort as `sort_falling` does, but only the first that more than fill `room`; where they end. `load` is by item.

    Of hundreds of rows that could be served few fit: those that do not are put aside unsorted (Hoare 1961).
    """
    low, end = first, last
    while end - low > FEW:
        middle = (low + end) // 2
        k, it = key[middle], item[middle]
        key[middle], item[middle] = key[end - 1], item[end - 1]
        at, filled = low, 0.0
        for j in range(low, end - 1):
            if key[j] > k or (key[j] == k and item[j] < it):
                other, number = key[j], item[j]
                key[j], item[j] = key[at], item[at]
                key[at], item[at] = other, number
                filled += load[number]
                at += 1
        key[end - 1], item[end - 1] = key[at], item[at]
        key[at], item[at] = k, it
        if filled > room:
            end = at
        elif filled + load[it] > room:
            end = at + 1
            break
        else:
            room -= filled + load[it]
            low = at + 1
    sort_falling(key, item, first, end)
    return end


@njit(cache=True, nogil=True)
def fill_value(
    density: Float, load: Float, item: Int32, first: int, last: int, capacity: float, most: int, value: Float
) -> int:
    """Add to `value[y]` the best filling of y replicas (each `capacity`) by the sorted items; y = 1..most.

    Returns the least y that takes everything (at most `most`); beyond it `value` is constant.
    """
    gained = 0.0
    y = 1
    room = capacity
    for j in range(first, last):
        left = load[item[j]]
        if left <= 0.0:
            gained += density[j] * TINY
            continue
        while left > room:
            gained += density[j] * room
            left -= room
            value[y] += gained
            room = capacity
            y += 1
            if y > most:
                return most
        gained += density[j] * left
        room -= left
    for k in range(y, most + 1):
        value[k] += gained
    return y


@njit(cache=True, nogil=True)
def fill_shares(
    load: Float, pair: Int32, item: Int32, first: int, last: int, room: float, out_pair: Int32, out_share: Float32,
    count: int,
) -> int:  # fmt: skip
    """Write the pairs and shares of the best filling of `room` behind position `count`; returns the new count."""
    for j in range(first, last):
        n = item[j]
        share = 1.0 if load[n] <= room else room / load[n]
        if share <= 0.0:
            break
        if pair[n] >= 0:
            out_pair[count] = pair[n]
            out_share[count] = share
            count += 1
        room -= load[n] * share
        if share < 1.0:
            break
    return count
