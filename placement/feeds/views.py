"""The views of a plan folder: of its normal moments, and of every domain's failure in each."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from placement.feeds.feed import Apart
from placement.feeds.names import Names
from placement.feeds.routes import RouteTable, Rows
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
        rows = self.routes.rows(moment._replace(failure=""))
        if moment.failure:
            rows = self.routes.failed(rows, self.routes.rows(moment), self.domains[moment.failure])
        return self._view(moment, rows, self._classes[moment.slice])

    def changed(self, moment: Moment, apart: Apart) -> tuple[View, View] | None:
        """The normal day and the failure `moment`, both with no more than what the failure changes anything for.

        That is the classes that it touches, all classes of their regions, or everything, as `apart` says. None where
        nothing changes: nobody is served at the domain's sites.
        """
        table, down = self.routes, self.domains[moment.failure]
        normal, extra = table.rows(moment._replace(failure="")), table.rows(moment)
        touched = table.touched(normal, extra, down)
        if not len(touched):
            return None
        classes = self._classes[moment.slice]
        if apart == "class":
            kept = np.isin(table.class_of(normal), touched)
            classes = tuple(table.classes(touched))
        elif apart == "region":
            regions = np.unique(table.region_of(touched))
            kept = np.isin(table.region_of(table.class_of(normal)), regions)
            named = {table.names["region"][j] for j in regions.tolist()}
            classes = tuple(cls for cls in classes if cls[0] in named)
        if apart:
            normal = normal.where(kept)
        before = self._view(moment._replace(failure=""), normal, classes)
        return before, self._view(moment, table.failed(normal, extra, down), classes)

    def _view(self, moment: Moment, rows: Rows, classes: tuple[Class, ...]) -> View:
        return View(
            scenario=self.document.scenario,
            plan_sha256=self.plan_sha256,
            moment=moment,
            sites=self._names.sites,
            regions=self._names.regions,
            shapes=self._names.shapes,
            services=self._names.services,
            servers=self._servers,
            replicas=self._replicas[moment.slice],
            routes=self.routes.routes(rows),
            jobs=self._jobs[moment.slice],
            backups=self._backups[moment.slice],
            domains=self.domains,
            policy=self.policy,
            addresses=self.addresses,
            classes=classes,
        )

    @cached_property
    def _backups(self) -> Mapping[str, Mapping[str, tuple[Route, ...]]]:
        """By slice, then by domain."""
        table = self.routes
        return {
            at.slice: {name: table.routes(table.rows(at._replace(failure=name))) for name in self.domains}
            for at in self.moments
        }

    @cached_property
    def _classes(self) -> Mapping[str, tuple[Class, ...]]:
        """By slice."""
        asked: dict[str, set[Class]] = defaultdict(set)
        for row in self._asked:
            asked[row["slice"]].add((row["region"], row["model"], row["service"]))
        return {at.slice: tuple(sorted(asked[at.slice])) for at in self.moments}

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

    @cached_property
    def _replicas(self) -> Mapping[str, tuple[Replicas, ...]]:
        """By slice."""
        found: dict[str, tuple[Replicas, ...]] = {}
        for at in self.moments:
            count: dict[tuple[str, str, str], int] = defaultdict(int)
            for row in self.document.replicas:
                if (row.period or "") == self.period and row.slice in (None, at.slice) and row.count:
                    count[row.site, row.shape, row.tenant or ""] += row.count
            found[at.slice] = tuple(sorted(Replicas(*place, number) for place, number in count.items()))
        return found

    @cached_property
    def _jobs(self) -> Mapping[str, tuple[Job, ...]]:
        """By slice."""
        jobs = sorted(
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
            for kind in [self._names.jobs[row.job]]
            if (row.period or "") == self.period
        )
        return {at.slice: tuple(job for job in jobs if not job.slices or at.slice in job.slices) for at in self.moments}


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
