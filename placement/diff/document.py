"""What `nearserve diff --format json` says, as values; its JSON Schema is derived from here (docs/diff.schema.json)."""

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from placement.plan.document import Count, Latency, Share


class Value(BaseModel):
    """A frozen part of the document."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True)


class Side(Value):
    """One of the two plans: SHA-256 of its files, and the period that is compared, its first."""

    scenario: str
    plan_sha256: str
    routes_sha256: str
    period: str | None


class ServerChange(Value):
    """Servers of a kind at a site that are not as many as before.

    Those added are `bought`, `rented`, or `kept`: they stand there already, and the old plan did not count them.
    """

    site: str
    server: str
    tenant: str | None
    old: Count
    new: Count
    bought: Count
    rented: Count
    kept: Count
    retired: Count


class ReplicaChange(Value):
    """Replicas of a shape at a site that are not as many as before; `slice` null: in every slice."""

    site: str
    shape: str
    model: str | None  # null: the scenario does not know the shape any more
    tenant: str | None
    slice: str | None
    old: Count
    new: Count


class Move(Value):
    """`count` replicas of a model that leave `source` and appear at `target`, or change their shape at one site."""

    model: str
    tenant: str | None
    slice: str | None
    source: str
    source_shape: str
    target: str
    target_shape: str
    count: Count


class Counts(Value):
    """How much changes. Replicas are counted in the slice in which most is added or removed.

    `added_replicas` is Σ (y − y0)⁺ of rule 14, `removed` Σ (y0 − y)⁺; `moved` and `reshaped` are among both.
    """

    added_replicas: Count
    removed: Count
    moved: Count
    reshaped: Count
    unchanged: Count
    servers_bought: Count
    servers_rented: Count
    servers_kept: Count
    servers_retired: Count
    sites_opened: Count
    sites_closed: Count
    sites_changed: Count


class TrafficOf(Value):
    """What becomes of the mean requests of a region or a class, as shares of them."""

    name: str
    requests_per_s: float
    changes_site: float
    newly_served: float
    no_longer_served: float


class Traffic(Value):
    """The same over all requests, and of the regions and classes where most changes."""

    changes_site: float
    newly_served: float
    no_longer_served: float
    regions: tuple[TrafficOf, ...]
    classes: tuple[TrafficOf, ...]


class State(Value):
    """One of the two plans in figures.

    `cost` and `served_share` are what the plan says of itself. `latency` is planned latency over its routes, the
    demand weighing them, both by the scenario as it is now; routes that it does not admit any more count nothing, and
    are `inadmissible_share` of the requests.
    """

    cost: dict[str, float] | None
    served_share: float | None
    latency: Latency
    inadmissible_share: float
    sites: Count
    gpus: int | None  # null: a kind of server that the scenario does not know
    kw: float | None
    rack_units: float | None
    total_tco2e: float | None


class Added(Value):
    """A row of a wave: replicas or servers of one kind at a site."""

    site: str
    what: str  # a shape or a server
    tenant: str | None
    slice: str | None
    count: Count
    seconds: float  # of its weights over the uplink; 0 for servers and for what goes


class RouteRow(Value):
    """A share of a class in a slice; null site and shape: unserved for now."""

    region: str
    model: str
    service: str
    slice: str | None
    site: str | None
    shape: str | None
    share_ppb: Share


class Missing(Value):
    """What a class lacks during a wave that both plans serve: unserved, or served within its backup budget alone."""

    region: str
    model: str
    service: str
    slice: str | None
    share_ppb: Share
    why: Literal["unserved", "within the backup budget"]


class Wave(Value):
    """Add, then switch traffic, then drain.

    `routes` are the whole routes of the classes whose traffic changes in this wave; all others stay as they are. In
    the last wave they are left out: they are those of the new plan. `missing` holds from the wave's switch on, to the
    next. `seconds` is how long the additions' weights take, sites in parallel.
    """

    number: Count
    install: tuple[Added, ...]
    add: tuple[Added, ...]
    switched_share: float
    routes: tuple[RouteRow, ...] | None
    drain: tuple[Added, ...]
    retire: tuple[Added, ...]
    missing: tuple[Missing, ...]
    missing_share: float
    backup_share: float
    seconds: float
    standing_gpus: float  # that replicas take once all is added
    standing_kw: float
    standing_rack_units: float


class Double(Value):
    """The most that stands at one time beyond what the larger of the two plans has, over all sites."""

    gpus: float
    kw: float
    rack_units: float


class Steps(Value):
    """The order of safe steps. `start` is what flows before the first: the old plan's routes as far as they hold now.

    `inadmissible_share` of the requests went where the scenario does not allow it any more, `overloaded_share` on
    replicas or wires that today's demand overloads: neither is the moves' doing, and neither is counted as lost.
    `method`: how the order was found.
    """

    safe: bool
    method: Literal["nothing to do", "at once", "waves", "search", "short"]
    inadmissible_share: float
    overloaded_share: float
    start: tuple[RouteRow, ...]
    waves: tuple[Wave, ...]
    seconds: float
    double: Double
    worst_missing_share: float
    worst_backup_share: float
    notes: tuple[str, ...]


class DiffDocument(Value):
    """What changes from one plan to the next; `old` null: nothing stands."""

    schema_: Literal["nearserve-diff-1"] = Field("nearserve-diff-1", alias="schema")
    scenario: str
    inputs_sha256: dict[str, str]
    old: Side | None
    new: Side
    counts: Counts
    opened: tuple[str, ...]  # sites that get their first servers
    closed: tuple[str, ...]  # sites that lose their last
    servers: tuple[ServerChange, ...]
    replicas: tuple[ReplicaChange, ...]
    moves: tuple[Move, ...]
    traffic: Traffic
    before: State
    after: State
    capex_usd: float | None
    steps: Steps | None = None

    def canonical(self) -> bytes:
        """The bytes of a file: sorted keys, two spaces, UTF-8, one newline at the end."""
        value = self.model_dump(mode="json", by_alias=True)
        return (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def json_schema() -> dict[str, Any]:
    """The JSON Schema of the document."""
    return DiffDocument.model_json_schema(by_alias=True)
