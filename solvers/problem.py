"""The placement problem as arrays: what every solver takes and none changes.

Notation (the numbers are those of `docs/mathematics.md`):

    p site, k server, o offer (a way to hold servers of one kind at one site: those standing there, or new ones),
    d shape, b block (a shape at a site), i demand row (a class in a slice), n pair (a demand row on a block)

    minimise   Σ_p open_usd·open_p + Σ_o offer_usd·s_o + Σ_b replica_usd·y_b + Σ_n pair_usd·x_n + Σ_i unserved_usd·u_i
    (1)   Σ_{n of i} x_n + u_i = 1                                              every demand row
    (4)   Σ_{n of b in slice t} pair_load·x_n ≤ capacity_factor·y_b              every block and slice
    (5)   x_n ≤ y_b                                                             where pair_load ≤ 1
    (6)   Σ_{b at p, gpu, quarters ≥ s} quarters·y_b ≤ Σ_{servers of gpu, 4·gpus ≥ s} 4·gpus·s_o
          for s ∈ {all, 8, 16, 32} quarters; at most one block of a choice has y_b > 0
    (7,8) Σ_o server_use·s_o ≤ site_limit·open_p                                every resource: kW, rack units
          s_o ≤ offer_max·open_p
    (9)   Σ_n out_mbps·x_n ≤ uplink·open_p,  Σ_n in_mbps·x_n ≤ downlink·open_p     every site and slice
    (10–12) limit_matrix·s ≤ limit_rhs                                          stock, export, capex
    (12)  all of the cost but that of the unserved ≤ monthly_budget_usd

    open_p ∈ {0,1}; s_o, y_b integer; x_n, u_i ∈ [0,1] (x_n ∈ {0,1} if single_source).
Rules 2 (latency) and 3 (residency) are in the pairs: one that breaks them does not exist.
A block stands in every slice, or in one alone where `block_slice` says so (replicas that follow the slices); then (6)
holds in every slice. Rules beyond these, each off where absent, are the values of `solvers.rules`. One problem is one
period; `solvers.rollout` chains them.
"""

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from solvers.rules import NO_RULES, Rules

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]
Index = NDArray[Any]
"""int32 or int64, of pairs, which may be tens of millions: multiply only after widening."""

Figures = NDArray[Any]
"""float64; of tens of millions of pairs float32, rounded down, so that bounds stay bounds."""

CAPACITY_FACTOR = 1 - 1e-6
"""Kept free of every replica, so that shares rounded to parts per billion still fit."""


STEP = 1 << 18
"""Pairs that are looked at at a time."""


class ProblemError(ValueError):
    """The arrays of a problem do not fit together."""


@dataclass(frozen=True)
class Problem:
    """One placement problem. P sites, K servers, O offers, D shapes, B blocks, I demand rows, N pairs, L limits.

    `np.inf` in a limit means that the rule is off; in `unserved_usd` that the row must be served.
    Costs are USD a month.
    Blocks are sorted by (site, shape, slice), offers by site, pairs by (demand row, block), each pair once.
    """

    open_usd: Float  # P
    uplink_mbps: Float  # P
    downlink_mbps: Float  # P
    site_limit: Float  # P × R: kW, rack units, …
    server_gpu: Int  # K: GPU type
    server_gpus: Int  # K
    server_use: Float  # K × R
    offer_site: Int  # O
    offer_server: Int  # O
    offer_max: Int  # O: finite
    offer_usd: Float  # O: USD a month for each server held
    shape_gpu: Int  # D
    shape_quarters: Int  # D: quarter GPUs a replica takes: 1, 2, 4, 8, 16 or 32
    shape_model: Int  # D
    block_site: Int  # B
    block_shape: Int  # B
    block_max: Int  # B: finite
    block_choice: Int  # B: blocks with the same number ≥ 0 (same site) exclude each other; -1 is free
    demand_model: Int  # I
    demand_slice: Int  # I
    unserved_usd: Float  # I: USD a month if the whole row is unserved
    out_mbps: Float  # I
    in_mbps: Float  # I
    pair_demand: Index  # N
    pair_block: Index  # N
    pair_load: Figures  # N: replicas busy if the whole row is served here
    pair_usd: Figures  # N: USD a month if the whole row is served here
    limit_matrix: sp.csr_matrix  # L × O, coefficients ≥ 0
    limit_rhs: Float  # L
    monthly_budget_usd: float = np.inf
    single_source: bool = False
    capacity_factor: float = CAPACITY_FACTOR
    block_slice: Int | None = None  # B: the one slice the block stands in, -1 for all; None: all stand in all
    replica_usd: Float | None = None  # B, ≥ 0: USD a month for each replica, full or not; None: nothing
    rules: Rules = NO_RULES

    def __post_init__(self) -> None:
        for message in _misfits(self):
            raise ProblemError(message)

    @property
    def sites(self) -> int:
        return len(self.open_usd)

    @property
    def demands(self) -> int:
        return len(self.unserved_usd)

    @property
    def blocks(self) -> int:
        return len(self.block_site)

    @property
    def offers(self) -> int:
        return len(self.offer_site)

    @property
    def pairs(self) -> int:
        return len(self.pair_demand)

    @property
    def slices(self) -> int:
        return int(self.demand_slice.max(initial=-1)) + 1

    @property
    def each_replica_usd(self) -> Float:
        """USD a month for each replica of every block, B."""
        return np.zeros(self.blocks) if self.replica_usd is None else self.replica_usd

    @property
    def follows_slices(self) -> bool:
        """Whether replicas may differ between slices."""
        return self.block_slice is not None and bool((self.block_slice >= 0).any())

    @property
    def pair_site(self) -> Int:
        """Site of every pair, N."""
        return self.block_site[self.pair_block]

    @cached_property
    def row_first(self) -> Int:
        """Where the pairs of every demand row begin, with the end, I + 1."""
        return firsts(self.pair_demand, self.demands)

    @cached_property
    def unservable(self) -> Bool:
        """Demand rows without any pair, I."""
        return np.asarray(np.diff(self.row_first) == 0, np.bool_)

    @property
    def constant_usd(self) -> float:
        """C0: the penalties of the rows that nobody can serve, which no plan can change."""
        return float(self.unserved_usd[self.unservable].sum())


