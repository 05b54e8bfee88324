"""Known pairs in the form that models like: sorted, ends numbered as nodes, logarithms, split into folds."""

from dataclasses import dataclass

import numpy as np

from placement.inference.known import Float, Ints, Known

LEAST_MS = 1e-3  # two ends in one machine: a logarithm needs something


@dataclass(frozen=True)
class Links:
    """K links a–b between nodes, each known in one direction or in both, in the order of (a, b).

    Row i is node i; column j is node j where the matrix is square (then a < b), else node N + j. `log_rtt` is the mean
    logarithm of the round trips in units of `unit_ms`, the median one. `fold` says in which of `folds` parts a link is
    held out.
    """

    a: Ints
    b: Ints
    nodes: int
    square: bool
    log_rtt: Float
    unit_ms: float
    fold: Ints
    folds: int


def checked(known: Known) -> None:
    """Raises ValueError where `known` breaks its own promises; all faults in one text."""
    (rows, columns), row, column = known.shape, known.row, known.column
    faults = []
    if not len(row) == len(column) == len(known.rtt_ms):
        faults.append(f"row, column and rtt_ms have {len(row)}, {len(column)} and {len(known.rtt_ms)} entries")
    elif len(row):
        if row.min() < 0 or row.max() >= rows or column.min() < 0 or column.max() >= columns:
            faults.append(f"a pair lies outside of the {rows} × {columns} matrix")
        elif len(np.unique(row * columns + column)) < len(row):
            faults.append("a pair is there twice")
        if not (np.isfinite(known.rtt_ms) & (known.rtt_ms > 0)).all():
            faults.append("a round trip is not a finite figure above 0 ms")
        if known.square and (row == column).any():
            faults.append("a node has a round trip to itself, which is no pair")
    if known.square and rows != columns:
        faults.append(f"{rows} × {columns} is not square")
    for name, matrix in (("floor_ms", known.floor_ms), ("prior_ms", known.prior_ms)):
        if matrix is not None and matrix.shape != known.shape:
            faults.append(f"{name} is {matrix.shape}, not {known.shape}")
    if faults:
        raise ValueError("; ".join(faults))


def links(known: Known, folds: int, seed: int) -> Links:
    """The known links, and by chance `folds` parts of nearly equal size (fewer where there are fewer links)."""
    rtt_ms = np.maximum(known.rtt_ms.astype(np.float64), LEAST_MS)
    unit_ms = float(np.median(rtt_ms)) if len(rtt_ms) else 1.0
    row = known.row.astype(np.int64)
    column = known.column.astype(np.int64) + (0 if known.square else known.shape[0])
    nodes = known.shape[0] if known.square else sum(known.shape)
    order = np.lexsort((column, row))  # sums in one order, whatever that of the pairs
    name = (np.minimum(row, column) * nodes + np.maximum(row, column))[order]
    distinct, which, times = np.unique(name, return_inverse=True, return_counts=True)
    log_rtt = np.bincount(which, np.log(rtt_ms[order] / unit_ms), len(distinct)) / times
    folds = max(1, min(folds, len(distinct)))
    part = np.random.default_rng([seed, 1]).permutation(len(distinct)) % folds
    return Links(distinct // nodes, distinct % nodes, nodes, known.square, log_rtt, unit_ms, part, folds)
