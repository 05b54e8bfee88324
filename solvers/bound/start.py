"""Prices to begin with, and what GPUs and servers are worth where no price says so: the units of the steps."""

from dataclasses import replace

import numpy as np
from numba import njit
from numpy.typing import NDArray

from solvers.problem import Figures, Index, Problem
from solvers.solution import Multipliers

Float = NDArray[np.float64]


def cold_start(problem: Problem) -> Multipliers:
    """Demand prices that would just pay for the cheapest pair at average GPU prices; all else free.

    A replica is paid for once and serves every slice, so each slice pays its part of it.
    """
    zeros = np.zeros((problem.sites, max(problem.slices, 1)))
    real = int(problem.demand_slice[problem.demand_model >= 0].max(initial=0)) + 1  # jobs' rows are in others
    gpu_usd = _gpu_usd(problem)
    shape = problem.block_shape
    replica_usd = problem.shape_quarters[shape] / 4 * gpu_usd[problem.shape_gpu[shape]]
    replica_usd = (replica_usd + problem.each_replica_usd) / real
    price = np.full(problem.demands, np.inf)
    cheapest(problem.pair_demand, problem.pair_block, problem.pair_load, problem.pair_usd, replica_usd, price)
    price = np.minimum(np.where(np.isfinite(price), price, 0.0) * 1.2, problem.unserved_usd)
    floor = 1e-6 * max(float(price.max(initial=0)), 1e-9)
    price = np.where(problem.unservable & np.isfinite(problem.unserved_usd), problem.unserved_usd, price)
    return Multipliers(
        np.maximum(price, np.minimum(floor, problem.unserved_usd)),
        zeros,
        zeros.copy(),
        np.zeros(len(problem.limit_rhs)),
    )


def shut(problem: Problem, multipliers: Multipliers) -> Multipliers:
    """Rows of (10–12) that allow nothing get a price beyond all gain at once: their right side of 0 makes it free."""
    if not len(problem.limit_rhs):
        return multipliers
    finite = problem.unserved_usd[np.isfinite(problem.unserved_usd) & ~problem.unservable]
    beyond = 10.0 * (float(finite.sum()) + float(np.abs(multipliers.demand_usd).sum()) + 1.0)
    value = problem.limit_matrix.data[problem.limit_matrix.data > 0]
    beyond /= float(value.min(initial=1.0))
    return replace(multipliers, limit_usd=np.where(problem.limit_rhs == 0, beyond, multipliers.limit_usd))


def _gpu_usd(problem: Problem) -> Float:
    """The mean price of a GPU of every type over the new offers."""
    types = int(max(problem.shape_gpu.max(initial=-1), problem.server_gpu.max(initial=-1))) + 1
    gpu = problem.server_gpu[problem.offer_server]
    used = gpu >= 0  # a server whose GPU no shape runs on
    gpu = gpu[used]
    each = (problem.offer_usd / np.maximum(problem.server_gpus[problem.offer_server], 1))[used]
    total = np.bincount(gpu, each, minlength=types)
    count = np.bincount(gpu, minlength=types)
    return np.asarray(np.where(count > 0, total / np.maximum(count, 1), 0.0), float)


@njit(cache=True, nogil=True)
def cheapest(
    pair_row: Index, pair_block: Index, pair_load: Figures, pair_usd: Figures | None, block_usd: Float, least: Float
) -> None:
    """Lower `least` (I) to the cheapest pair of every row: its own price and what the replicas that it keeps busy cost.

    A pass without arrays by pair: there may be a hundred million.
    """
    for n in range(len(pair_row)):
        usd = pair_load[n] * block_usd[pair_block[n]]
        if pair_usd is not None:
            usd += pair_usd[n]
        least[pair_row[n]] = min(least[pair_row[n]], usd)


def gpu_worth(problem: Problem) -> Float:
    """What a GPU of every type may be worth: the mean price of new ones, else what their demand costs unserved.

    Rows over servers that cost nothing (those that stand already) have no price of their own to start from.
    """
    each = _gpu_usd(problem)
    gpus = problem.shape_quarters[problem.block_shape] / 4
    least = np.full(problem.demands, np.inf)
    cheapest(problem.pair_demand, problem.pair_block, problem.pair_load, None, gpus, least)
    busy = float(least[np.isfinite(least)].sum())
    served = np.isfinite(least) & np.isfinite(problem.unserved_usd)
    worth = float(problem.unserved_usd[served].sum())
    return np.asarray(np.where(each > 0, each, worth / busy if busy > 0 else worth), float)


def server_worth(problem: Problem) -> Float:
    """What a server may be worth, O: its GPUs; those that no shape runs on at the mean of all types."""
    each = gpu_worth(problem)
    gpu = problem.server_gpu[problem.offer_server]
    usual = float(each.mean()) if len(each) else 0.0
    worth = np.where(gpu >= 0, each[np.maximum(gpu, 0)] if len(each) else 0.0, usual)
    return np.asarray(worth * problem.server_gpus[problem.offer_server], float)


def replica_worth(problem: Problem) -> Float:
    """What a replica may be worth, B: its GPUs and its own price."""
    each = gpu_worth(problem)
    gpus = problem.shape_quarters / 4 * each[problem.shape_gpu]
    return np.asarray(gpus[problem.block_shape] + problem.each_replica_usd, float)
