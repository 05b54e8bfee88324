"""Which rule keeps a demand row from being served, said so that a planner can act on it.

Latency and residency are certain: no plan could serve the row. Where a row could be served somewhere, what is named is
why no more servers stand there, if that is one rule for all of them; else that the plan leaves no room or finds the
penalty cheaper, which only a second plan could tell apart.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from placement.frames import Row, floats, keyed, numbered, texts
from placement.problem.names import DemandRow, Names
from placement.problem.residency import set_allows
from placement.problem.routes import network_ms
from placement.scenario import Scenario
from placement.topology.pairs import Pairs
from solvers.problem import Problem
from solvers.solution import Placement

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

CAPACITY = "4-12 capacity: every admissible site is full, or serving would cost more than the penalty"
NO_SERVER = "6-8 servers: none that could serve this class can stand at an admissible site"
FULL = {
    "stock": "10 stock: all servers that are delivered and could serve this class are taken",
    "installs": "10 installs: no more servers can be set up in this period",
    "export": "11 export: no more GPUs that could serve this class may stand in the countries of admissible sites",
    "capex": "12 budget: the capex of this period is spent",
    "site": "7-8 power and racks: every admissible site is full",
}
"""By what a limit's name begins with, in the order in which they are told."""

KEY = ["region", "model", "service", "slice"]
CHUNK = 1000  # rows at a time: each needs a figure for every site


@dataclass(frozen=True)
class Holdings:
    """What a period's plan holds, and which limits keep it from holding one more server somewhere."""

    problem: Problem
    names: Names
    placement: Placement

    @cached_property
    def _kept_out(self) -> dict[str, Bool]:
        """New offers that a kind of limit keeps at what they are, O each."""
        problem, servers = self.problem, self.placement.servers.astype(np.float64)
        limits = problem.limit_matrix.tocsr()
        slack = problem.limit_rhs - limits @ servers
        found = {kind: np.zeros(problem.offers, np.bool_) for kind in FULL}
        for row, name in enumerate(self.names.limits):
            kind = name.partition("|")[0]
            entries = slice(limits.indptr[row], limits.indptr[row + 1])
            over = limits.data[entries] > slack[row] + 1e-9
            if kind in found:
                found[kind][limits.indices[entries][over]] = True
        drawn = np.zeros_like(problem.site_limit)
        np.add.at(drawn, problem.offer_site, servers[:, None] * problem.server_use[problem.offer_server])
        more = drawn[problem.offer_site] + problem.server_use[problem.offer_server]
        beyond = more > problem.site_limit[problem.offer_site] * (1 + 1e-9)
        found["site"] = np.asarray(beyond.any(axis=1), np.bool_)
        return found

    def at_sites(self, gpu_of_server: dict[str, str], gpus: frozenset[str], tenant: str) -> dict[str, Bool]:
        """Of new servers with one of the `gpus`: sites (P) that have an offer of them at all ("any"), and those where
        a kind of limit keeps out each of them."""
        offers, problem = self.names.offers, self.problem
        mine = np.array([o.new and o.tenant == tenant and gpu_of_server[o.server] in gpus for o in offers], np.bool_)
        count = np.bincount(problem.offer_site[mine], minlength=problem.sites)
        found = {"any": count > 0}
        for kind, kept_out in self._kept_out.items():
            found[kind] = np.bincount(problem.offer_site[mine & kept_out], minlength=problem.sites) == count
        return found


