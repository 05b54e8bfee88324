"""What can be said of every pair without one fold of the known links: each figure is a feature of the pair.

A feature of a known link must not have seen that link, nor may any step before it. So each fold has a view of its own:
coordinates fitted to the other folds, their errors, and the alikeness that follows. A pair that nobody measured is in
no fold and takes the mean of all views.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numba import njit
from numpy.typing import NDArray

from placement.inference.embedding import predict
from placement.inference.kernel import FIGURES, WIDTHS, Float32, alike, sharpened, smooth
from placement.inference.known import Float, Ints
from placement.inference.pairs import Links

MOST_ANCHORS = 128  # columns at which rows are compared, and the other way round
OWN = 2  # figures of a pair before the smoothed ones: the coordinates' median and their spread
PAIR_FIGURES = OWN + FIGURES * len(WIDTHS)
NODE_FIGURES = 5


@dataclass(frozen=True)
class View:
    """Members: m × nodes × (d + 1), shorter ones filled with 0. The links lie by rows (see `kernel.smooth`).

    `node` (nodes × NODE_FIGURES): mean error, mean absolute error, log of the number of links (NaN: none), least
    log rtt, log last mile.
    """

    members: Float
    offset: int
    first: Ints
    column: Ints
    error: Float32
    sharp: Float32
    share: Float32
    near_row: Ints
    weight_row: Float32
    near_column: Ints
    weight_column: Float32
    node: Float


def view(members: list[Float], data: Links, shape: tuple[int, int], seen: NDArray[np.bool_], seed: list[int]) -> View:
    """The view of the links `seen`, with coordinates fitted to them."""
    stack = _stacked(members)
    a, b, log_rtt = data.a[seen], data.b[seen], data.log_rtt[seen]
    error = log_rtt - np.median([predict(one, a, b) for one in members], axis=0)
    rows, columns = np.arange(shape[0]), np.arange(data.nodes - shape[1], data.nodes)
    random = np.random.default_rng(seed)
    row_side = alike(_profile(stack, rows, _anchors(columns, random)))
    column_side = row_side if data.square else alike(_profile(stack, columns, _anchors(rows, random)))
    row, column = (np.concatenate([a, b]), np.concatenate([b, a])) if data.square else (a, b)
    order = np.lexsort((column, row))
    first = np.searchsorted(row[order], np.arange(shape[0] + 1))
    both = np.concatenate([error, error]) if data.square else error
    at, both = column[order] - columns[0], both[order].astype(np.float32)
    return View(
        stack,
        columns[0],
        first,
        at,
        both,
        *sharpened(first, at, both, row_side, column_side),
        *row_side,
        *column_side,
        _node_figures(stack, a, b, log_rtt, error),
    )


def _stacked(members: list[Float]) -> Float:
    width = max(one.shape[1] for one in members)
    stack = np.zeros((len(members), len(members[0]), width))
    for k, one in enumerate(members):
        stack[k, :, : one.shape[1] - 1], stack[k, :, -1] = one[:, :-1], one[:, -1]
    return stack


def _anchors(nodes: Ints, random: np.random.Generator) -> Ints:
    return nodes if len(nodes) <= MOST_ANCHORS else np.sort(random.choice(nodes, MOST_ANCHORS, replace=False))


def _profile(stack: Float, nodes: Ints, anchors: Ints) -> Float32:
    """The predicted log rtt from nodes to anchors."""
    found = np.empty((len(nodes), len(anchors)), np.float32)
    scratch = np.empty(stack.shape[0])
    for n, node in enumerate(nodes):
        _middles(stack, node, anchors, scratch, found[n])
    return found


def _node_figures(stack: Float, a: Ints, b: Ints, log_rtt: Float, error: Float) -> Float:
    nodes = stack.shape[1]
    end, twice, size = np.concatenate([a, b]), np.concatenate([error, error]), np.abs(np.concatenate([error, error]))
    count = np.bincount(end, minlength=nodes)
    least = np.full(nodes, np.inf)
    np.minimum.at(least, end, np.concatenate([log_rtt, log_rtt]))
    with np.errstate(divide="ignore"):
        return np.stack(
            [
                np.bincount(end, twice, nodes) / (count + 1),
                np.bincount(end, size, nodes) / (count + 1),
                np.where(count > 0, np.log(count), np.nan),
                np.where(count > 0, least, np.nan),
                np.median(stack[:, :, -1], axis=0),
            ],
            axis=1,
        )


def pair_figures(seen: View, rows: Ints, columns: int) -> Float32:
    """PAIR_FIGURES of every pair of some rows: rows × columns × figures."""
    found = np.empty((len(rows), columns, PAIR_FIGURES), np.float32)
    _fill(
        rows, seen.members, seen.offset, seen.first, seen.column, seen.error, seen.sharp, seen.share,
        seen.near_row, seen.weight_row, seen.near_column, seen.weight_column, found,
    )  # fmt: skip
    return found


def blocks(rows: int, columns: int) -> Iterator[Ints]:
    """The rows in parts that fit into a cache: work for one thread each."""
    step = max(1, min(64, (1 << 16) // max(columns, 1)))
    for first, last in pairwise([*range(0, rows, step), rows]):
        yield np.arange(first, last)


@njit(cache=True, nogil=True)
def _middles(stack: Float, node: int, others: Ints, scratch: Float, found: Float32) -> None:
    """The members' median of log rtt from a node to others."""
    for j in range(len(others)):
        _each(stack, node, others[j], scratch)
        found[j] = _median(scratch)


@njit(cache=True, nogil=True)
def _each(stack: Float, i: int, j: int, found: Float) -> None:
    members, d = stack.shape[0], stack.shape[2] - 1
    for m in range(members):
        square = 1e-8
        for k in range(d):
            square += (stack[m, i, k] - stack[m, j, k]) ** 2
        found[m] = np.log(np.sqrt(square) + np.exp(stack[m, i, d]) + np.exp(stack[m, j, d]))


@njit(cache=True, nogil=True)
def _median(values: Float) -> float:
    """Sorts `values` in place: they are few."""
    count = len(values)
    for k in range(1, count):
        value, place = values[k], k
        while place > 0 and values[place - 1] > value:
            values[place] = values[place - 1]
            place -= 1
        values[place] = value
    return float(0.5 * (values[(count - 1) // 2] + values[count // 2]))


@njit(cache=True, nogil=True)
def _fill(
    rows: Ints, stack: Float, offset: int, first: Ints, column: Ints, error: Float32, sharp: Float32,
    share: Float32, near_row: Ints, weight_row: Float32, near_column: Ints, weight_column: Float32, found: Float32,
) -> None:  # fmt: skip
    columns, widths = found.shape[1], weight_row.shape[2]
    work = np.empty((columns, widths, 4), np.float32)
    smoothed = np.empty((columns, widths, 3), np.float32)
    scratch = np.empty(stack.shape[0])
    for r in range(len(rows)):
        smooth(
            rows[r],
            first,
            column,
            error,
            sharp,
            share,
            near_row,
            weight_row,
            near_column,
            weight_column,
            work,
            smoothed,
        )
        for j in range(columns):
            _each(stack, rows[r], offset + j, scratch)
            found[r, j, 0] = _median(scratch)
            found[r, j, 1] = scratch[-1] - scratch[0]
            for w in range(widths):
                for k in range(3):
                    found[r, j, 2 + 3 * w + k] = smoothed[j, w, k]
