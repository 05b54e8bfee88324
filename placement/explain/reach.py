"""One class and every site: how far away each is, and every rule that keeps the class from it."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from placement.explain.case import Case
from placement.frames import Row, keyed, numbered, texts
from placement.problem.ground import Ground, survey
from placement.problem.names import DemandRow
from placement.problem.routes import keyed_by_profile, transfer_ms
from placement.problem.uncertainty import planned_rtt_ms
from placement.topology.pairs import State

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

RESIDENCY, UNKNOWN, BANDWIDTH, LOSS, JITTER, SERVER, LATENCY = (
    "residency",
    "unknown",
    "bandwidth",
    "loss",
    "jitter",
    "server",
    "latency",
)


@dataclass(frozen=True)
class Barrier:
    """A rule that keeps a class from a site: its equation, which it is, and by how much (NaN where that is unknown)."""

    number: str
    kind: str
    detail: str
    amount: float = np.nan

    def __str__(self) -> str:
        return f"{self.number} {self.detail}"


@dataclass(frozen=True)
class Reach:
    """A class (region, model, service and its residency set) against every site, P each in the scenario's order."""

    region: str
    country: str
    residency: str
    service: Row
    sites: tuple[str, ...]
    site_country: tuple[str, ...]
    allowed: Bool
    state: NDArray[np.int8]
    rtt_ms: Float  # NaN where unknown
    transfer_ms: Float  # NaN where the bandwidth would have to be known
    loss: Float
    jitter_ms: Float
    ttft_ms: Float  # of the quickest shape that the site could hold; inf where there is none
    served_by: bool  # some shape serves the model and profile at all

    @property
    def planned_ms(self) -> Float:
        """Planned latency of the quickest shape; NaN where the network is unknown, inf where no shape could stand."""
        return np.asarray(self.service["round_trips"] * self.rtt_ms + self.transfer_ms + self.ttft_ms, np.float64)

    @property
    def budget_ms(self) -> float:
        return float(self.service["latency_budget_ms"])

    def barriers(self, site: int) -> list[Barrier]:
        """Every rule that keeps the class from the site, in the order of their numbers; none: it is admissible."""
        found = []
        if np.isnan(self.rtt_ms[site]):
            found.append(Barrier("2", UNKNOWN, "latency unknown"))
        elif np.isnan(self.transfer_ms[site]):
            found.append(Barrier("2", BANDWIDTH, "bandwidth unknown"))
        found += self._quality(site)
        late = float(self.planned_ms[site]) - self.budget_ms
        if np.isfinite(late) and late > 1e-9 * self.budget_ms:
            found.append(Barrier("2", LATENCY, f"{_figure(late)} ms beyond the budget of {self.budget_ms:g} ms", late))
        if not self.allowed[site]:
            found.append(Barrier("3", RESIDENCY, f"{self.site_country[site]} is not in {self.residency or 'any set'}"))
        if np.isinf(self.ttft_ms[site]):
            found.append(Barrier("6-8", SERVER, "no server for this model may stand here"))
        return found

    def _quality(self, site: int) -> list[Barrier]:
        found = []
        for kind, limit, known, unit in (
            (LOSS, self.service["max_loss"], self.loss[site], "share lost"),
            (JITTER, self.service["max_jitter_ms"], self.jitter_ms[site], "ms jitter"),
        ):
            if np.isnan(limit) or known <= limit:
                continue
            said = f"{unit} unknown" if np.isnan(known) else f"{known:.3g} {unit}, {limit:g} allowed"
            found.append(Barrier("2", kind, said, float(known - limit)))
        return found


def _figure(value: float) -> str:
    return f"{value:,.1f}" if value < 100 else f"{value:,.0f}"


