"""What others do, plainly and run to its end; each takes what is known and a seed and gives N × M estimates."""

from collections.abc import Callable

import numpy as np
from scipy.optimize import least_squares
from scipy.sparse import csr_array
from scipy.sparse.csgraph import dijkstra

from bench.inference.edges import edges_of
from bench.inference.factorisation import factorisation
from bench.inference.matrix import Float
from bench.inference.vivaldi import vivaldi
from placement.inference.known import Known

Method = Callable[[Known, Float | None, int], Float | None]
"""From what is known, the distances in km and a seed; None where the method does not apply."""


def shortest_path(known: Known) -> Float:
    """The least sum over known pairs, which RTTs stay below where no triangle is violated; NaN without any path."""
    edges = edges_of(known)
    graph = csr_array((edges.rtt_ms, (edges.a, edges.b)), shape=(edges.nodes, edges.nodes))
    apart = dijkstra(graph, directed=False, indices=edges.rows)[:, edges.columns]
    return np.where(np.isfinite(apart), apart, np.nan)


def distance_regression(known: Known, km: Float) -> Float:
    """a + b · km, both at least 0, by robust least squares of log t; NaN where a distance is not known."""
    there = ~np.isnan(km[known.row, known.column])
    logs, known_km = np.log(known.rtt_ms[there]), km[known.row, known.column][there]

    def miss(line: Float) -> Float:
        return np.asarray(np.log(line[0] + line[1] * known_km) - logs)

    line = least_squares(miss, [10.0, 0.02], bounds=([0.01, 1e-6], np.inf), loss="soft_l1", f_scale=0.1).x
    return np.asarray(line[0] + line[1] * km)


BASELINES: dict[str, Method] = {
    "vivaldi 2D": lambda known, _, seed: vivaldi(known, seed, 2, heights=False),
    "vivaldi 3D+height": lambda known, _, seed: vivaldi(known, seed, 3, heights=True),
    "factorisation": lambda known, _, seed: factorisation(known, seed),
    "distance": lambda known, km, _: None if km is None else distance_regression(known, km),
    "shortest path": lambda known, _, __: shortest_path(known),
}
