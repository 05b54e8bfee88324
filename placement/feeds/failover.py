"""How a target fails over, held against what the plan promises of failures (13).

A target that is switched to files made for a failure does what the plan says. One that fails over by itself does what
it can: it shares what fails over the survivors by their weights, or goes down an order of sites. The plan is then
rewritten to that, and the auditor says whether every survivor still has room, and every class still goes where it may.
"""

import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from placement.audit import Violation, audit
from placement.feeds.feed import FeedError
from placement.feeds.order import preferences
from placement.feeds.routes import PLACES, Int, RouteTable, Rows
from placement.feeds.view import Class, Moment, Policy
from placement.feeds.views import PlanViews
from placement.plan.folder import ROUTES, PlanFiles, write_files
from placement.plan.shares import apportion
from placement.scenario import Scenario
from placement.topology import build_pairs

_SHOWN = 4
"""Violations that a reason names."""


class BrokenPromiseError(FeedError):
    """A target would fail over in a way that the plan was not made for."""


class Failovers:
    """The ways of failing over a plan, each audited once, when it is first asked for."""

    def __init__(self, plan: Path, views: PlanViews) -> None:
        self._plan, self._views = plan, views
        self._broken: dict[Policy, tuple[Violation, ...]] = {}

    def of(self, policies: frozenset[Policy], wanted: Policy | None = None) -> Policy | None:
        """The way that a target with these policies is to fail over; None where there is nothing to keep.

        The plan's own way where the target can be told that, else `planned`, else another; `wanted` is the only one
        where it is given.

        Raises:
            BrokenPromiseError: none of them keeps the plan's promise.
        """
        promised = self._views.policy
        if promised is None or not policies:
            return None
        ways: tuple[Policy, ...] = (promised, "planned", "proportional", "priority")
        asked = [way for way in dict.fromkeys(ways) if way in policies and wanted in (None, way)]
        for way in asked:
            if not self.broken(way):
                return way
        raise BrokenPromiseError(tuple(self._told(way) for way in asked))

    def broken(self, way: Policy) -> tuple[Violation, ...]:
        """What the auditor finds in the plan when it fails over this way."""
        if way == "planned" or (way == "proportional" and self._views.policy == way):
            return ()  # that is the plan as it was audited
        if way not in self._broken:
            self._broken[way] = _audited(self._views, rewritten(self._views, way))
        return self._broken[way]

    def _told(self, way: Policy) -> str:
        found = self.broken(way)
        more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
        mend = f'plan with failover = "{way}" in [reliability], or use a target that is switched to planned failures'
        return f"failing over by {way} breaks the plan: {'; '.join(map(str, found[:_SHOWN]))}{more}; {mend}"


def rewritten(views: PlanViews, way: Policy) -> pa.Table:
    """The plan's routes, with the rows of every failure as a target makes them that fails over by itself.

    proportional: what fails goes to the class' other places by their shares. priority: the same while any of the
    class' own sites stands, and then all of it to the first site of the order that stands.
    """
    table = views.routes
    normal = [moment for moment in table.moments if not moment.failure]
    parts = [named(table, moment, table.rows(moment)) for moment in normal]
    for moment in normal:
        parts += [named(table, at, rows) for at, rows in _failures(views, moment, way)]
    return pa.concat_tables(parts)


def _failures(views: PlanViews, moment: Moment, way: Policy) -> Iterator[tuple[Moment, Rows]]:
    table = views.routes
    rows = table.rows(moment)
    cls = table.class_of(rows)
    orders = _Orders(views, moment) if way == "priority" else None
    for domain, down in views.domains.items():
        fails = table.at(rows, down)
        hit, group = np.unique(cls[fails], return_inverse=True)
        lost = np.bincount(group, rows.share_ppb[fails], len(hit)).astype(np.int64)
        stands = ~fails & np.isin(cls, hit)
        extra = apportion(lost, np.searchsorted(hit, cls[stands]), rows.share_ppb[stands], rows.key[stands])
        taken = Rows(rows.key[stands], rows.site[stands], extra)
        if orders is not None:
            bare = ~np.isin(hit, cls[stands])
            taken = taken.joined(orders.rows(hit[bare], lost[bare], down))
        yield moment._replace(failure=domain), taken.where(taken.share_ppb > 0)


class _Orders:
    """Where classes go that have none of their own sites left."""

    def __init__(self, views: PlanViews, moment: Moment) -> None:
        self._table = views.routes
        view = views.at(moment)
        self._sites = preferences(view)
        self._shapes: dict[tuple[Class, str], dict[str, int]] = defaultdict(lambda: defaultdict(int))
        for rows in view.backups.values():
            for route in rows:
                self._shapes[route[:3], route.site][route.shape] += route.share_ppb

    def rows(self, hit: Int, lost: Int, down: frozenset[str]) -> Rows:
        """All that the classes `hit` lose, at the first site that stands; nothing where none does."""
        table = self._table
        sites, shapes = ({text: j for j, text in enumerate(table.names[name])} for name in ("site", "shape"))
        found: list[tuple[int, int, int]] = []
        for number, share, cls in zip(hit.tolist(), lost.tolist(), table.classes(hit), strict=True):
            site = next((site for site in self._sites.get(cls, ()) if site not in down), None)
            if site is not None:
                taken = self._shapes[cls, site]
                shape = min(taken, key=lambda name: (-taken[name], name))
                key = (number * table.shape[3] + sites[site]) * table.shape[4] + shapes[shape]
                found.append((key, sites[site], share))
        return Rows(*np.array(found, np.int64).reshape(-1, 3).T)


def named(table: RouteTable, moment: Moment, rows: Rows) -> pa.Table:
    """Rows as they stand in routes.parquet."""
    columns = dict(zip(PLACES, table.columns(rows), strict=True))
    fixed = {name: [value or None] * len(rows.key) for name, value in moment._asdict().items()}
    return pa.table({**columns, **fixed, "share_ppb": rows.share_ppb}).select(ROUTES.names).cast(ROUTES)


def _audited(views: PlanViews, routes: pa.Table) -> tuple[Violation, ...]:
    """What the auditor says of the plan with these routes; their form is free, as of a planned failover."""
    scenario, document = _planned(views.scenario), views.document
    told = document.reliability
    if told is not None:
        document = document.model_copy(update={"reliability": told.model_copy(update={"failover": "planned"})})
    with tempfile.TemporaryDirectory(prefix="nearserve-") as folder:
        write_files(Path(folder), PlanFiles(document, routes, None))
        return audit(Path(folder), scenario, build_pairs(scenario).pairs, bound=False).violations


def _planned(scenario: Scenario) -> Scenario:
    reliability = scenario.document.reliability.model_copy(update={"failover": "planned"})
    return replace(scenario, document=scenario.document.model_copy(update={"reliability": reliability}))
