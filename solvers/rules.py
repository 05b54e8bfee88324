"""Rules that a problem may have beyond the daily ones: each a value of its own, absent (None or empty) where it is off.

The letters are those of `solvers.problem`: P sites, O offers, B blocks, I demand rows, N pairs, T slices. Further:

    e failure domain, E of them; Z backup pairs; a job option (a job on a GPU type at a site in some slices), A of them

    (9)   Σ_{n of p in t} out_mbps·x_n ≤ peak_p, save in slices left out (95/5);  cost usd_per_mbps·peak_p
    (13)  for each e and i: Σ_{z of i, not in e} z_ie + u^e_i = Σ_{n of i in e} x_n, u^e_i > 0 only where i has no
          backup pair outside of e; for each e, survivor b and t: Σ_{n of b} pair_load·x_n + Σ_{z of b} pair_load·z_ie
          ≤ capacity_factor·y_b, and (9) for the survivors likewise
    (14)  added_b ≥ y_b − before_b;  Σ_{b standing in t} added_b ≤ most, every t;  cost usd·added_b
          least ≤ Σ_{b of pin} y_b ≤ most, in every slice
    (15)  Σ_{a of job} r_a = 1; an option takes quarters of its GPU type in its slices, in every size row ≤ its own
    (1)   a class in a slice is served from most_sites sites at most, from each with least_share of it or not at all
    rows  Σ coefficient·column ≤ most over the whole plan: carbon (16), least served share, goals already reached
"""

from dataclasses import dataclass, field, fields
from typing import Any, Literal

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

Policy = Literal["planned", "proportional", "priority"]


@dataclass(frozen=True)
class Transit:
    """(9) What the busiest counted slice of a site's way out costs.

    With `free` > 0 (95/5: 0.05) the slices that are left out may together last that share of the day at most.
    """

    usd_per_mbps: Float  # P: USD a month per Mbit/s; 0 where nothing is paid by the peak
    free: Float  # P: share of the day that is not counted; 0 for the plain peak
    slice_share: Float  # T: how long a slice lasts, as a share of the day


@dataclass(frozen=True)
class Reserve:
    """(13) Failure domains and who may stand in. Backup pairs are sorted by (demand row, block), each once."""

    domain_site: Bool  # E × P: the site fails with the domain
    pair_demand: NDArray[Any]  # Z, int32 or int64
    pair_block: NDArray[Any]  # Z
    pair_load: Float  # Z: replicas busy if the whole row is served here
    policy: Policy = "planned"

    @property
    def domains(self) -> int:
        return len(self.domain_site)

    @property
    def pairs(self) -> int:
        return len(self.pair_demand)

    def exempt(self, demands: int, pair_site: Int) -> Bool:
        """E × I: rows without any backup pair outside of the domain; `pair_site` is the site of every backup pair."""
        within, sites = sites_within(self.domain_site, self.pair_demand, pair_site, demands)
        found = np.repeat(sites[None, :] == 0, self.domains, axis=0)
        whole = within.data == sites[within.row]
        found[within.col[whole], within.row[whole]] = True
        return found


def sites_within(domain_site: Bool, pair_demand: Int, pair_site: Int, demands: int) -> tuple[sp.coo_matrix, Int]:
    """I × E: at how many sites of a domain a row has pairs, and I: at how many of all sites."""
    stands = sp.csr_matrix(
        (np.ones(len(pair_demand), np.int32), (pair_demand, pair_site)), (demands, domain_site.shape[1])
    )
    stands.data[:] = 1  # a site counts once, however many of the row's pairs it has
    return (stands @ sp.csr_matrix(domain_site.T.astype(np.int32))).tocoo(), np.diff(stands.indptr).astype(np.int64)


@dataclass(frozen=True)
class Moves:
    """(14) Replicas that stand before the plan, and what adding to them costs."""

    before: Int  # B
    usd: Float  # B: USD a month for each replica added
    most: float = np.inf  # replicas added, in the busiest slice


@dataclass(frozen=True)
class Pins:
    """(14) Least and most replicas of some blocks together: Q pins, entries (pin, block)."""

    least: Int  # Q
    most: Int  # Q
    entry_pin: Int
    entry_block: Int


@dataclass(frozen=True)
class Jobs:
    """(15) J jobs, each run by exactly one of its options. Options are sorted by (job, site)."""

    jobs: int
    option_job: Int  # A
    option_site: Int  # A
    option_gpu: Int  # A: GPU type
    option_quarters: Int  # A: quarter GPUs of the gang
    option_slices: Bool  # A × T: the slices it runs in
    option_usd: Float  # A: USD a month

    @property
    def options(self) -> int:
        return len(self.option_job)

    @property
    def option_size(self) -> Int:
        """Quarter GPUs of the largest size row of (6) that an option enters: a gang above 8 GPUs is made of eights."""
        return np.minimum(self.option_quarters, 32)


@dataclass(frozen=True)
class Spread:
    """(1) Against slivers: least share of a class that a used site serves, and most sites of a class; 0: off."""

    least_share: Float  # I
    most_sites: Int  # I


@dataclass(frozen=True)
class Total:
    """A linear function of the whole plan; a kind of column that is None does not count.

    As a row it is ≤ `most`; as a goal it is made small.
    """

    name: str  # "carbon", "served", "goal|latency", …
    open: Float | None = None  # P
    offer: Float | None = None  # O: each server held
    pair: Float | None = None  # N: the whole row served here
    unserved: Float | None = None  # I: the whole row unserved
    job: Float | None = None  # A
    added: Float | None = None  # B: each replica added (14)
    peak: Float | None = None  # P: each Mbit/s of the counted peak (9)
    most: float = np.inf


@dataclass(frozen=True)
class Rules:
    """All of them, for one problem; what is None or empty is off."""

    transit: Transit | None = None
    reserve: Reserve | None = None
    moves: Moves | None = None
    pins: Pins | None = None
    jobs: Jobs | None = None
    spread: Spread | None = None
    totals: tuple[Total, ...] = field(default=())

    @property
    def any(self) -> bool:
        """Whether there is any rule."""
        return bool(self.totals) or any(getattr(self, part.name) is not None for part in fields(self)[:-1])


NO_RULES = Rules()
