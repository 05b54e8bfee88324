"""A plan as a feed sees it at one moment: what stands, who is sent where, and the names that its target needs.

views(plan, scenario, addresses) ─► View ─► Feed.render ─► files ─► Feed.read ─► compared to the View
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

Policy = Literal["planned", "proportional", "priority"]
Class = tuple[str, str, str]
"""region, model, service"""

BILLION = 10**9


class Moment(NamedTuple):
    """When a feed holds: in a period and slice, "" where the plan has none; `failure`: a domain that is down, or ""."""

    period: str = ""
    slice: str = ""
    failure: str = ""


@dataclass(frozen=True)
class Site:
    """A PoP, as orchestrators tell PoPs apart."""

    site: str
    name: str
    country: str
    latitude: float
    longitude: float
    domains: tuple[str, ...]  # sorted


@dataclass(frozen=True)
class Region:
    """A user population. `asn` is None where the scenario says nothing of it."""

    region: str
    name: str
    country: str
    latitude: float
    longitude: float
    asn: int | None


@dataclass(frozen=True)
class Shape:
    """One way of running a model. A replica takes `quarter_gpus` quarters of a GPU: 1 and 2 are MIG slices."""

    shape: str
    model: str
    gpu: str
    quarter_gpus: int
    precision: str
    memory_gb: float | None
    weights_gb: float | None


@dataclass(frozen=True)
class Service:
    """A service with its latency budget."""

    service: str
    profile: str
    latency_budget_ms: float


@dataclass(frozen=True, order=True)
class Servers:
    """Servers of one kind at a site; `tenant` "": anybody's. `gpus` is what one of them holds."""

    site: str
    server: str
    tenant: str
    gpu: str
    gpus: int
    count: int


@dataclass(frozen=True, order=True)
class Replicas:
    """Replicas of a shape at a site that stand at the moment, at least one."""

    site: str
    shape: str
    tenant: str
    count: int


class Route(NamedTuple):
    """A share of a class, parts per billion of all its requests, at least one; served by `shape` at `site`."""

    region: str
    model: str
    service: str
    site: str
    shape: str
    share_ppb: int


class Job(NamedTuple):
    """A job that runs at a site; `quarter_gpus` of its whole gang, `slices` empty: all day."""

    job: str
    kind: str
    model: str
    gpu: str
    quarter_gpus: int
    site: str
    slices: tuple[str, ...]
    preemptible: bool


class Address(NamedTuple):
    """Where a site takes requests."""

    host: str  # an IP address, or a name where the target resolves names
    port: int


@dataclass(frozen=True)
class Addresses:
    """Where sites take requests, by (site, model); the model "" is for all that are not named."""

    by_place: Mapping[tuple[str, str], tuple[Address, ...]]

    def of(self, site: str, model: str) -> tuple[Address, ...]:
        """The site's addresses for a model; none where nobody said any."""
        return self.by_place.get((site, model)) or self.by_place.get((site, ""), ())


@dataclass(frozen=True)
class View:
    """What the plan says at a moment. All rows are sorted.

    `sites`, `regions`, `shapes` and `services` are those of the scenario, by name. `routes` are those that hold at the
    moment: in a failure, what flows on at survivors and what the plan moves there. `backups` are what the plan moves,
    by failing domain, whatever the moment. `domains` are the sites of each domain that may fail, and `policy` is how
    the plan fails over, None where it knows of no failures. `plan_sha256` is of plan.json. `classes` are those that
    ask for something at that time of day, whether they are served or not, the same in every failure.
    """

    scenario: str
    plan_sha256: str
    moment: Moment
    sites: Mapping[str, Site]
    regions: Mapping[str, Region]
    shapes: Mapping[str, Shape]
    services: Mapping[str, Service]
    servers: tuple[Servers, ...]
    replicas: tuple[Replicas, ...]
    routes: tuple[Route, ...]
    jobs: tuple[Job, ...]
    backups: Mapping[str, tuple[Route, ...]]
    domains: Mapping[str, frozenset[str]]
    policy: Policy | None
    addresses: Addresses
    classes: tuple[Class, ...] = ()

    @cached_property
    def by_class(self) -> Mapping[Class, Mapping[str, int]]:
        """Parts per billion of a class that go to each site, over all shapes; sorted by class and site."""
        found: dict[Class, dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for route in self.routes:
            found[route.region, route.model, route.service][route.site] += route.share_ppb
        return {cls: dict(sorted(found[cls].items())) for cls in sorted(found)}
