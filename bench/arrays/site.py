"""The most that one site of a reference instance can earn at given prices: plain numpy, rounded up.

With y replicas a block earns at most the fractional knapsack V(y) over what its pairs bring, less its replicas' price.
Blocks share the site's servers: a knapsack over quarter GPUs. Then every combination of servers within slots, kW and
rack units is tried. What a path of branchings allows of a site's counts stands in `Allowed`.
"""

from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from bench.arrays.instance import SERVER_GPUS, SERVER_KW, SERVER_RACK_UNITS, EdgeArrays, Float, Int

EPS = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Block:
    """A (site, model) and its pairs: `cost_usd` is all that a pair pays, prices of wires and root cuts included."""

    number: int
    quarters: int  # GPUs of a replica, × 4
    most: int  # replicas that the site could hold
    row: NDArray[np.int32]  # n
    load: Float  # n: replicas
    cost_usd: Float  # n
    replica_usd: float  # any sign: cuts pay for replicas


@dataclass(frozen=True)
class Site:
    """A site, its blocks, and all that it may buy."""

    number: int
    quarters: int  # slots × 4
    blocks: tuple[Block, ...]
    servers: Int  # S × 3: every combination that fits, none at all first
    servers_usd: Float  # S: those servers with their priced stock, and the open site less its credit; 0 for none


@dataclass
class Allowed:
    """Least and most of what a path of branchings counts at one site; what is not named is free."""

    opened: bool | None = None
    servers: dict[int, tuple[int, int]] = field(default_factory=dict)  # kind
    replicas: dict[int, tuple[int, int]] = field(default_factory=dict)  # number of the block


FREE = Allowed()


def profit_usd(income: Float, cost: Float) -> Float:
    """Income less cost, raised by what the sums in both may have lost: less than 32 roundings."""
    return np.asarray(income - cost + 16 * EPS * (np.abs(income) + np.abs(cost)), np.float64)


def earned_usd(site: Site, row_usd: Float, allowed: Allowed = FREE, less_usd: dict[int, Float] | None = None,
               replica_less_usd: dict[int, float] | None = None) -> float:  # fmt: skip
    """V_p: the most that the site earns, rounded up; ≥ 0 unless the path opens it; -inf where no count fits the path.

    `row_usd` is the price of every class; `less_usd` what pairs of a block earn less by further cuts, and
    `replica_less_usd` what each of its replicas costs less.
    """
    fits = _fitting(site, allowed)
    if not fits.any():
        return -np.inf
    packed = np.zeros(site.quarters + 1)
    size = float(np.abs(site.servers_usd).max(initial=0.0))
    longest = 0
    for block in site.blocks:
        paid = block.cost_usd if less_usd is None else block.cost_usd + less_usd.get(block.number, 0.0)
        each = block.replica_usd - (0.0 if replica_less_usd is None else replica_less_usd.get(block.number, 0.0))
        least, most = allowed.replicas.get(block.number, (0, block.most))
        value, magnitude = _value(profit_usd(row_usd[block.row], paid), block.load, each, least, min(most, block.most))
        if len(value) == 0:
            return -np.inf
        if len(value) > 1 or least > 0:
            packed = _packed(packed, value, least, block.quarters)
        size += magnitude
        longest = max(longest, len(block.row))
    usd = packed[4 * (site.servers[fits] @ SERVER_GPUS)] - site.servers_usd[fits]
    best = float(usd.max())
    return best + (4 * longest + 1000) * EPS * size if best > -np.inf else best


def _fitting(site: Site, allowed: Allowed) -> NDArray[np.bool_]:
    """The combinations of servers that the path allows, S."""
    fits = np.ones(len(site.servers), np.bool_)
    if allowed.opened is not None:
        fits &= site.servers.any(axis=1) == allowed.opened
    for kind, (least, most) in allowed.servers.items():
        fits &= (site.servers[:, kind] >= least) & (site.servers[:, kind] <= most)
    return fits


def _value(profit: Float, load: Float, each_usd: float, least: int, most: int) -> tuple[Float, float]:
    """V(y) − each·y for y = least, …, and the size of the figures in it. Empty where least > most.

    Beyond what carries all that earns, more replicas are counted only where they earn by themselves or must stand.
    """
    if least > most:
        return np.empty(0), 0.0
    earns = profit > 0
    gain, need = profit[earns], load[earns]
    last = min(most, int(np.ceil(need.sum() * (1 + 1e-9))))
    last = most if each_usd < 0 else max(last, least)
    y = np.arange(least, last + 1, dtype=np.float64)
    if not len(gain):
        return -each_usd * y, abs(each_usd) * last
    order = np.argsort(-gain / need, kind="stable")
    at, total = np.zeros((2, len(gain) + 1))
    np.cumsum(need[order], out=at[1:])
    np.cumsum(gain[order], out=total[1:])
    return np.interp(y, at, total) - each_usd * y, float(total[-1]) + abs(each_usd) * last


def _packed(best: Float, value: Float, least: int, quarters: int) -> Float:
    """The most in 0, 1, … quarter GPUs once a block has been added: max over y of best[c − quarters·y] + value(y)."""
    fit = (len(best) - 1) // quarters - least + 1
    if fit <= 0:
        return np.full(len(best), -np.inf)
    value = value[:fit]
    reach = _reach(len(best), quarters, least, len(value))
    padded = np.concatenate([best, [-np.inf]])
    return np.asarray((padded[reach] + value).max(axis=1), np.float64)


@lru_cache(maxsize=4096)
def _reach(cells: int, quarters: int, least: int, count: int) -> Int:
    """c − quarters·y for every cell c and y = least, …; what is below 0 points at the end."""
    left = np.arange(cells)[:, None] - quarters * np.arange(least, least + count)[None, :]
    return np.asarray(np.where(left >= 0, left, cells), np.int64)


def server_choices(arrays: EdgeArrays, number: int) -> Int:
    """Every combination of servers within the site's slots, kW and rack units, S × 3; none at all is the first."""
    every = _combinations(int(arrays.gpu_slots[number]))
    fits = every @ SERVER_KW <= arrays.power_kw[number] * (1 + 1e-9)
    fits &= every @ SERVER_RACK_UNITS <= arrays.rack_units[number] * (1 + 1e-9)
    within: Int = every[fits]
    return within


@lru_cache(maxsize=64)
def _combinations(slots: int) -> Int:
    counts = [np.arange(slots // gpus + 1) for gpus in SERVER_GPUS]
    every = np.stack(np.meshgrid(*counts, indexing="ij"), axis=-1).reshape(-1, 3)
    within: Int = every[every @ SERVER_GPUS <= slots]
    return within
