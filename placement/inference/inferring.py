"""From known pairs to an interval for every pair: the steps in their order."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from placement.inference.boosting import Trees, boost
from placement.inference.embedding import DIMENSIONS, member
from placement.inference.intervals import spread
from placement.inference.kernel import FIGURES, MAIN, Float32
from placement.inference.known import Float, Inference, Ints, Known
from placement.inference.pairs import Links, checked, links
from placement.inference.strangers import strangers
from placement.inference.view import OWN, PAIR_FIGURES, View, blocks, pair_figures, view

In = TypeVar("In")
Out = TypeVar("Out")
FEW_LINKS = 24  # below, there is nothing to learn from
FOLDS = ((8_000, 16), (30_000, 8), (np.inf, 5))  # below so many links, so many folds: few links miss each one more
THREADS = 2
LEAST_ERROR = 0.003  # of log rtt: smaller ones are chance, and their logarithm says nothing


@dataclass(frozen=True)
class Seen:
    """Features of all pairs but for those of nodes: rows × columns × figures, and of nodes; those of known links."""

    pair: Float32
    node: Float
    link: Float


def inferred(known: Known, seed: int) -> Inference:
    """See `placement.inference.infer`."""
    checked(known)
    data = links(known, next(folds for most, folds in FOLDS if len(known.row) < most * (1 + known.square)), seed)
    found = strangers(known, data)
    if len(data.a) >= FEW_LINKS:
        with ThreadPoolExecutor(THREADS) as threads:
            met = np.bincount(np.concatenate([data.a, data.b]), minlength=data.nodes) > 0
            _learned(known, data, seed, threads, met, found)
    return _bounded(np.exp(found) * data.unit_ms, known)


def _learned(
    known: Known, data: Links, seed: int, threads: ThreadPoolExecutor, met: NDArray[np.bool_], found: Float
) -> None:
    """Overwrites the pairs of two nodes that have known links in `found`, 3 × rows × columns of log rtt."""
    seen = _seen(known, data, seed, threads)
    base = _base(seen.link)
    middle, middle_out = _cross(seen.link, data.log_rtt - base, data, threads, [seed, 5], robust=True)
    error = data.log_rtt - base - middle_out
    size, size_out = _cross(seen.link, np.log(np.abs(error) + LEAST_ERROR), data, threads, [seed, 6], robust=False)
    ends = spread(base + middle_out, error / np.exp(size_out))
    offset = data.nodes - known.shape[1]

    def block(rows: Ints) -> None:
        features = _features(seen.pair[rows].reshape(-1, PAIR_FIGURES), seen.node, *_ends(rows, known, data), known)
        centre = _base(features) + middle.predict(features)
        three = ends.around(centre, np.exp(size.predict(features))).reshape(3, len(rows), -1)
        both = met[rows][:, None] & met[None, offset:]
        found[:, rows] = np.where(both, three, found[:, rows])

    _each(threads, block, blocks(*known.shape))
    # Measured pairs as if they had not been: by the view and the trees of the folds without them.
    held_out = ends.around(base + middle_out, np.exp(size_out))
    found[:, data.a, data.b - offset] = held_out
    if known.square:
        found[:, data.b, data.a] = held_out


def _each(threads: ThreadPoolExecutor, work: Callable[[In], Out], things: Iterable[In]) -> list[Out]:
    """In the order of the things, whichever thread is first."""
    return list(threads.map(work, things))


def _ends(rows: Ints, known: Known, data: Links) -> tuple[Ints, Ints]:
    """Both ends, as nodes, of every pair of some rows."""
    columns = np.arange(data.nodes - known.shape[1], data.nodes)
    return np.repeat(rows, len(columns)), np.tile(columns, len(rows))


def _seen(known: Known, data: Links, seed: int, threads: ThreadPoolExecutor) -> Seen:
    """All views, one after the other: those of known links by their own fold, the mean of all for other pairs."""
    tasks = [(fold, k) for fold in range(data.folds) for k in range(len(DIMENSIONS))]
    fitted = _each(threads, lambda task: member(data, task[0], task[1], seed), tasks)
    total = np.zeros((*known.shape, PAIR_FIGURES), np.float32)
    node, offset = np.zeros(()), data.nodes - known.shape[1]
    link: Float | None = None
    for fold in range(data.folds):
        own = [nodes for (of, _), nodes in zip(tasks, fitted, strict=True) if of == fold]
        one = view(own, data, known.shape, data.fold != fold, [seed, 4, fold])
        mine = np.flatnonzero(data.fold == fold)
        pair = np.empty((len(mine), PAIR_FIGURES), np.float32)

        def block(rows: Ints, one: View = one, mine: Ints = mine, pair: Float32 = pair) -> None:
            figures = pair_figures(one, rows, known.shape[1])
            total[rows] += figures
            here = (data.a[mine] >= rows[0]) & (data.a[mine] <= rows[-1])
            pair[here] = figures[data.a[mine][here] - rows[0], data.b[mine][here] - offset]

        _each(threads, block, blocks(*known.shape))
        features = _features(pair, one.node, data.a[mine], data.b[mine], known)
        link = np.empty((len(data.a), features.shape[1])) if link is None else link
        link[mine] = features
        node = node + np.nan_to_num(one.node, nan=0.0)
    total /= data.folds
    assert link is not None
    return Seen(total, node / data.folds, link)


def _features(pair: Float32, node: Float, a: Ints, b: Ints, known: Known) -> Float:
    """One row a pair: its own figures, then those of both ends (where any two nodes can meet: the lesser first)."""
    left, right = node[a], node[b]
    if known.square:
        left, right = np.minimum(left, right), np.maximum(left, right)
    parts = [pair.astype(np.float64), left, right]
    column = b if known.square else b - known.shape[0]
    for matrix in (known.floor_ms, known.prior_ms):
        if matrix is not None:
            with np.errstate(divide="ignore"):
                aside = np.log(matrix[a, column])
            parts.append(np.where(np.isfinite(aside), aside - pair[:, 0], np.nan)[:, None])
    return np.concatenate(parts, axis=1)


def _base(features: Float) -> Float:
    """What coordinates and alike pairs say: boosting corrects it."""
    return np.asarray(features[:, 0] + features[:, OWN + FIGURES * MAIN])


def _cross(
    features: Float, target: Float, data: Links, threads: ThreadPoolExecutor, seed: list[int], robust: bool
) -> tuple[Trees, Float]:
    """Trees of all links, and for every link what trees of the other folds say."""

    def one(fold: int) -> Trees:
        own = data.fold != fold
        clip = 1.5 * float(np.median(np.abs(target[own]))) if robust else np.inf
        return boost(features[own], target[own], clip, [*seed, fold + 1])

    everything, *others = _each(threads, one, [-1, *range(data.folds)])
    held_out = np.empty(len(target))
    for fold, trees in enumerate(others):
        held_out[data.fold == fold] = trees.predict(features[data.fold == fold])
    return everything, held_out


def _bounded(found: Float, known: Known) -> Inference:
    """Nothing below light, and the three figures in order; nothing where a node would meet itself."""
    lower, mid, upper = found
    if known.floor_ms is not None:
        lower = np.maximum(lower, known.floor_ms)
    mid = np.maximum(mid, lower)
    upper = np.maximum(upper, mid)
    if known.square:
        for array in (lower, mid, upper):
            np.fill_diagonal(array, np.nan)
    return Inference(lower, mid, upper)
