"""What a solver returns: a plan in the problem's own numbering, a bound, and the certificate that proves the bound."""

from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np
import scipy.sparse as sp
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
    jobs: Int = field(default_factory=lambda: np.empty(0, np.int64))  # J: the option that runs each job
    backup: sp.csr_matrix | None = None  # E × Z: share of the row that the backup pair takes when the domain fails


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
    rules = problem.rules
    total = (
        problem.open_usd @ placement.open
        + problem.offer_usd @ placement.servers
        + problem.pair_usd @ placement.share
        + placement.unserved[left] @ problem.unserved_usd[left]
    )
    if rules.transit is not None:
        total += rules.transit.usd_per_mbps @ peak_mbps(problem, placement.share)
    if rules.moves is not None:
        total += rules.moves.usd @ added(problem, placement.replicas)
    if rules.jobs is not None:
        total += rules.jobs.option_usd[placement.jobs].sum()
    return float(total)


def added(problem: Problem, replicas: Int) -> Int:
    """Replicas of every block beyond those that stood before, B (14); none where the rule is off."""
    if problem.rules.moves is None:
        return np.zeros(problem.blocks, np.int64)
    return np.asarray(np.maximum(replicas - problem.rules.moves.before, 0), np.int64)


def peak_mbps(problem: Problem, share: Float) -> Float:
    """The highest counted Mbit/s that each site sends, P (9); zeros where the rule is off.

    The busiest slices are left out first, as long as they together last no longer than the share that is free.
    """
    transit = problem.rules.transit
    if transit is None:
        return np.zeros(problem.sites)
    slices = max(problem.slices, 1)
    key = problem.pair_site * slices + problem.demand_slice[problem.pair_demand]
    flow = np.bincount(key, problem.out_mbps[problem.pair_demand] * share, problem.sites * slices)
    flow = flow.reshape(problem.sites, slices)
    order = np.argsort(-flow, axis=1, kind="stable")
    lasting = np.cumsum(transit.slice_share[order], axis=1)
    counted = lasting > transit.free[:, None] * (1 + 1e-12)
    ranked = np.take_along_axis(flow, order, axis=1)
    return np.asarray(np.where(counted, ranked, 0.0).max(axis=1, initial=0.0), np.float64)
