"""What a solver returns: a plan in the problem's own numbering, a bound, and the certificate that proves the bound."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from solvers.problem import Problem

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


class Status(StrEnum):
    """How a run ended. A bound stands beside every one of them but INFEASIBLE and ERROR."""

    OPTIMAL = "OPTIMAL"
    FEASIBLE = "FEASIBLE"
    INFEASIBLE = "INFEASIBLE"
    LIMIT = "LIMIT"
    ERROR = "ERROR"


@dataclass(frozen=True)
class Multipliers:
    """Prices of the relaxed rows. Any values ≥ 0 (demand: any sign) are sound; better ones are tighter."""

    demand_usd: Float  # I: (1), USD a month for the whole row
    uplink_usd: Float  # P × T: (9), USD a month per Mbit/s
    downlink_usd: Float  # P × T
    limit_usd: Float  # L: (10–12), USD a month per unit of the row
    budget: float = 0.0  # (12), USD per USD


@dataclass(frozen=True)
class Leaf:
    """One branch of the proof: what is fixed there, and the prices. The empty fixing is the whole problem."""

    multipliers: Multipliers
    closed_sites: Int = field(default_factory=lambda: np.empty(0, np.int64))
    open_sites: Int = field(default_factory=lambda: np.empty(0, np.int64))


@dataclass(frozen=True)
class Certificate:
    """Leaves that together cover every plan; the bound is the least of theirs."""

    leaves: tuple[Leaf, ...]


@dataclass(frozen=True)
class Placement:
    """A plan in the problem's numbering. It need not be good; `cost_usd` says what it costs."""

    open: Bool  # P
    servers: Int  # O
    replicas: Int  # B
    share: Float  # N
    unserved: Float  # I


@dataclass(frozen=True)
class Solution:
    """The end of a run: `placement` is None when there is none (INFEASIBLE, LIMIT, ERROR)."""

    status: Status
    placement: Placement | None
    objective_usd: float  # NaN without a placement
    bound_usd: float  # -inf when nothing is known
    certificate: Certificate | None = None
    work: int = 0  # rounds of the search, enough to replay a run that time cut off
    message: str = ""
    trace: tuple[tuple[float, float, float], ...] = ()  # (seconds, objective, bound) as they moved
    sweeps: int = 0  # of the bound, as many as time left


def cost_usd(problem: Problem, placement: Placement) -> float:
    """The objective of `placement`, USD a month."""
    left = placement.unserved > 0  # a row that must be served costs infinitely much, and nothing where it is served
    return float(
        problem.open_usd @ placement.open
        + problem.offer_usd @ placement.servers
        + problem.pair_usd @ placement.share
        + placement.unserved[left] @ problem.unserved_usd[left]
    )
