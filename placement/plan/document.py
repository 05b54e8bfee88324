"""plan.json: what a plan says, as values; its JSON Schema is derived from here (docs/plan.schema.json)."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from placement.canonical import canonical_json

BILLION = 10**9

Count = Annotated[int, Field(ge=0, strict=True)]
Share = Annotated[int, Field(ge=0, le=BILLION, strict=True)]
Millionths = Annotated[int, Field(ge=0, le=10**6, strict=True)]


class _Value(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Cost(_Value):
    """USD a month by what it is paid for, each to the cent; `total` is the exact sum, rounded once."""

    servers: float
    support: float
    power_space: float
    idle_energy: float
    load_energy: float
    open_sites: float
    egress: float  # by the GB, or transit by the Mbit/s
    latency: float
    late: float  # requests that miss their latency budget, where they have a price
    jobs: float  # their energy, and moving their data
    moves: float
    carbon: float  # priced
    unserved: float
    total: float


class Latency(_Value):
    """Planned latency over the requests that are served, ms; null when nothing is."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class ClassMet(_Value):
    """A class some of whose requests ride on inferred pairs, over all slices and periods.

    `met_ppm`: how likely one that is served stays within its latency budget, by the intervals of the pairs.
    """

    region: str
    model: str
    service: str
    served_share: float
    met_ppm: Millionths


class BudgetMet(_Value):
    """How likely a served request stays within its latency budget: parts per million, rounded down.

    A measured pair keeps what it promises; classes that ride on measured pairs alone are not listed. Null when nothing
    is served.
    """

    met_ppm: Millionths | None
    inferred_share: float | None  # of served requests, on inferred pairs
    classes: tuple[ClassMet, ...]


class Servers(_Value):
    """Servers of one kind that stand at a site in a period: `new` of them bought or rented, `rented` of those.

    `tenant` is the dedicated tenant whose replicas alone they carry; null: anybody's.
    """

    site: str
    server: str
    tenant: str | None = None
    period: str | None = None
    count: Count
    new: Count
    rented: Count = 0


class Replicas(_Value):
    """Replicas of a shape at a site; `slice` null: in every slice."""

    site: str
    shape: str
    tenant: str | None = None
    slice: str | None = None
    period: str | None = None
    count: Count


class Job(_Value):
    """Where and when a job runs. `slices`: those of every day that it runs in, in the order of the day; none: all day.

    `transfer_hours` is what moving its data takes of them; `usd_month` its energy and its data's way.
    """

    job: str
    site: str
    period: str | None = None
    slices: tuple[str, ...]
    transfer_hours: float
    usd_month: float


class Move(_Value):
    """Replicas that change against the plan before (14); steps are taken in the order of `step`, from 1 on.

    `add` starts `count` replicas, `drain` sends their traffic elsewhere and stops them. `seconds` is how long the
    weights take over the uplink.
    """

    step: Count
    action: Literal["add", "drain"]
    site: str
    shape: str
    tenant: str | None = None
    slice: str | None = None
    count: Count
    seconds: float


class Domain(_Value):
    """What the failure of a domain does (13): shares of a month's mean requests."""

    domain: str
    period: str | None = None
    rerouted_share: float
    lost_share: float  # of classes without any admissible backup outside of the domain


class Reliability(_Value):
    """(13) The domains whose failure the plan survives, one at a time; `price_usd_month`: what that adds, if known."""

    failover: Literal["planned", "proportional", "priority"]
    domains: tuple[Domain, ...]
    price_usd_month: float | None


class Carbon(_Value):
    """(16) tCO2e a month; null where the scenario gives no carbon for some of it."""

    energy_tco2e: float | None
    embodied_tco2e: float | None
    total_tco2e: float | None


class Goal(_Value):
    """A goal of a lexicographic tuple, in its order: what it came to, and what is proved about it by the solver."""

    goal: str
    unit: str
    value: float
    bound_claimed: float | None
    gap_claimed: float | None


class Period(_Value):
    """One period of a roll-out. `capex_usd` is what is newly bought in it, `cost` a month of it."""

    period: str
    months: float
    cost: Cost
    served_share: float
    capex_usd: float
    gpus: Count
    dpus: Count


class SiteEconomics(_Value):
    """What one site earns: a month at the end of the roll-out, and over the horizon."""

    site: str
    revenue_usd_month: float
    cost_usd_month: float  # without capital: power, place, energy, egress, support, rent
    capex_usd: float  # bought and installed, all periods
    npv_usd: float
    payback_months: float | None  # null: not within the horizon


class Economics(_Value):
    """Revenue against cost (services.revenue_usd_per_1000): net present value at wacc/12 a month over the horizon."""

    horizon_months: Count
    monthly_rate: float
    revenue_usd_month: float
    npv_usd: float
    payback_months: float | None
    sites: tuple[SiteEconomics, ...]


class Unserved(_Value):
    """What is left unserved of a class in a slice, and the rule that blocks it."""

    region: str
    model: str
    service: str
    slice: str | None
    period: str | None = None
    share_ppb: Share
    usd_month: float
    reason: str


class ShadowPrice(_Value):
    """What one unit more of a limit would be worth, by the certificate's multipliers, USD a month."""

    limit: str
    usd_month: float


class Provenance(_Value):
    """Where the plan comes from: the same inputs, versions and parameters give the same bytes."""

    inputs_sha256: dict[str, str]
    versions: dict[str, str]
    parameters: dict[str, Any]
    work: int
    seed: int
    previous_plan: str | None = None


class PlanDocument(_Value):
    """The canonical plan. Shares are parts per billion; the routes stand beside it in routes.parquet.

    Without periods `periods` is empty and every `period` null; with them `cost` and `objective_usd_month` are the
    mean over the periods by their months, and so are the shares. A rule that is off leaves its part null or empty.
    """

    schema_: Literal["nearserve-plan-3"] = Field("nearserve-plan-3", alias="schema")
    scenario: str
    status: Literal["OPTIMAL", "FEASIBLE"]
    objective_usd_month: float
    bound_claimed_usd_month: float | None
    bound_verified_usd_month: float | None
    gap: float | None
    cost: Cost
    latency: Latency
    budget_met: BudgetMet
    served_share: float
    servers: tuple[Servers, ...]
    replicas: tuple[Replicas, ...]
    jobs: tuple[Job, ...] = ()
    moves: tuple[Move, ...] = ()
    reliability: Reliability | None = None
    carbon: Carbon | None = None
    goals: tuple[Goal, ...] = ()
    periods: tuple[Period, ...] = ()
    economics: Economics | None = None
    unserved: tuple[Unserved, ...]
    shadow_prices: tuple[ShadowPrice, ...]
    provenance: Provenance

    def canonical(self) -> bytes:
        """The bytes of plan.json: sorted keys, two spaces, UTF-8, one newline at the end."""
        return canonical_json(self.model_dump(mode="json", by_alias=True))


def json_schema() -> dict[str, Any]:
    """The JSON Schema of plan.json."""
    return PlanDocument.model_json_schema(by_alias=True)
