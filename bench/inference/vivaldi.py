"""Vivaldi network coordinates (Dabek, Cox, Kaashoek, Morris: SIGCOMM 2004), run until they stand still.

Each node moves along the spring to a known partner by δ = c · w · (RTT − predicted), w = e_i / (e_i + e_j) the balance
of both nodes' errors; with heights the predicted RTT is |x_i − x_j| + h_i + h_j. As the paper's constant step never
comes to rest, it shrinks over the second half of the rounds, which does the baseline good.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from bench.inference.edges import edges_of
from bench.inference.matrix import Float
from placement.inference.known import Known

ROUNDS = 2000
STEP = 0.25  # c_c and c_e of the paper
LEAST_HEIGHT_MS = 0.01


def vivaldi(known: Known, seed: int, dimensions: int, heights: bool) -> Float:
    """N × M estimates; NaN for nodes without any partner."""
    edges = edges_of(known)
    place = (random := np.random.default_rng([seed, 5])).normal(0.0, 1.0, (edges.nodes, dimensions))
    height = _settle(edges.a, edges.b, edges.rtt_ms, place, heights, ROUNDS, random)
    place[~edges.seen] = np.nan
    gap = place[edges.rows][:, None] - place[edges.columns][None]
    return np.asarray(np.sqrt((gap**2).sum(axis=2)) + height[edges.rows][:, None] + height[edges.columns][None])


@njit(cache=True)
def _settle(
    a: NDArray[np.int64],
    b: NDArray[np.int64],
    rtt_ms: Float,
    place: Float,
    heights: bool,
    rounds: int,
    random: np.random.Generator,
) -> Float:
    """Moves `place` and gives the heights."""
    nodes, dimensions = place.shape
    height = np.full(nodes, 1.0 if heights else 0.0)
    error = np.ones(nodes)
    way = np.empty(dimensions)
    for turn in range(rounds):
        step = STEP * min(1.0, 2.0 * (1.0 - turn / rounds))
        for e in random.permutation(2 * len(a)):
            i, j = (a[e // 2], b[e // 2]) if e % 2 else (b[e // 2], a[e // 2])
            rtt = rtt_ms[e // 2]
            apart = 0.0
            for d in range(dimensions):
                way[d] = place[i, d] - place[j, d]
                apart += way[d] ** 2
            apart = np.sqrt(apart)
            predicted = apart + height[i] + height[j]
            weight = error[i] / (error[i] + error[j])
            miss = abs(predicted - rtt) / rtt
            error[i] = min(max(miss * STEP * weight + error[i] * (1 - STEP * weight), 1e-6), 2.0)
            force = step * weight * (rtt - predicted)
            # A unit vector of the paper's space with heights: its norm counts both heights.
            norm = apart + height[i] + height[j] if heights else apart
            if norm < 1e-9:
                for d in range(dimensions):
                    way[d] = random.normal(0.0, 1.0)
                norm = 1.0
            for d in range(dimensions):
                place[i, d] += force * way[d] / norm
            if heights:
                height[i] = max(height[i] + force * (height[i] + height[j]) / norm, LEAST_HEIGHT_MS)
    return height
