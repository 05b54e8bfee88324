"""The views of a plan folder: of its normal moments, and of every domain's failure in each."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from placement.feeds.names import Names
from placement.feeds.routes import RouteTable
from placement.feeds.view import Addresses, Class, Job, Moment, Policy, Replicas, Route, Servers, View
from placement.frames import records
from placement.plan.document import PlanDocument
from placement.plan.reading import PlanReadError, check_fresh, read_document
from placement.scenario import Scenario
from placement.scenario.findings import nearest


@dataclass(frozen=True)
class PlanViews:
    """A plan folder over its scenario, ready to be looked at; `period` is the one that its moments are of."""

    document: PlanDocument
    scenario: Scenario
    addresses: Addresses
    plan_sha256: str
    period: str
    routes: RouteTable
    _names: Names

    @cached_property
    def moments(self) -> tuple[Moment, ...]:
        """The normal moments of the period: one for every slice, in the order of their names."""
        slices = {row["slice"] for row in self._asked} | {m.slice for m in self.routes.moments if m[0] == self.period}
        return tuple(Moment(self.period, name) for name in sorted(slices or {""}))

    @cached_property
    def domains(self) -> Mapping[str, frozenset[str]]:
        """The sites of every domain that the plan survives, by name."""
        told = self.document.reliability
        names = () if told is None else sorted({row.domain for row in told.domains})
        return {name: self._names.domains.get(name, frozenset()) for name in names}

    @property
    def failures(self) -> tuple[str, ...]:
        """The domains that may fail, one at a time."""
        return tuple(self.domains)

    @property
    def policy(self) -> Policy | None:
        """How the plan fails over; None where it knows of no failures."""
        return None if self.document.reliability is None else self.document.reliability.failover

    def at(self, moment: Moment) -> View:
        """What the plan says at a moment. Raises KeyError for a failure that the plan does not know."""
        normal = self.routes.rows(moment._replace(failure=""))
        rows = normal
        if moment.failure:
            rows = self.routes.failed(normal, self.routes.rows(moment), self.domains[moment.failure])
        return View(
            scenario=self.document.scenario,
            plan_sha256=self.plan_sha256,
            moment=moment,
            sites=self._names.sites,
            regions=self._names.regions,
            shapes=self._names.shapes,
            services=self._names.services,
            servers=self._servers,
            replicas=self._replicas(moment.slice),
            routes=self.routes.routes(rows),
            jobs=self._jobs(moment.slice),
            backups=self._backups(moment.slice),
            domains=self.domains,
            policy=self.policy,
            addresses=self.addresses,
            classes=self._classes(moment.slice),
        )

    def _backups(self, of_slice: str) -> Mapping[str, tuple[Route, ...]]:
        if of_slice not in self._moved:
            self._moved[of_slice] = {
                name: self.routes.routes(self.routes.rows(Moment(self.period, of_slice, name))) for name in self.domains
            }
        return self._moved[of_slice]

    @cached_property
    def _moved(self) -> dict[str, Mapping[str, tuple[Route, ...]]]:
        """The backup rows of the slices that were looked at."""
        return {}

    def _classes(self, of_slice: str) -> tuple[Class, ...]:
        asked = {(row["region"], row["model"], row["service"]) for row in self._asked if row["slice"] == of_slice}
        return tuple(sorted(asked))

    @cached_property
    def _asked(self) -> Sequence[Mapping[str, Any]]:
        """The demand rows of the period that ask for something."""
        demand = self.scenario.table("demand")
        mine = (demand["period"] == self.period) & (demand["requests_per_s"] > 0)
        return records(demand.loc[mine, ["region", "model", "service", "slice"]])

    @cached_property
    def _servers(self) -> tuple[Servers, ...]:
        kinds = self._names.servers
        count: dict[tuple[str, str, str], int] = defaultdict(int)
        for row in self.document.servers:
            if (row.period or "") == self.period and row.count:
                count[row.site, row.server, row.tenant or ""] += row.count
        return tuple(
            sorted(
                Servers(site, server, tenant, kinds[server]["gpu"], int(kinds[server]["gpus"]), number)
                for (site, server, tenant), number in count.items()
            )
        )

    def _replicas(self, of_slice: str) -> tuple[Replicas, ...]:
        count: dict[tuple[str, str, str], int] = defaultdict(int)
        for row in self.document.replicas:
            if (row.period or "") == self.period and row.slice in (None, of_slice) and row.count:
                count[row.site, row.shape, row.tenant or ""] += row.count
        return tuple(sorted(Replicas(*place, number) for place, number in count.items()))

    def _jobs(self, of_slice: str) -> tuple[Job, ...]:
        kinds = self._names.jobs
        return tuple(
            sorted(
                Job(
                    row.job,
                    kind["kind"],
                    kind["model"],
                    kind["gpu"],
                    round(4 * kind["gpus"]),
                    row.site,
                    row.slices,
                    kind["preemptible"] == "yes",
                )
                for row in self.document.jobs
                for kind in [kinds[row.job]]
                if (row.period or "") == self.period and (not row.slices or of_slice in row.slices)
            )
        )


def open_plan(plan: Path, scenario: Scenario, addresses: Addresses, period: str | None = None) -> PlanViews:
    """The plan of a folder over its scenario; of its first period, where no other is asked for.

    Raises:
        PlanReadError: no plan is there, it names what the scenario does not have, or it has no such period.
        StalePlanError: the inputs are others than those that the plan records.
    """
    document, sha256 = read_document(plan)
    check_fresh(document, scenario)
    periods = [row.period for row in document.periods] or [""]
    if period is not None and period not in periods:
        raise PlanReadError(f"{plan} has no period {period!r}. {nearest(period, periods)}")
    table = RouteTable(plan / "routes.parquet")
    chosen = periods[0] if period is None else period
    views = PlanViews(document, scenario, addresses, sha256, chosen, table, Names(scenario))
    _check_names(plan, views)
    return views


def _check_names(plan: Path, views: PlanViews) -> None:
    """Fresh inputs have every name that the plan has, unless somebody wrote into the plan."""
    document, said, has = views.document, views.routes.names, views._names
    standing = {row.site for rows in (document.servers, document.replicas, document.jobs) for row in rows}
    known: dict[str, tuple[Mapping[str, Any], set[str]]] = {
        "site": (has.sites, {*said["site"], *standing}),
        "region": (has.regions, set(said["region"])),
        "service": (has.services, set(said["service"])),
        "shape": (has.shapes, {*said["shape"], *(row.shape for row in document.replicas)}),
        "server": (has.servers, {row.server for row in document.servers}),
        "job": (has.jobs, {row.job for row in document.jobs}),
        "domain": (views.domains, set(said["failure"]) - {""}),
    }
    wrong = [f"{kind} {name!r}" for kind, (there, names) in known.items() for name in sorted(names - there.keys())]
    if wrong:
        raise PlanReadError(f"{plan} names what the scenario does not have: {', '.join(wrong[:6])}")
