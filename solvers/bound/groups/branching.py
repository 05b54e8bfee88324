"""What to branch on: the count that the averaged choices leave most undecided."""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.bound.groups.ascent import Course
from solvers.bound.groups.group import FREE, Box, Group
from solvers.solution import SPLIT_OPEN, SPLIT_REPLICAS, SPLIT_SERVERS

Float = NDArray[np.float64]
Int = NDArray[np.int64]

DECIDED = 0.02
"""An average so near to an integer counts as one."""


@njit(cache=True, nogil=True)
def undecided(mean: float, least: int, most: int) -> tuple[float, int]:
    """How far an average is from an integer, and the `most` that cuts it off; −1 where there is nothing to branch."""
    if least >= most:
        return -1.0, 0
    at = min(max(int(np.floor(mean)), least), most - 1)
    return 0.5 - abs(min(max(mean - at, 0.0), 1.0) - 0.5), at


@njit(cache=True, nogil=True)
def candidates(group: Group, box: Box, course: Course, kinds: Int, indices: Int, mosts: Int, scores: Float) -> int:
    """Fill the most promising branchings, best first; returns how many there are."""
    scores[:] = -1.0
    for p in range(len(group.open_usd)):
        if box.open[p] == FREE:
            score, _ = undecided(course.open[p], 0, 1)
            keep(SPLIT_OPEN, p, 0, 4.0 + score if score > DECIDED else score, kinds, indices, mosts, scores)
    for k in range(len(group.kind_site)):
        score, at = undecided(course.servers[k], box.servers_least[k], box.servers_most[k])
        keep(SPLIT_SERVERS, k, at, 2.0 + score if score > DECIDED else score, kinds, indices, mosts, scores)
    for b in range(len(group.block_site)):
        if box.open[group.block_site[b]] > 0:
            score, at = undecided(course.replicas[b], box.replicas_least[b], box.replicas_most[b])
            keep(SPLIT_REPLICAS, b, at, 1.0 + score if score > DECIDED else score, kinds, indices, mosts, scores)
    found = 0
    while found < len(scores) and scores[found] >= 0.0:
        found += 1
    return found


@njit(cache=True, nogil=True)
def keep(kind: int, index: int, most: int, score: float, kinds: Int, indices: Int, mosts: Int, scores: Float) -> None:
    """Insert a candidate into the list, which is sorted by falling score."""
    at = len(scores)
    while at > 0 and score > scores[at - 1]:
        at -= 1
    if at == len(scores) or score < 0.0:
        return
    for j in range(len(scores) - 1, at, -1):
        kinds[j], indices[j], mosts[j], scores[j] = kinds[j - 1], indices[j - 1], mosts[j - 1], scores[j - 1]
    kinds[at], indices[at], mosts[at], scores[at] = kind, index, most, score
