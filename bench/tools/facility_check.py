"""Published facility-location instances read, checked and bounded without any of the solvers' code.

A plan is held against the numbers of the file; a bound is that of Lagrange for given prices of the customers,
Σ_i π_i − Σ_j max(0, V_j − fixed_j), V_j the fractional knapsack of what customers would pay facility j beyond cost
(for p-medians: the p largest V_j), plus the least that further facilities cost where those that earn do not hold all
of the demand. Any prices are sound; how tight they are is the solver's affair.
"""

import gzip
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
EPS = float(np.finfo(np.float64).eps)
TOLERANCE = 1e-6


@dataclass(frozen=True)
class Instance:
    """J facilities, I customers. `usd` is the cost of the whole demand of a customer at a facility."""

    fixed: Float  # J
    capacity: Float  # J; inf for p-medians
    demand: Float  # I
    usd: Float  # J × I
    most_open: int
    single_source: bool


def read(path: Path, *, single_source: bool) -> Instance:
    """A file of any of the sets; which format it has follows from its folder."""
    raw = path.read_bytes()
    text = (gzip.decompress(raw) if path.suffix == ".gz" else raw).decode("ascii")
    words = text.replace("\x1a", " ").replace("\0", " ").split()
    numbers = np.array(words, np.float64)
    if path.parent.name == "pmed":
        return _p_median(numbers)
    facilities, customers = int(numbers[0]), int(numbers[1])
    rest = numbers[2:]
    if path.parent.name == "tbed1_tb1":
        demand, rest = rest[:customers], rest[customers:]
        capacity, fixed, rest = rest[:facilities], rest[facilities : 2 * facilities], rest[2 * facilities :]
        usd = rest[: facilities * customers].reshape(facilities, customers) * demand
    else:
        capacity, fixed = rest[: 2 * facilities].reshape(facilities, 2).T
        rest = rest[2 * facilities :]
        demand, rest = rest[:customers], rest[customers:]
        usd = rest[: facilities * customers].reshape(facilities, customers)
    return Instance(fixed, capacity, demand, usd, facilities, single_source)


def _p_median(numbers: Float) -> Instance:
    """All shortest distances by Floyd and Warshall; of an edge named twice the last length counts."""
    nodes, edges, medians = (int(value) for value in numbers[:3])
    distance = np.full((nodes, nodes), np.inf)
    np.fill_diagonal(distance, 0.0)
    for a, b, length in numbers[3 : 3 + 3 * edges].reshape(edges, 3):
        distance[int(a) - 1, int(b) - 1] = distance[int(b) - 1, int(a) - 1] = length
    for k in range(nodes):
        np.minimum(distance, distance[:, k, None] + distance[None, k, :], out=distance)
    free = np.zeros(nodes)
    return Instance(free, np.full(nodes, np.inf), free, distance, medians, False)


def checked_usd(instance: Instance, opened: NDArray[np.bool_], share: Float) -> tuple[float, str]:
    """What a plan costs, and what it breaks ("" if nothing). `share` is J × I."""
    served = share.sum(axis=0)
    load = (share * instance.demand).sum(axis=1)
    faults = (
        ("a customer is not served once", np.abs(served - 1).max() > TOLERANCE),
        ("a share outside of 0..1", share.min() < -TOLERANCE or share.max() > 1 + TOLERANCE),
        ("a closed facility serves", share[~opened].max(initial=0.0) > TOLERANCE),
        ("capacity", (load > np.where(np.isinf(instance.capacity), np.inf, instance.capacity * (1 + TOLERANCE))).any()),
        ("too many facilities", opened.sum() > instance.most_open),
        ("a customer is split", instance.single_source and np.minimum(share, 1 - share).max() > TOLERANCE),
    )
    usd = math.fsum([*instance.fixed[opened].tolist(), *(instance.usd * share).ravel().tolist()])
    return usd, "; ".join(name for name, broken in faults if broken)


def bound_usd(instance: Instance, price: Float) -> float:
    """What `price` (I) proves, rounded down."""
    earned = np.array([_earned(instance, j, price) for j in range(len(instance.fixed))])
    left = instance.fixed - earned
    kept = np.sort(np.minimum(left, 0.0))[: instance.most_open]
    size = float(np.abs(price).sum() + earned.sum() + instance.fixed.sum())
    total = math.fsum(price.tolist()) + math.fsum(kept.tolist()) + _lacking(instance, left)
    return total - 4 * (len(price) + 16) * EPS * size


def _lacking(instance: Instance, left: Float) -> float:
    """Least that facilities beyond those that earn cost, if all that open are to hold the demand; the last in part."""
    earns = left < 0
    lacking = float(instance.demand.sum() - instance.capacity[earns].sum())
    if lacking <= 0 or instance.most_open < len(left):
        return 0.0
    rest, capacity = left[~earns], instance.capacity[~earns]
    order = np.argsort(rest / capacity, kind="stable")
    at = np.concatenate([[0.0], np.cumsum(capacity[order])])
    return float(np.interp(lacking, at, np.concatenate([[0.0], np.cumsum(rest[order])])))


def _earned(instance: Instance, j: int, price: Float) -> float:
    """The fractional knapsack of facility j."""
    profit = price - instance.usd[j]
    pays = profit > 0
    gain, need = profit[pays], instance.demand[pays]
    if np.isinf(instance.capacity[j]) or need.sum() <= instance.capacity[j]:
        return float(gain.sum())
    order = np.argsort(-gain / np.maximum(need, 1e-300), kind="stable")
    at = np.concatenate([[0.0], np.cumsum(need[order])])
    return float(np.interp(instance.capacity[j], at, np.concatenate([[0.0], np.cumsum(gain[order])])))
