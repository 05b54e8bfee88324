"""Gradient boosting with oblivious trees: what features say of an error that is left.

Boosting after Friedman (2001) on a clipped error (Huber's loss), with trees whose every level asks one question of all
its leaves (Kohavi 1994; Prokhorenkova et al. 2018): few numbers, hard to overfit, and a prediction is a handful of
comparisons. Features are sorted into at most BINS classes first (Chen & Guestrin 2016); NaN is a class of its own.
"""

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from placement.inference.known import Float, Ints

Codes = NDArray[np.uint8]
BINS = 48
LEVELS = 4
TREES = 160
RATE = 0.08
SHRINK = 10.0  # examples of no error that every leaf holds
SHARE = 0.6  # of the features, that a tree may ask


@dataclass(frozen=True)
class Trees:
    """T trees: at each level the feature and the last class that goes left; 2^LEVELS leaves; `start` comes first."""

    edges: list[Float]
    feature: Ints
    last: Ints
    leaf: Float
    start: float

    def predict(self, features: Float) -> Float:
        """The sum of all trees for n × F features."""
        return predicted(codes(features, self.edges), self.feature, self.last, self.leaf) + self.start


def edges_of(features: Float) -> list[Float]:
    """Upper edges of the classes of each feature: quantiles, without repeats."""
    found = []
    for values in features.T:
        there = values[np.isfinite(values)]
        found.append(np.unique(np.quantile(there, np.linspace(0, 1, BINS)[1:-1])) if len(there) else np.empty(0))
    return found


def codes(features: Float, edges: list[Float]) -> Codes:
    """Classes of n × F features, F × n: 0 for NaN, else 1 and up."""
    found = np.empty((features.shape[1], features.shape[0]), np.uint8)
    for k, edge in enumerate(edges):
        values = features[:, k]
        found[k] = np.where(np.isnan(values), 0, np.searchsorted(edge, values) + 1)
    return found


def boost(features: Float, target: Float, clip: float, seed: list[int]) -> Trees:
    """Trees that predict `target`, errors beyond `clip` counting as `clip`."""
    random = np.random.default_rng(seed)
    edges = edges_of(features)
    allowed = random.random((TREES, features.shape[1])) < SHARE
    allowed[np.arange(TREES), random.integers(features.shape[1], size=TREES)] = True
    start = float(np.median(target)) if np.isfinite(clip) else float(np.mean(target))
    found = _grow(codes(features, edges), target - start, clip, allowed, LEVELS, RATE, SHRINK)
    return Trees(edges, *found, start)


@njit(cache=True, nogil=True)
def _grow(
    code: Codes, target: Float, clip: float, allowed: NDArray[np.bool_], levels: int, rate: float, shrink: float
) -> tuple[Ints, Ints, Float]:
    trees, features, n = len(allowed), code.shape[0], code.shape[1]
    feature, last = np.zeros((trees, levels), np.int64), np.zeros((trees, levels), np.int64)
    leaf = np.zeros((trees, 1 << levels))
    left_over, pull = target.copy(), np.empty(n)
    place, classes = np.empty(n, np.int64), int(code.max()) + 1
    total, count = np.empty((leaf.shape[1], classes)), np.empty((leaf.shape[1], classes))
    for t in range(trees):
        for p in range(n):
            pull[p] = min(max(left_over[p], -clip), clip)
        place[:] = 0
        for level in range(levels):
            best, leaves = -1.0, 1 << level
            for f in range(features):
                if not allowed[t, f]:
                    continue
                total[:leaves], count[:leaves] = 0.0, 0.0
                for p in range(n):
                    total[place[p], code[f, p]] += pull[p]
                    count[place[p], code[f, p]] += 1.0
                gain, cut = _best_cut(total[:leaves], count[:leaves], shrink)
                if gain > best:
                    best, feature[t, level], last[t, level] = gain, f, cut
            asked = code[feature[t, level]]
            for p in range(n):
                place[p] = 2 * place[p] + (1 if asked[p] > last[t, level] else 0)
        total[:, 0], count[:, 0] = 0.0, 0.0
        for p in range(n):
            total[place[p], 0] += pull[p]
            count[place[p], 0] += 1.0
        for k in range(leaf.shape[1]):
            leaf[t, k] = rate * total[k, 0] / (count[k, 0] + shrink)
        for p in range(n):
            left_over[p] -= leaf[t, place[p]]
    return feature, last, leaf


@njit(cache=True, nogil=True)
def _best_cut(total: Float, count: Float, shrink: float) -> tuple[float, int]:
    """The class after which to cut all leaves, by the sum of (Σ pull)² / (number + SHRINK) of both sides."""
    leaves, bins = total.shape
    best, cut = -1.0, 0
    left, number = np.zeros(leaves), np.zeros(leaves)
    whole, members = np.zeros(leaves), np.zeros(leaves)
    for k in range(leaves):
        for c in range(bins):
            whole[k] += total[k, c]
            members[k] += count[k, c]
    for c in range(bins - 1):
        gain = 0.0
        for k in range(leaves):
            left[k] += total[k, c]
            number[k] += count[k, c]
            right, rest = whole[k] - left[k], members[k] - number[k]
            gain += left[k] ** 2 / (number[k] + shrink) + right**2 / (rest + shrink)
        if gain > best:
            best, cut = gain, c
    return best, cut


@njit(cache=True, nogil=True)
def predicted(code: Codes, feature: Ints, last: Ints, leaf: Float) -> Float:
    """The sum of the leaves that each column of `code` falls into."""
    found = np.zeros(code.shape[1])
    place = np.empty(code.shape[1], np.int64)
    for t in range(len(feature)):
        place[:] = 0
        for level in range(feature.shape[1]):
            asked, cut = code[feature[t, level]], last[t, level]
            for p in range(len(place)):
                place[p] = 2 * place[p] + (1 if asked[p] > cut else 0)
        for p in range(len(place)):
            found[p] += leaf[t, place[p]]
    return found
