"""The known pairs as the edges of one graph, for methods that know nodes and no two sides."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.inference.matrix import Float
from placement.inference.known import Known

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Edges:
    """Edges a < b, none twice (the mean of both ways); `rows` and `columns` are the matrix's nodes, `seen` those that
    have a partner."""

    nodes: int
    a: Ints
    b: Ints
    rtt_ms: Float
    rows: Ints
    columns: Ints
    seen: NDArray[np.bool_]


def edges_of(known: Known) -> Edges:
    """Rows and columns of a square matrix are the same nodes; else the columns come after the rows."""
    rows, columns = known.shape
    first_column = 0 if known.square else rows
    nodes = rows if known.square else rows + columns
    ends = np.sort(np.column_stack([known.row, known.column + first_column]), axis=1)
    code, which, count = np.unique(ends[:, 0] * nodes + ends[:, 1], return_inverse=True, return_counts=True)
    a, b = code // nodes, code % nodes
    seen = np.zeros(nodes, bool)
    seen[a] = seen[b] = True
    mean = np.bincount(which, known.rtt_ms, len(code)) / count
    return Edges(nodes, a, b, mean, np.arange(rows), np.arange(columns) + first_column, seen)
