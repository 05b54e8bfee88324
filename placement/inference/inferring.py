"""From known pairs to an interval for every pair: the steps in their order."""

import numpy as np
from numpy.typing import NDArray

from placement.inference.embedding import members, predict
from placement.inference.intervals import Spread, spread
from placement.inference.known import Float, Inference, Ints, Known
from placement.inference.pairs import Links, all_pairs, checked, links

FOLDS = 8
BLOCK = 1 << 18  # pairs that are predicted at once: memory stays flat


def inferred(known: Known, seed: int) -> Inference:
    """See `placement.inference.infer`."""
    checked(known)
    if not len(known.row):
        nothing = np.full(known.shape, np.nan)
        return Inference(nothing, nothing.copy(), nothing.copy())
    data = links(known, FOLDS, seed)
    fitted = members(data, seed)
    held_out = _held_out(fitted, data)
    met = np.bincount(np.concatenate([data.a, data.b]), minlength=data.nodes) > 0
    usual, strange = (
        spread(data.log_rtt, held_out),
        spread(data.log_rtt, np.full(len(held_out), np.median(data.log_rtt))),
    )
    found = np.empty((3, *known.shape))
    step = max(1, BLOCK // max(known.shape[1], 1))
    for first in range(0, known.shape[0], step):
        rows = np.arange(first, min(first + step, known.shape[0]))
        a, b = all_pairs(known, rows)
        found[:, rows] = _block(fitted, a, b, met[a] & met[b], usual, strange).reshape(3, len(rows), -1)
    return _bounded(np.exp(found) * data.unit_ms, known)


def _held_out(fitted: list[list[Float]], data: Links) -> Float:
    """What the members say of each known link that did not see it."""
    found = np.empty(len(data.a))
    for fold, group in enumerate(fitted):
        own = np.flatnonzero(data.fold == fold)
        found[own] = np.median([predict(nodes, data.a[own], data.b[own]) for nodes in group], axis=0)
    return found


def _block(
    fitted: list[list[Float]], a: Ints, b: Ints, met: NDArray[np.bool_], usual: Spread, strange: Spread
) -> Float:
    """Lower end, middle and upper end (3 × pairs) of log rtt."""
    middle = np.median([predict(nodes, a, b) for group in fitted for nodes in group], axis=0)
    return np.where(met, usual.around(middle), strange.around(np.full(len(a), strange.at[len(strange.at) // 2])))


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
