"""What of a scenario may give way, as a change of the tables and as the rows of the program that it loosens."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from placement.explain.case import Case
from placement.explain.changes import Change, Kind, change
from placement.frames import integers, keyed, records, texts
from placement.problem import Built, build_rollout
from placement.problem.offers import site_limit
from placement.problem.periods import planned_periods
from placement.scenario import Scenario
from solvers.exact.elastic import BETWEEN, Give, Loosened
from solvers.problem import CAPACITY_FACTOR
from solvers.rollout import Rollout

Float = NDArray[np.float64]

SITE_KINDS: tuple[Kind, ...] = ("power", "rack_units")
LIMIT_KINDS: tuple[Kind, ...] = ("stock", "export", "capex", "installs")

_Place = tuple[Kind, str, tuple[tuple[str, int], ...], float, Float]
"""kind, family of rows, their labels beside the site, by how much a unit loosens them, limit of every site"""


@dataclass(frozen=True)
class Relief:
    """A limit that may give: a change of one unit, and what that does to the program."""

    kind: Kind
    where: tuple[str, ...]
    give: Give

    def of(self, amount: float) -> Change:
        """The change that gives `amount`."""
        return change(self.kind, self.where, amount)


@dataclass(frozen=True)
class Elastics:
    """A scenario's program with room to give: its arrays with every column that more kW or racks would allow."""

    built: Built
    rollout: Rollout  # with the limits as they are
    reliefs: tuple[Relief, ...]
    wanted: tuple[Float, ...]  # I by period: most that may stay unserved where what has a pair is to be served
    requests: tuple[Float, ...]  # I by period: mean requests a month
    before_usd: float  # what the plan costs in the terms of this program; NaN without one

    def loose(self, kinds: frozenset[Kind]) -> Rollout:
        """The roll-out without the limits of some kinds, for the bounds of its columns."""
        sites, rows = bool(kinds & set(SITE_KINDS)), bool(kinds & set(LIMIT_KINDS))
        periods = tuple(
            replace(
                problem,
                site_limit=np.full_like(problem.site_limit, np.inf) if sites else problem.site_limit,
                limit_rhs=np.full_like(problem.limit_rhs, np.inf) if rows else problem.limit_rhs,
            )
            for problem in self.rollout.periods
        )
        return replace(self.rollout, periods=periods)

    @property
    def kinds(self) -> tuple[Kind, ...]:
        """Kinds of limits that the scenario has."""
        return tuple(dict.fromkeys(relief.kind for relief in self.reliefs))

    def of_kind(self, kinds: frozenset[Kind]) -> list[Relief]:
        return [relief for relief in self.reliefs if relief.kind in kinds]


def elastics(case: Case) -> Elastics:
    """The program of a scenario in which limits may give.

    What is wanted is that nothing which has a pair stays unserved; where there is no plan yet, nothing at all.
    Sites without room for a server have no columns in the problem itself, so that it is built as if they had room;
    their limits stand as rows.
    """
    scenario = case.scenario
    sites = scenario.table("sites").copy()
    sites["power_kw"] = np.nan
    sites["rack_units"] = np.nan
    roomy = replace(scenario, tables={**scenario.tables, "sites": sites})
    built = build_rollout(roomy, case.pairs, previous=case.previous)
    limit = site_limit(scenario.table("sites"))
    periods = tuple(replace(problem, site_limit=limit) for problem in built.rollout.periods)
    rollout = replace(built.rollout, periods=periods)
    wanted = tuple(
        np.ones(p.demands) if case.plans is None else p.unservable.astype(np.float64) for p in rollout.periods
    )
    reliefs = tuple(_reliefs(scenario, built, rollout))
    return Elastics(built, rollout, reliefs, wanted, case.requests, case.cost_usd)


def _reliefs(scenario: Scenario, built: Built, rollout: Rollout) -> Iterator[Relief]:
    """Every limit that the scenario states, kind by kind."""
    yield from _limits(scenario, built)
    yield from _money(scenario, built, rollout)
    yield from _places(built, rollout)
    yield from _totals(rollout)
    yield from _standing(scenario, built, rollout)


def _limits(scenario: Scenario, built: Built) -> Iterator[Relief]:
    """Stock from a period on; export in all of them; installs of every period."""
    size = dict(
        zip(texts(scenario.table("servers"), "server"), integers(scenario.table("servers"), "gpus"), strict=True)
    )
    rows: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for h, names in enumerate(built.names):
        for number, name in enumerate(names.limits):
            kind = name.partition("|")[0]
            rows[f"{kind}|" if kind in ("capex", "installs") else name].append((h, number))
    for name, entries in rows.items():
        first, *about = name.split("|")
        if first == "stock":
            server, group = about
            for h, _ in entries:
                later = tuple(_limit_row(g, number) for g, number in entries if g >= h)
                where = (server, group, built.names[h].period)
                yield Relief("stock", where, Give(later, float(size[server]), True))
        elif first == "export":
            every = tuple(_limit_row(h, number) for h, number in entries)
            yield Relief("export", tuple(about), Give(every, 1.0, True))
        elif first == "installs":
            rows_of = [_limit_row(h, number, by=h + 1.0) for h, number in entries]
            rows_of += [Loosened(BETWEEN, "installs", (("h", h),)) for h, _ in entries]
            yield Relief("installs", (), Give(tuple(rows_of), 1.0, True))


