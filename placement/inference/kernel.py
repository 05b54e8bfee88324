"""What the coordinates miss, borrowed from alike pairs: errors of known links, smoothed over both ends.

Two rows are alike where their predicted round trips are. With weights w between rows and v between columns

    E(i, j) = Σ w(i, i') v(j, j') R(i', j') / (Σ w(i, i') v(j, j') O(i', j') + PRIOR)

over the known links (i', j'), O = 1 and R = their errors: Nadaraya-Watson regression (1964) with a product kernel,
drawn to 0 by PRIOR where little is near. Each side keeps its NEAREST alone:
then a row fits into a cache.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from placement.inference.known import Ints

Float32 = NDArray[np.float32]
WIDTHS = (0.05, 0.1, 0.2)  # root mean square difference of log rtt at which two rows count as alike
MAIN = 1  # the width whose smoothed error corrects a prediction
NEAREST = 48
PRIOR = 0.1  # links without an error that every mean holds
FIGURES = 3  # smoothed for every width: error, absolute error, number of links


def alike(profile: Float32, nearest: int = NEAREST) -> tuple[Ints, Float32]:
    """For every row its nearest rows (n × k, itself first) and their weights (n × k × widths)."""
    index, square = _nearest(np.ascontiguousarray(profile), min(nearest, len(profile)))
    width = np.asarray(WIDTHS, np.float32)
    return index, np.exp(-square[:, :, None] / (2 * width * width)).astype(np.float32)


@njit(cache=True, nogil=True)
def _nearest(profile: Float32, nearest: int) -> tuple[Ints, Float32]:
    """Indices and mean square differences of the rows nearest to each row, itself first; of equal ones the first."""
    n, width = profile.shape
    across = np.ascontiguousarray(profile.T)  # a loop over rows is one that the processor widens
    index, square = np.empty((n, nearest), np.int64), np.empty((n, nearest), np.float32)
    off = np.empty(n, np.float32)
    for i in range(n):
        off[:] = np.float32(0.0)
        for k in range(width):
            mine = profile[i, k]
            for j in range(n):
                off[j] += (across[k, j] - mine) ** 2
        off[i] = np.float32(-1.0)
        full = 0
        for j in range(n):
            if full == nearest and off[j] >= square[i, full - 1]:
                continue
            place = full if full < nearest else nearest - 1
            while place > 0 and square[i, place - 1] > off[j]:
                square[i, place], index[i, place] = square[i, place - 1], index[i, place - 1]
                place -= 1
            square[i, place], index[i, place] = off[j], j
            full = min(full + 1, nearest)
        square[i, 0] = np.float32(0.0)
    return index, square / np.float32(width)


@njit(cache=True, nogil=True)
def smooth(
    row: int, first: Ints, column: Ints, error: Float32, near_row: Ints, weight_row: Float32,
    near_column: Ints, weight_column: Float32, work: Float32, found: Float32,
) -> None:  # fmt: skip
    """Fill `found` (columns × widths × figures) for one row: smoothed error and absolute error, and weight of links.

    The links lie by rows: those of row i are first[i] … first[i + 1] of `column` and `error`. `work` is like `found`.
    """
    columns, widths = found.shape[0], found.shape[1]
    work[:] = 0.0
    for n in range(near_row.shape[1]):
        i = near_row[row, n]
        for p in range(first[i], first[i + 1]):
            for w in range(widths):
                weight = weight_row[row, n, w]
                work[column[p], w, 0] += weight * error[p]
                work[column[p], w, 1] += weight * abs(error[p])
                work[column[p], w, 2] += weight
    for j in range(columns):
        for w in range(widths):
            total, size, count = np.float32(0.0), np.float32(0.0), np.float32(0.0)
            for n in range(near_column.shape[1]):
                k, weight = near_column[j, n], weight_column[j, n, w]
                total += weight * work[k, w, 0]
                size += weight * work[k, w, 1]
                count += weight * work[k, w, 2]
            found[j, w, 0] = total / (count + np.float32(PRIOR))
            found[j, w, 1] = size / (count + np.float32(PRIOR))
            found[j, w, 2] = np.log(count + np.float32(0.01))