class Atlas:
    """Every class of a case against every site; what classes share is looked up once."""

    def __init__(self, case: Case) -> None:
        self.case = case
        scenario = case.scenario
        self.sites = tuple(texts(scenario.table("sites"), "site"))
        self.site_country = tuple(texts(scenario.table("sites"), "country"))
        self.services = keyed(scenario.table("services"), "service")
        self.home = {name: str(row["country"]) for name, row in keyed(scenario.table("regions"), "region").items()}
        self._region = numbered(case.pairs.regions)
        self._ttft_ms: dict[tuple[str, str], tuple[Float, bool]] = {}
        self._reach: dict[tuple[str, str, str, str], Reach] = {}

    @cached_property
    def ground(self) -> Ground:
        return survey(self.case.scenario, self.case.pairs, self.case.previous)

    @cached_property
    def _own_set(self) -> dict[tuple[str, ...], str]:
        """Residency set of the demand rows that name one."""
        rows = self.case.scenario.table("demand")
        rows = rows[rows["residency"] != ""]
        key = ("period", "region", "model", "service", "slice", "residency")
        return {entry[:5]: entry[5] for entry in zip(*(texts(rows, name) for name in key), strict=True)}

    def residency_of(self, period: str, row: DemandRow) -> str:
        """The residency set that holds for a demand row; "" where there is no rule."""
        scenario = self.case.scenario
        if not scenario.has("residency"):
            return ""
        own = self._own_set.get((period, row.region, row.model, row.service, row.slice), "")
        return str(own or self.services[row.service]["residency"] or scenario.document.limits.default_residency)

    def reach(self, period: str, row: DemandRow) -> Reach:
        """The class of a demand row against every site."""
        return self.of_class(row.region, row.model, row.service, self.residency_of(period, row))

    def of_class(self, region: str, model: str, service: str, residency: str) -> Reach:
        """A class against every site."""
        key = region, model, service, residency
        if key not in self._reach:
            self._reach[key] = self._found(*key)
        return self._reach[key]

    def ttft_ms(self, service: str, model: str) -> tuple[Float, bool]:
        """TTFT of the quickest shape that each site could hold, P; and whether any shape serves the class at all."""
        key = service, model
        if key not in self._ttft_ms:
            self._ttft_ms[key] = _quickest(self.ground, self.services[service], model)
        return self._ttft_ms[key]

    def _found(self, region: str, model: str, service_name: str, residency: str) -> Reach:
        scenario, pairs = self.case.scenario, self.case.pairs
        service, r = self.services[service_name], self._region[region]
        allowed = np.ones(len(self.sites), np.bool_)
        if scenario.has("residency"):
            allowed = self.ground.residency.allows(residency, self.home[region])
        ttft_ms, served_by = self.ttft_ms(service_name, model)
        return Reach(
            region=region,
            country=self.home[region],
            residency=residency,
            service=service,
            sites=self.sites,
            site_country=self.site_country,
            allowed=allowed,
            state=pairs.rtt_state[r],
            rtt_ms=planned_rtt_ms(pairs, scenario.document.uncertainty.percentile, r),
            transfer_ms=transfer_ms(scenario, service, pairs.mbps[r]),
            loss=pairs.loss[r],
            jitter_ms=pairs.jitter_ms[r],
            ttft_ms=ttft_ms,
            served_by=served_by,
        )


def _quickest(ground: Ground, service: Row, model: str) -> tuple[Float, bool]:
    owner = ground.tenants.of_service[service["service"]]
    by_profile = keyed_by_profile(ground.scenario)
    names, tenants = texts(ground.shapes, "shape"), texts(ground.shapes, "tenant")
    models = texts(ground.shapes, "model")
    best, any_shape = np.full(len(ground.sites), np.inf), False
    for d, name in enumerate(names):
        row = by_profile.get((name, service["profile"]))
        if row is not None and tenants[d] == owner and models[d] == model:
            any_shape = True
            best = np.minimum(best, np.where(ground.host.most[:, d] > 0, float(row["ttft_p95_ms"]), np.inf))
    return best, any_shape


def state_name(code: int) -> str:
    """measured, inferred or unknown."""
    return State(code).name.lower()