class Reasons:
    """Blocking rules of a scenario's classes; what residency allows is looked up once for all periods."""

    def __init__(self, scenario: Scenario, pairs: Pairs) -> None:
        self.scenario, self.pairs = scenario, pairs
        self._home = {name: row["country"] for name, row in keyed(scenario.table("regions"), "region").items()}
        self._allowed: dict[tuple[str, str], Bool] = {}

    def blocking(self, rows: Sequence[DemandRow], holdings: Holdings) -> Iterator[str]:
        """The blocking rule of each of the period's demand `rows`, in their order; slices of a class share one."""
        table = self.scenario.table("demand")
        table = table[table["period"] == holdings.names.period]
        own = dict(zip(zip(*(table[name] for name in KEY), strict=True), texts(table, "residency"), strict=True))
        classes = [(r.service, r.model, r.region, own[r.region, r.model, r.service, r.slice]) for r in rows]
        members: dict[tuple[str, str], list[tuple[str, str]]] = {}
        for service, model, region, residency in dict.fromkeys(classes):
            members.setdefault((service, model), []).append((region, residency))
        said: dict[tuple[str, str, str, str], str] = {}
        for (service, model), keys in members.items():
            served = _Served(self, holdings, service, model)
            for start in range(0, len(keys), CHUNK):
                part = keys[start : start + CHUNK]
                said |= {(service, model, *key): rule for key, rule in zip(part, served.rules(part), strict=True)}
        yield from (said[key] for key in classes)

    def allowed(self, region: str, residency: str) -> Bool:
        """(3) sites that a set allows for users of a region, P; all of them where there is no rule."""
        if not self.scenario.has("residency"):
            return np.ones(len(self.pairs.sites), np.bool_)
        key = (residency or self.scenario.document.limits.default_residency, self._home[region])
        if key not in self._allowed:
            self._allowed[key] = set_allows(self.scenario, *key)
        return self._allowed[key]


class _Served:
    """The classes of one service and model."""

    def __init__(self, reasons: Reasons, holdings: Holdings, service: str, model: str) -> None:
        scenario, pairs = reasons.scenario, reasons.pairs
        self.reasons, self.pairs, self.model = reasons, pairs, model
        self.service: Row = keyed(scenario.table("services"), "service")[service]
        self.region = numbered(pairs.regions)
        shapes = scenario.table("shapes")
        serving = shapes[(shapes["model"] == model) & (shapes["profile"] == self.service["profile"])]
        self.ttft_ms = floats(serving, "ttft_p95_ms")
        tenant = self.service["tenant"] if self.service["dedicated"] == "yes" else ""
        gpu_of_server = {name: row["gpu"] for name, row in keyed(scenario.table("servers"), "server").items()}
        self.full = holdings.at_sites(gpu_of_server, frozenset(texts(serving, "gpu")), tenant)
        order = numbered(holdings.names.sites)
        self.site = np.array([order[name] for name in pairs.sites], np.int64)  # place in `full` of the pairs' sites

    def rules(self, classes: Sequence[tuple[str, str]]) -> Iterator[str]:
        """The blocking rule of each (region, residency set of its demand row or "")."""
        if not len(self.ttft_ms):
            text = f"2 latency: no shape of {self.model} serves the profile {self.service['profile']}"
            yield from [text] * len(classes)
            return
        regions = np.array([self.region[region] for region, _ in classes], np.int64)
        network = network_ms(self.reasons.scenario, self.pairs, self.service, regions)
        known = ~np.isnan(self.pairs.planned_rtt_ms[regions])
        for g, (region, residency) in enumerate(classes):
            allowed = self.reasons.allowed(region, residency or self.service["residency"])
            yield self._rule(allowed, known[g], network[g])

    def _rule(self, allowed: Bool, known: Bool, network: Float) -> str:
        if not allowed.any():
            return "3 residency: no site stands where this class may be served"
        if not (known & allowed).any():
            return "2 latency: nothing is known of the way to any allowed site"
        usable = allowed & ~np.isnan(network)
        if not usable.any():
            return "2 latency: bandwidth unknown, or loss or jitter above the service's limit, at every allowed site"
        fastest, budget = self.ttft_ms.min(), self.service["latency_budget_ms"]
        best = int(np.flatnonzero(usable)[np.argmin(network[usable])])
        ms = network[best] + fastest
        if ms > budget:
            site = self.pairs.sites[best]
            return f"2 latency: the nearest allowed site, {site}, plans {ms:.0f} ms against {budget:g} ms"
        near = np.zeros(len(network), np.bool_)
        near[usable] = network[usable] + fastest <= budget
        could = self.site[near]
        could = could[self.full["any"][could]]
        if not len(could):
            return NO_SERVER
        return next((text for kind, text in FULL.items() if self.full[kind][could].all()), CAPACITY)
