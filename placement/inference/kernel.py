"""What the coordinates miss, borrowed from alike pairs: errors of known links, smoothed over both ends.

Two rows are alike where their predicted round trips are. With weights w between rows and v between columns

    E(i, j) = Σ w(i, i') v(j, j') O(i', j') R(i', j') / (Σ w(i, i') v(j, j') O(i', j') + PRIOR)

over the known links (i', j'), R = their errors: Nadaraya-Watson regression (1964) with a product kernel, drawn to 0 by
PRIOR where little is near. What that leaves of the known links is smoothed again, and so on (Tukey's twicing, 1977;
L2 boosting, Bühlmann & Yu 2003): as E is linear in R, it is one smoothing of the sum of all that was left. Links far
from what is smoothed count less, O = OUTLYING / |what is left| (Huber 1964), or a detour would speak for all around
it. Each side keeps its NEAREST alone: then a row fits into a cache.
"""

import numpy as np
from numba import njit
from numpy.typing import NDArray

from placement.inference.known import Ints

Float32 = NDArray[np.float32]
Side = tuple[Ints, Float32]  # of every row (or column) the nearest ones and their weights: see `alike`
WIDTHS = (0.05, 0.1, 0.2)  # root mean square difference of log rtt at which two rows count as alike
MAIN = 1  # the width whose smoothed error corrects a prediction
NEAREST = 48
PRIOR = 0.1  # links without an error that every mean holds
OUTLYING = 0.05  # of log rtt: what is left of a link beyond this lessens its share
PASSES, ROUNDS = 5, 3  # smoothings of what is left; shares found anew
FIGURES = 3  # smoothed for every width: error, absolute error, number of links


def alike(profile: Float32, nearest: int = NEAREST) -> Side:
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


def sharpened(first: Ints, column: Ints, error: Float32, row: Side, other: Side) -> tuple[Float32, Float32]:
    """What is to be smoothed of every link for each width (links × widths, times its share), and the shares."""
    share, left = np.ones_like(error), error
    for _ in range(ROUNDS):
        share = np.minimum(1, OUTLYING / np.maximum(np.abs(left), OUTLYING)).astype(np.float32)
        total, remains = _passes(first, column, error, share, *row, *other, PASSES)
        left = remains[:, MAIN]
    return total * share[:, None], share


@njit(cache=True, nogil=True)
def _passes(
    first: Ints, column: Ints, error: Float32, share: Float32, near_row: Ints, weight_row: Float32,
    near_column: Ints, weight_column: Float32, passes: int,
) -> tuple[Float32, Float32]:  # fmt: skip
    """The sum of all that passes left of the links, and what the last one leaves: links × widths."""
    links, widths = len(error), weight_row.shape[2]
    left, total = np.empty((links, widths), np.float32), np.zeros((links, widths), np.float32)
    for p in range(links):
        left[p] = error[p]
    smoothed = np.empty((links, widths), np.float32)
    work = np.empty((len(near_column), widths, 2), np.float32)
    sums = np.empty((widths, 2), np.float32)
    for _ in range(passes):
        total += left
        for row in range(len(near_row)):
            work[:] = 0.0
            for n in range(near_row.shape[1]):
                i = near_row[row, n]
                for p in range(first[i], first[i + 1]):
                    for w in range(widths):
                        weight = weight_row[row, n, w] * share[p]
                        work[column[p], w, 0] += weight * left[p, w]
                        work[column[p], w, 1] += weight
            for p in range(first[row], first[row + 1]):
                sums[:] = 0.0
                for n in range(near_column.shape[1]):
                    for w in range(widths):
                        weight = weight_column[column[p], n, w]
                        sums[w, 0] += weight * work[near_column[column[p], n], w, 0]
                        sums[w, 1] += weight * work[near_column[column[p], n], w, 1]
                for w in range(widths):
                    smoothed[p, w] = sums[w, 0] / (sums[w, 1] + np.float32(PRIOR))
        left -= smoothed
    return total, left


@njit(cache=True, nogil=True)
def smooth(
    row: int, first: Ints, column: Ints, error: Float32, sharp: Float32, share: Float32, near_row: Ints,
    weight_row: Float32, near_column: Ints, weight_column: Float32, work: Float32, found: Float32,
) -> None:  # fmt: skip
    """Fill `found` (columns × widths × figures) for one row: smoothed error and absolute error, and weight of links.

    The links lie by rows: those of row i are first[i] … first[i + 1] of `column`, `error`, and `sharp` and `share`
    (see `sharpened`). `work` is columns × widths × 4.
    """
    columns, widths = found.shape[0], found.shape[1]
    work[:] = 0.0
    for n in range(near_row.shape[1]):
        i = near_row[row, n]
        for p in range(first[i], first[i + 1]):
            for w in range(widths):
                weight = weight_row[row, n, w]
                work[column[p], w, 0] += weight * sharp[p, w]
                work[column[p], w, 1] += weight * share[p]
                work[column[p], w, 2] += weight * abs(error[p])
                work[column[p], w, 3] += weight
    sums = np.empty(4, np.float32)
    for j in range(columns):
        for w in range(widths):
            sums[:] = 0.0
            for n in range(near_column.shape[1]):
                k, weight = near_column[j, n], weight_column[j, n, w]
                for f in range(4):
                    sums[f] += weight * work[k, w, f]
            found[j, w, 0] = sums[0] / (sums[1] + np.float32(PRIOR))
            found[j, w, 1] = sums[2] / (sums[3] + np.float32(PRIOR))
            found[j, w, 2] = np.log(sums[3] + np.float32(0.01))
