"""Network coordinates: places in a Euclidean space and a last mile each, so that the sum explains what is known.

    rtt(i, j) ≈ |x_i − x_j| + h_i + h_j

after Vivaldi with height vectors (Dabek et al., SIGCOMM 2004, section 5.4), but fitted to all pairs at once, to the
*logarithm* of the round trip, and with a loss that grows only linearly (pseudo-Huber): relative errors count alike for
near and far pairs, and detours that no space can hold do not bend it. Times are in units of the median known one.
"""

import numpy as np
from numba import njit

from placement.inference.known import Float, Ints
from placement.inference.pairs import Links

DELTA = 0.02  # where the loss turns from square to linear: 2 % of the round trip
HEIGHT = -2.0  # the log of a last mile that nothing speaks of, in units of the median round trip
HEIGHT_RIDGE = 0.03
PLACE_RIDGE = 1.0
SOFT = 1e-4  # |x| is sqrt(x² + SOFT²): smooth where two nodes meet
DIMENSIONS = (2, 3, 4)
START = 0.2  # standard deviation of the first places
MOST_STEPS, LEAST_STEPS, WORK = 1500, 600, 10_000_000  # of one fit; its pairs times its steps
MEMORY = 8  # steps that the quasi-Newton method remembers
LEAST_GAIN = 1e-4  # of the cost over ten steps; less is noise


def member(data: Links, fold: int, which: int, seed: int) -> Float:
    """Coordinates of DIMENSIONS[which] dimensions (nodes × (d + 1)), fitted to all links but those of a fold."""
    own = data.fold != fold
    pair = data.a[own], data.b[own], data.log_rtt[own]
    steps = min(MOST_STEPS, max(LEAST_STEPS, WORK // max(len(pair[0]), 1)))
    random = np.random.default_rng([seed, 2, fold, which])
    start = random.normal(0, START, (data.nodes, DIMENSIONS[which] + 1))
    start[:, -1] = HEIGHT
    return fit(start, *pair, np.ones(len(pair[0])), steps)


@njit(cache=True, nogil=True)
def _cost(nodes: Float, a: Ints, b: Ints, log_rtt: Float, weight: Float, slope: Float) -> float:
    """Weighted pseudo-Huber loss and ridges; `slope` takes its gradient. nodes: n × (d + 1), the last is log height."""
    n, width = nodes.shape
    d = width - 1
    cost = 0.0
    for i in range(n):
        for k in range(d):
            cost += 0.5 * PLACE_RIDGE * nodes[i, k] ** 2
            slope[i, k] = PLACE_RIDGE * nodes[i, k]
        cost += 0.5 * HEIGHT_RIDGE * (nodes[i, d] - HEIGHT) ** 2
        slope[i, d] = HEIGHT_RIDGE * (nodes[i, d] - HEIGHT)
    for p in range(len(a)):
        i, j = a[p], b[p]
        square = SOFT * SOFT
        for k in range(d):
            square += (nodes[i, k] - nodes[j, k]) ** 2
        far, near_i, near_j = np.sqrt(square), np.exp(nodes[i, d]), np.exp(nodes[j, d])
        whole = far + near_i + near_j
        off = (np.log(whole) - log_rtt[p]) / DELTA
        root = np.sqrt(1.0 + off * off)
        cost += weight[p] * DELTA * (root - 1.0)
        pull = weight[p] * off / root / whole
        for k in range(d):
            step = pull * (nodes[i, k] - nodes[j, k]) / far
            slope[i, k] += step
            slope[j, k] -= step
        slope[i, d] += pull * near_i
        slope[j, d] += pull * near_j
    return cost


@njit(cache=True, nogil=True)
def _dot(left: Float, right: Float) -> float:
    """In one order whatever the number of threads, which a BLAS does not promise."""
    total = 0.0
    for i in range(left.shape[0]):
        for k in range(left.shape[1]):
            total += left[i, k] * right[i, k]
    return total


@njit(cache=True, nogil=True)
def fit(start: Float, a: Ints, b: Ints, log_rtt: Float, weight: Float, most_steps: int) -> Float:
    """The nodes (n × (d + 1)) that explain the pairs a–b best from `start` on: L-BFGS (Nocedal & Wright, 7.2)."""
    now, slope = start.copy(), np.empty_like(start)
    trial, trial_slope = np.empty_like(start), np.empty_like(start)
    moves, turns = np.zeros((MEMORY, *start.shape)), np.zeros((MEMORY, *start.shape))
    curve, share = np.zeros(MEMORY), np.zeros(MEMORY)
    cost = _cost(now, a, b, log_rtt, weight, slope)
    mark, known = cost, 0
    for step in range(most_steps):
        way = -slope
        for s in range(known):
            m = (step - 1 - s) % MEMORY
            share[m] = _dot(moves[m], way) / curve[m]
            way -= share[m] * turns[m]
        if known:
            last = (step - 1) % MEMORY
            way *= curve[last] / _dot(turns[last], turns[last])
        else:
            way *= 0.1 / (np.sqrt(_dot(slope, slope) / start.size) + 1e-30)
        for s in range(known - 1, -1, -1):
            m = (step - 1 - s) % MEMORY
            way += (share[m] - _dot(turns[m], way) / curve[m]) * moves[m]
        downhill = _dot(way, slope)
        if downhill >= 0.0:
            break
        length, better = 1.0, False
        for _ in range(25):
            trial[:] = now + length * way
            trial_cost = _cost(trial, a, b, log_rtt, weight, trial_slope)
            if trial_cost <= cost + 1e-4 * length * downhill:
                better = True
                break
            length *= 0.5
        if not better:
            break
        m = step % MEMORY
        moves[m] = trial - now
        turns[m] = trial_slope - slope
        curve[m] = _dot(moves[m], turns[m])
        now[:], slope[:], cost = trial, trial_slope, trial_cost
        known = min(known + 1, MEMORY) if curve[m] > 1e-14 else 0
        if step % 10 == 9:
            if mark - cost < LEAST_GAIN * cost:
                break
            mark = cost
    return now


@njit(cache=True, nogil=True)
def predict(nodes: Float, a: Ints, b: Ints) -> Float:
    """log |x_a − x_b| + h_a + h_b of pairs."""
    d = nodes.shape[1] - 1
    found = np.empty(len(a))
    for p in range(len(a)):
        square = SOFT * SOFT
        for k in range(d):
            square += (nodes[a[p], k] - nodes[b[p], k]) ** 2
        found[p] = np.log(np.sqrt(square) + np.exp(nodes[a[p], d]) + np.exp(nodes[b[p], d]))
    return found
