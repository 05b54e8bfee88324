"""plan.json: what a plan says, as values; its JSON Schema is derived from here (docs/plan.schema.json)."""

import json
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

BILLION = 10**9

Count = Annotated[int, Field(ge=0, strict=True)]
Share = Annotated[int, Field(ge=0, le=BILLION, strict=True)]


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
    egress: float
    latency: float
    unserved: float
    total: float


class Latency(_Value):
    """Planned latency over the requests that are served, ms; null when nothing is."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


class Servers(_Value):
    """Servers of one kind that stand at a site in the plan, and how many of them are new."""

    site: str
    server: str
    period: str | None = None
    count: Count
    new: Count


class Replicas(_Value):
    """Replicas of a shape at a site; `slice` null: in every slice."""

    site: str
    shape: str
    slice: str | None = None
    count: Count


class Unserved(_Value):
    """What is left unserved of a class in a slice, and the rule that blocks it."""

    region: str
    model: str
    service: str
    slice: str | None
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
    """The canonical plan. Shares are parts per billion; the routes stand beside it in routes.parquet."""

    schema_: Literal["nearserve-plan-1"] = Field("nearserve-plan-1", alias="schema")
    scenario: str
    status: Literal["OPTIMAL", "FEASIBLE"]
    objective_usd_month: float
    bound_claimed_usd_month: float | None
    bound_verified_usd_month: float | None
    gap: float | None
    cost: Cost
    latency: Latency
    served_share: float
    servers: tuple[Servers, ...]
    replicas: tuple[Replicas, ...]
    jobs: tuple[()] = ()
    unserved: tuple[Unserved, ...]
    shadow_prices: tuple[ShadowPrice, ...]
    provenance: Provenance

    def canonical(self) -> bytes:
        """The bytes of plan.json: sorted keys, two spaces, UTF-8, one newline at the end."""
        value = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def json_schema() -> dict[str, Any]:
    """The JSON Schema of plan.json."""
    return PlanDocument.model_json_schema(by_alias=True)