def firsts(pair_row: Index, rows: int) -> Int:
    """Where the stretch of every row begins among sorted ones, with the end, rows + 1."""
    return np.searchsorted(pair_row, np.arange(rows + 1, dtype=pair_row.dtype)).astype(np.int64)


def _rising(row: Index, block: Index) -> bool:
    """Whether pairs are sorted by (row, block), each once: some at a time, as there may be a hundred million."""
    for start in range(0, len(row), STEP):
        r, b = (array[start : start + STEP + 1] for array in (row, block))
        if ((r[1:] < r[:-1]) | ((r[1:] == r[:-1]) & (b[1:] <= b[:-1]))).any():
            return False
    return True


def _misfits(problem: Problem) -> list[str]:
    """What does not fit, in words; empty when all does."""
    found = []
    groups = {
        "sites": ("open_usd", "uplink_mbps", "downlink_mbps", "site_limit"),
        "servers": ("server_gpu", "server_gpus", "server_use"),
        "offers": ("offer_site", "offer_server", "offer_max", "offer_usd"),
        "shapes": ("shape_gpu", "shape_quarters", "shape_model"),
        "blocks": ("block_site", "block_shape", "block_max", "block_choice"),
        "demands": ("demand_model", "demand_slice", "unserved_usd", "out_mbps", "in_mbps"),
        "pairs": ("pair_demand", "pair_block", "pair_load", "pair_usd"),
    }
    for what, names in groups.items():
        lengths = {name: len(getattr(problem, name)) for name in names}
        if len(set(lengths.values())) > 1:
            found.append(f"arrays of the {what} differ in length: {lengths}")
    found.extend(
        f"{field.name} holds NaN"
        for field in fields(problem)
        if isinstance(value := getattr(problem, field.name), np.ndarray)
        and value.dtype.kind == "f"
        and value.size
        and np.isnan(value.min())  # which a NaN is, without an array by pair
    )
    if problem.limit_matrix.shape != (len(problem.limit_rhs), len(problem.offer_site)):
        found.append("limit_matrix is not limits × offers")
    if problem.replica_usd is not None and problem.replica_usd.shape != problem.block_site.shape:
        found.append("replica_usd has not one value for each block")
    if found:
        return found
    ranges = (
        ("offer_site", problem.offer_site, problem.sites),
        ("offer_server", problem.offer_server, len(problem.server_gpu)),
        ("block_site", problem.block_site, problem.sites),
        ("block_shape", problem.block_shape, len(problem.shape_gpu)),
        ("pair_demand", problem.pair_demand, problem.demands),
        ("pair_block", problem.pair_block, problem.blocks),
    )
    found.extend(
        f"{name} points outside 0..{size - 1}"
        for name, index, size in ranges
        if len(index) and (index.min() < 0 or index.max() >= size)
    )
    if not _rising(problem.pair_demand, problem.pair_block):
        found.append("pairs are not sorted by (demand row, block), each once")
    stands = problem.block_slice if problem.block_slice is not None else np.full(problem.blocks, -1)
    place = problem.block_site * (len(problem.shape_gpu) + 1) + problem.block_shape
    if (np.diff(place * (problem.slices + 1) + stands + 1) <= 0).any():
        found.append("blocks are not sorted by (site, shape, slice), each once")
    if problem.follows_slices:
        own = stands[problem.pair_block]
        if ((own >= 0) & (own != problem.demand_slice[problem.pair_demand])).any():
            found.append("a pair is on a block that does not stand in its slice")
    if (np.diff(problem.offer_site) < 0).any():
        found.append("offers are not sorted by site")
    return found
