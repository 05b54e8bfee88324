"""The rows of a plan as values, whatever they claim; absent names are "", so a null period is the nameless one."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from placement.audit.facts import Key, Way

BILLION = 10**9


@dataclass(frozen=True)
class Standing:
    """Servers of a kind at a site, anybody's or one tenant's: `count` stand, `new` are bought or rented."""

    site: str
    server: str
    count: int
    new: int
    rented: int = 0
    tenant: str = ""
    period: str = ""

    @property
    def by_way(self) -> tuple[tuple[Way, int], ...]:
        """How many are held in each way."""
        return ("fleet", self.count - self.new), ("buy", self.new - self.rented), ("rent", self.rented)

    def held(self, way: Way) -> int:
        """How many are held in one way."""
        return dict(self.by_way)[way]


@dataclass(frozen=True)
class Replicas:
    site: str
    shape: str
    count: int
    slice: str = ""  # "" is every slice
    tenant: str = ""
    period: str = ""


@dataclass(frozen=True)
class RouteRow:
    """A share of a class in a slice, on a shape at a site; with a `failure`: what it takes more when that fails."""

    key: Key
    site: str
    shape: str
    share_ppb: int
    failure: str = ""  # "" is the normal day
    period: str = ""


@dataclass(frozen=True)
class Unserved:
    key: Key
    share_ppb: int
    usd_month: Fraction | None
    period: str = ""


@dataclass(frozen=True)
class JobRow:
    job: str
    site: str
    slices: tuple[str, ...]  # none: all day
    transfer_hours: Fraction
    usd_month: Fraction
    period: str = ""


@dataclass(frozen=True)
class Move:
    step: int
    action: str  # add or drain
    site: str
    shape: str
    count: int
    seconds: Fraction
    slice: str = ""
    tenant: str = ""


@dataclass(frozen=True)
class DomainRow:
    """What a plan says of a domain's failure in a period: shares of a month's mean requests."""

    domain: str
    rerouted_share: Fraction
    lost_share: Fraction
    period: str = ""


@dataclass(frozen=True)
class GoalRow:
    goal: str
    value: Fraction


@dataclass(frozen=True)
class ClassMet:
    """What a plan says of a class that rides on inferred pairs: how likely what is served of it keeps its budget."""

    name: tuple[str, str, str]  # region, model, service
    served_share: Fraction
    met_ppm: int


@dataclass(frozen=True)
class BudgetMet:
    """The same of all requests; None where nothing is served."""

    met_ppm: int | None = None
    inferred_share: Fraction | None = None
    classes: tuple[ClassMet, ...] = ()


@dataclass(frozen=True)
class PeriodRow:
    """What a plan says of one period: a month of it, and what is newly bought in it."""

    period: str
    months: Fraction
    cost: Mapping[str, Fraction]
    served_share: Fraction
    capex_usd: Fraction
    gpus: int
    dpus: int


@dataclass(frozen=True)
class EarnedRow:
    """What a plan says that a site, or all of them, earns; None where the payback is not within the horizon."""

    site: str  # "" for all of them
    revenue_usd_month: Fraction
    npv_usd: Fraction
    payback_months: Fraction | None
    cost_usd_month: Fraction | None = None  # of a site
    capex_usd: Fraction | None = None


@dataclass(frozen=True)
class Economics:
    horizon_months: int
    monthly_rate: Fraction
    total: EarnedRow
    sites: tuple[EarnedRow, ...]
