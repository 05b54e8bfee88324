"""The least cost of holding at least G GPUs of one type at one site, by enumeration of server counts.

A *unit* is a (site, GPU type). Its offers of one server kind differ in price alone, so the cheapest are taken first and
only the counts of kinds are enumerated, under the resource limits of the site (equations 7, 8). Other units of the
site are ignored: each gets the whole of the limits.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]

SLACK = 1e-9
"""Relative rounding allowed when uses are added up against a limit."""


@njit(cache=True, nogil=True)
def kind_ceiling(use: Float, limit: Float, most: int) -> int:
    """The largest count of one kind alone that fits under `limit` (R), at most `most`."""
    for r in range(len(limit)):
        if use[r] > 0.0 and limit[r] < np.inf:
            most = min(most, int(np.floor(limit[r] * (1.0 + SLACK) / use[r])))
    return max(most, 0)


@njit(cache=True, nogil=True)
def kind_price(count: int, prices: Float, maxima: Int, first: int, last: int) -> float:
    """Cost of `count` servers of one kind whose offers first..last-1 are sorted by price."""
    total = 0.0
    for o in range(first, last):
        take = min(count, maxima[o])
        total += take * prices[o]
        count -= take
        if count == 0:
            break
    return total


@njit(cache=True, nogil=True)
def enumerate_costs(  # noqa: PLR0912 - an odometer in one piece
    gpus: Int, use: Float, ceilings: Int, limit: Float, steps: Float, step_first: Int, table: Float, best: Int
) -> int:
    """Fill `table[G]` with the least cost of at least G GPUs (inf where none fits) and `best[G, kind]` with the counts.

    `steps[step_first[k] + c]` is the cost of c servers of kind k. Returns the largest G that fits; `table` is written
    up to its own length.
    """
    kinds = len(gpus)
    resources = len(limit)
    size = len(table)
    table[:] = np.inf
    counts = np.zeros(kinds, np.int64)
    room = np.empty((kinds + 1, resources))
    for r in range(resources):
        room[0, r] = limit[r] * (1.0 + SLACK)
        for k in range(kinds):
            room[k + 1, r] = room[0, r]
    spent = np.zeros(kinds + 1)
    held = np.zeros(kinds + 1, np.int64)
    most: int = 0
    while True:
        g = int(held[kinds])
        most = max(most, g)
        at = min(g, size - 1)
        if spent[kinds] < table[at]:
            table[at] = spent[kinds]
            for k in range(kinds):
                best[at, k] = counts[k]
        k = kinds - 1
        while k >= 0:
            fits = counts[k] < ceilings[k]
            if fits:
                for r in range(resources):
                    if use[k, r] > room[k + 1, r]:
                        fits = False
                        break
            if fits:
                break
            counts[k] = 0
            k -= 1
        if k < 0:
            break
        counts[k] += 1
        for j in range(k, kinds):
            for r in range(resources):
                room[j + 1, r] = room[j, r] - counts[j] * use[j, r]
            spent[j + 1] = spent[j] + steps[step_first[j] + counts[j]]
            held[j + 1] = held[j] + counts[j] * gpus[j]
    for g in range(size - 2, -1, -1):
        if table[g + 1] <= table[g]:
            table[g] = table[g + 1]
            for k in range(kinds):
                best[g, k] = best[g + 1, k]
    return most
