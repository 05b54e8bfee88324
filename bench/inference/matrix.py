"""A matrix of round trips to infer from, from any file, and what geography says of it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.geo import fibre_floor_ms, great_circle_km

Float = NDArray[np.float64]


class MatrixError(ValueError):
    """A file that is no matrix of round trips; the message says what to do."""


@dataclass(frozen=True)
class Matrix:
    """N × M round trips in ms; NaN where nobody knows the truth: such a pair is neither given nor asked for.

    Where `square` is true, row i and column i are one node, and (i, i) is no pair. `km` are distances, `floor_ms` is
    the least that light allows (0 where places are not known); both are None without any places.
    """

    name: str
    rtt_ms: Float
    square: bool
    km: Float | None = None
    floor_ms: Float | None = None

    @property
    def pairs(self) -> NDArray[np.bool_]:
        """N × M: whose truth is known."""
        known = np.isfinite(self.rtt_ms) & (self.rtt_ms > 0)
        if self.square:
            np.fill_diagonal(known, False)
        return known


def placed(name: str, rtt_ms: Float, square: bool, rows: Float, columns: Float) -> Matrix:
    """A matrix of nodes whose places are known; `rows` and `columns` are latitudes and longitudes, one node a line."""
    km = great_circle_km(rows[:, None, 0], rows[:, None, 1], columns[None, :, 0], columns[None, :, 1])
    return Matrix(name, rtt_ms, square, km, np.nan_to_num(fibre_floor_ms(km)))


def read(path: Path, positions: Path | None = None, two_sided: bool = False) -> Matrix:
    """The matrix in a file: .npy, .npz (the first array in it, and of three dimensions its first matrix), .csv.

    A CSV may have names in its first line and column; empty, `nan`, `inf` and what is not above 0 is
    absent. Milliseconds.
    N × N are N nodes, unless `two_sided` says that rows and columns are different ones. `positions` is a CSV with the
    columns latitude and longitude and a line per node: the rows', then (unless they are the same) the columns'.

    Raises:
        MatrixError: not such a file, or the positions are not as many as the nodes.
    """
    rtt_ms = _array(path)
    if rtt_ms.ndim == 3:
        rtt_ms = rtt_ms[0]
    if rtt_ms.ndim != 2 or min(rtt_ms.shape) < 2:
        raise MatrixError(f"{path}: an array of shape {rtt_ms.shape}; expected N × M round trips in ms, both 2 or more")
    square = rtt_ms.shape[0] == rtt_ms.shape[1] and not two_sided
    if positions is None:
        return Matrix(path.stem, rtt_ms, square)
    table = pd.read_csv(positions, keep_default_na=False, na_values={"latitude": "", "longitude": ""})
    if not {"latitude", "longitude"} <= set(table.columns):
        raise MatrixError(f"{positions}: columns {', '.join(table.columns)}; it needs latitude and longitude")
    at = table[["latitude", "longitude"]].to_numpy(np.float64)
    rows, columns = rtt_ms.shape
    nodes = rows if square else rows + columns
    if len(at) != nodes:
        raise MatrixError(f"{positions}: {len(at)} positions for {nodes} nodes; one line for each of them, in order")
    return placed(path.stem, rtt_ms, square, at[:rows], at if square else at[rows:])


def _array(path: Path) -> Float:
    if path.suffix in (".npy", ".npz"):
        loaded = np.load(path, allow_pickle=False)
        found = loaded if isinstance(loaded, np.ndarray) else loaded[loaded.files[0]]
    elif path.suffix == ".csv":
        found = _of_csv(path) if path.stat().st_size else np.empty((0, 0))
    else:
        raise MatrixError(f"{path}: a file called {path.suffix or 'so'} is not read; .npy, .npz and .csv are")
    try:
        return np.asarray(found, np.float64)
    except ValueError as error:
        raise MatrixError(f"{path}: {error}; all entries must be numbers") from error


def _of_csv(path: Path) -> NDArray[np.object_]:
    """Cells without the line and the column of names, if the file has them."""
    cells = pd.read_csv(path, header=None, dtype=str, keep_default_na=False).replace("", "nan").to_numpy(object)
    if not _is_number(cells[0, -1]):
        cells = cells[1:]
    if len(cells) and not _is_number(cells[0, 0]):
        cells = cells[:, 1:]
    return cells


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
