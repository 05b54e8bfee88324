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


def _none() -> Int:
    return np.empty(0, np.int64)


def _nothing() -> Float:
    return np.empty(0)


def _first() -> Int:
    return np.zeros(1, np.int64)


@dataclass(frozen=True)
class Cuts:
    """C rounding (MIR) cuts; `docs/certificate.md` (C) derives their coefficients, so any descriptor is sound.

    Cut c takes the demand rows `row[row_first[c]:row_first[c + 1]]`, each with its weight, and counts by replicas the
    blocks `block[block_first[c]:block_first[c + 1]]`; every other block counts by shares.
    """

    unit: Float = field(default_factory=_nothing)  # C, > 0: what the weights are divided by before rounding
    row_first: Int = field(default_factory=_first)  # C + 1
    row: Int = field(default_factory=_none)
    weight: Float = field(default_factory=_nothing)  # > 0
    block_first: Int = field(default_factory=_first)  # C + 1
    block: Int = field(default_factory=_none)

    @property
    def count(self) -> int:
        return len(self.unit)


@dataclass(frozen=True)
class Covers:
    """F covers of (13): replicas that no single failure leaves too few of; `docs/certificate.md` (D).

    Cover c takes the demand rows `row[row_first[c]:row_first[c + 1]]`, each with its weight, and every block on which
    one of them may be served or backed up.
    """

    unit: Float = field(default_factory=_nothing)  # F, > 0: what the weights are divided by before rounding
    row_first: Int = field(default_factory=_first)  # F + 1
    row: Int = field(default_factory=_none)
    weight: Float = field(default_factory=_nothing)  # > 0

    @property
    def count(self) -> int:
        return len(self.unit)


@dataclass(frozen=True)
class Backup:
    """Prices of (13): that what a row serves is served outside of a domain that has failed. Sparse, each once.

    The j-th is the failure row I + j, of which cuts may speak; `docs/certificate.md` (B).
    """

    domain: Int = field(default_factory=_none)
    row: Int = field(default_factory=_none)
    usd: Float = field(default_factory=_nothing)  # for the whole row


@dataclass(frozen=True)
class Multipliers:
    """Prices of the relaxed rows. Any values ≥ 0 (demand: any sign) are sound; better ones are tighter."""

    demand_usd: Float  # I: (1), USD a month for the whole row
    uplink_usd: Float  # P × T: (9), USD a month per Mbit/s
    downlink_usd: Float  # P × T
    limit_usd: Float  # L: (10–12), USD a month per unit of the row
    budget: float = 0.0  # (12), USD per USD
    cut_usd: Float = field(default_factory=_nothing)  # C: of the certificate's cuts
    backup: Backup = field(default_factory=Backup)
    cover_usd: Float = field(default_factory=_nothing)  # F: of the certificate's covers
    job_usd: Float = field(default_factory=_nothing)  # J: (15), what running each job earns, any sign; empty: relaxed

    @property
    def row_usd(self) -> Float:
        """What every row pays with all its failures, I: a price for guidance, while the proof needs each by itself."""
        if not len(self.backup.row):
            return self.demand_usd
        failures = np.bincount(self.backup.row, self.backup.usd, minlength=len(self.demand_usd))
        return np.asarray(self.demand_usd + failures, np.float64)


SPLIT_OPEN, SPLIT_SERVERS, SPLIT_REPLICAS = 0, 1, 2
"""What a branching counts: whether a site is open, servers of an offer, replicas of a block."""


@dataclass(frozen=True)
class Tree:
    """Branchings that cover every plan. Node 0 is the root; a child ≥ 0 is a node, a child -1 - j is leaf j.

    At a node a plan goes left if the count is ≤ `most`, right if it is more. Without nodes there is one leaf.
    """

    kind: Int = field(default_factory=_none)
    index: Int = field(default_factory=_none)  # site, offer or block of the problem
    most: Int = field(default_factory=_none)
    left: Int = field(default_factory=_none)
    right: Int = field(default_factory=_none)


@dataclass(frozen=True)
class GroupLeaf:
    """Prices of one leaf of a group."""

    demand_usd: Float  # of the group's rows, ≥ 0; more than the root's price counts as that
    cut_usd: Float  # of the group's cuts


@dataclass(frozen=True)
class Group:
    """Sites whose joint value is bounded by branching at the root's prices, instead of one by one.

    Its problem: the sites of the group alone, a row unserved by them at the root's price. `docs/certificate.md` (G).
    """

    site: Int
    row: Int  # demand rows with a pair on the sites
    cuts: Cuts
    tree: Tree
    leaves: tuple[GroupLeaf, ...]


@dataclass(frozen=True)
class Certificate:
    """What proves a bound: prices, the cuts and covers among them, and groups of sites (disjoint) that are branched."""

    multipliers: Multipliers
    cuts: Cuts = field(default_factory=Cuts)
    groups: tuple[Group, ...] = ()
    covers: Covers = field(default_factory=Covers)


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
        + problem.each_replica_usd @ placement.replicas
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
