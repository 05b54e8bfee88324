"""Matrix factorisation in the logarithm of the round trip: log t ≈ m + a_i + b_j + u_i · v_j.

Alternating least squares with a ridge in proportion to a node's known pairs, biases and factors at once; rank and
ridge are those that predict a fifth of the known pairs best, which is kept out for that and then given back. Both ways
of a pair are in the same fifth.
"""

import numpy as np

from bench.inference.edges import edges_of
from bench.inference.matrix import Float
from bench.inference.protocol import Mask
from placement.inference.known import Known

RANKS = (2, 3, 5)
RIDGES = (0.01, 0.03, 0.1)
TUNING_SWEEPS, SWEEPS = 20, 60


def factorisation(known: Known, seed: int) -> Float:
    """N × M estimates; NaN where a row or a column has no known pair."""
    logs = np.full(known.shape, np.nan)
    logs[known.row, known.column] = np.log(known.rtt_ms)
    if known.square:
        logs = np.where(np.isnan(logs), logs.T, logs)
    rank, ridge = _tuned(logs, known, seed)
    found = np.exp(_fit(logs, rank, ridge, SWEEPS, seed))
    found[np.isnan(logs).all(axis=1)] = np.nan
    found[:, np.isnan(logs).all(axis=0)] = np.nan
    return found


def _tuned(logs: Float, known: Known, seed: int) -> tuple[int, float]:
    """The rank and the ridge with the least median error on a fifth of the known pairs."""
    edges = edges_of(known)
    out = np.random.default_rng([seed, 2]).random(len(edges.a)) < 0.2
    kept_out = np.zeros(known.shape, bool)
    kept_out[edges.a[out], edges.b[out] - edges.columns[0]] = True
    if known.square:
        kept_out |= kept_out.T
    kept_out &= ~np.isnan(logs)
    rest = np.where(kept_out, np.nan, logs)

    def miss(rank: int, ridge: float) -> float:
        return float(np.median(np.abs(_fit(rest, rank, ridge, TUNING_SWEEPS, seed) - logs)[kept_out]))

    choices = [(rank, ridge) for rank in RANKS for ridge in RIDGES]
    return min(choices, key=lambda choice: miss(*choice)) if kept_out.any() else choices[0]


def _fit(logs: Float, rank: int, ridge: float, sweeps: int, seed: int) -> Float:
    """Estimates of log t; a side's last factor is its bias, against which the other side holds a one."""
    there = ~np.isnan(logs)
    mean = float(logs[there].mean())
    rest = np.where(there, logs - mean, 0.0)
    v = np.random.default_rng([seed, 3]).normal(0, 0.3, (logs.shape[1], rank + 1))
    v[:, -1] = 0.0
    for _ in range(sweeps):
        u = _solve(there, rest, v, ridge)
        v = _solve(there.T, rest.T, u, ridge)
    return np.asarray(mean + u[:, :-1] @ v[:, :-1].T + u[:, -1:] + v[:, -1])


def _solve(there: Mask, rest: Float, other: Float, ridge: float) -> Float:
    """Each row's factors and bias from those of the other side: (Σ v vᵀ + ridge · pairs) u = Σ v · (rest − bias)."""
    v = np.column_stack([other[:, :-1], np.ones(len(other))])
    width = v.shape[1]
    products = (v[:, :, None] * v[:, None, :]).reshape(len(v), width * width)
    normal = (there.astype(np.float64) @ products).reshape(len(there), width, width)
    normal += ridge * np.maximum(there.sum(axis=1), 1)[:, None, None] * np.eye(width)
    right = np.where(there, rest - other[:, -1], 0.0) @ v
    return np.asarray(np.linalg.solve(normal, right[:, :, None])[:, :, 0])