def _limit_row(h: int, number: int, by: float = 1.0) -> Loosened:
    return Loosened(h, "limits", (("l", number),), by)


def _money(scenario: Scenario, built: Built, rollout: Rollout) -> Iterator[Relief]:
    """Capex of a period, which counts for all later ones too; the cost of a month."""
    budgets = records(scenario.table("budgets"))
    for h, period in enumerate(planned_periods(scenario)):
        if any(period.own(row["period"]) and not np.isnan(row["capex_usd"]) for row in budgets):
            cumulative = tuple(
                _limit_row(g, number)
                for g, names in enumerate(built.names)
                for number, name in enumerate(names.limits)
                if g >= h and name.startswith("capex|")
            )
            own = (Loosened(BETWEEN, "capex", (("h", h),)),)
            yield Relief("capex", (period.name,), Give(cumulative + own))
        if np.isfinite(rollout.periods[h].monthly_budget_usd):
            row = Loosened(h, "monthly_budget", (), CAPACITY_FACTOR)
            yield Relief("monthly", (period.name,), Give((row,)))


def _places(built: Built, rollout: Rollout) -> Iterator[Relief]:
    """kW, rack units, uplink and downlink of every site that states them."""
    problem, periods = rollout.periods[0], range(len(rollout.periods))
    limits: tuple[_Place, ...] = (
        ("power", "site_resources", (("r", 0),), 1.0, problem.site_limit[:, 0]),
        ("rack_units", "site_resources", (("r", 1),), 1.0, problem.site_limit[:, 1]),
        ("uplink", "uplink", (), CAPACITY_FACTOR, problem.uplink_mbps),
        ("downlink", "downlink", (), CAPACITY_FACTOR, problem.downlink_mbps),
    )
    for kind, family, about, by, limit in limits:
        for p in np.flatnonzero(np.isfinite(limit)).tolist():
            rows = tuple(Loosened(h, family, (("p", p), *about), by) for h in periods)
            yield Relief(kind, (built.names[0].sites[p],), Give(rows))


def _totals(rollout: Rollout) -> Iterator[Relief]:
    """The least served share and the carbon limit, in all periods."""
    kinds: tuple[Kind, ...] = ("served", "carbon")
    for kind in kinds:
        rows = tuple(
            Loosened(h, "totals", (("k", number),), CAPACITY_FACTOR)
            for h, problem in enumerate(rollout.periods)
            for number, total in enumerate(problem.rules.totals)
            if total.name == kind and np.isfinite(total.most)
        )
        if rows:
            yield Relief(kind, (), Give(rows))


def _standing(scenario: Scenario, built: Built, rollout: Rollout) -> Iterator[Relief]:
    """Pins, moves and jobs."""
    periods = range(len(rollout.periods))
    pins = keyed_pins(scenario)
    for q, pin in enumerate(built.names[0].pins):
        least, most = pins[pin]
        if least > 0:
            rows = tuple(Loosened(h, "least_pinned", (("q", q),)) for h in periods)
            yield Relief("pin_least", pin, Give(rows, 1.0, True))
        if not np.isnan(most):
            rows = tuple(Loosened(h, "most_pinned", (("q", q),)) for h in periods)
            yield Relief("pin_most", pin, Give(rows, 1.0, True))
    if scenario.document.stability.max_moves is not None:
        yield Relief("moves", (), Give((Loosened(0, "most_added", ()),), 1.0, True))
    jobs = keyed(scenario.table("jobs"), "job")
    for h, period in enumerate(planned_periods(scenario)):
        mine = [name for name, row in jobs.items() if period.own(row["period"])]
        for j, name in enumerate(mine):
            yield Relief(
                "job", (name,), Give((Loosened(h, "one_option", (("j", j),)),), float(jobs[name]["gpus"]), True)
            )


def keyed_pins(scenario: Scenario) -> dict[tuple[str, str], tuple[float, float]]:
    """Least and most replicas of every pin, by (model, site); NaN: no most."""
    return {
        (row["model"], row["site"]): (float(np.nan_to_num(row["min_replicas"])), float(row["max_replicas"]))
        for row in records(scenario.table("pins"))
    }
