"""A plan for people: by country, period by period, what it comes to, and what is left unserved and why.

With periods the countries show what stands in the last one, the totals the mean over all of them. What a plan says
nothing of is left out. Everything fits into 100 columns.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from textwrap import wrap
from typing import TYPE_CHECKING

import click

from placement.cli.common import print_table
from placement.frames import keyed, records

if TYPE_CHECKING:
    from placement.plan.document import PlanDocument
    from placement.scenario import Scenario

WIDTH = 76  # of a line beside its title

Line = tuple[str, str]


@dataclass
class _Place:
    """What stands in a country."""

    sites: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    servers: int = 0
    gpus: int = 0
    new_gpus: int = 0
    rented_gpus: int = 0
    replicas: int = 0

    def add(self, other: "_Place") -> None:
        self.sites |= other.sites
        self.models |= other.models
        self.servers += other.servers
        self.gpus += other.gpus
        self.new_gpus += other.new_gpus
        self.rented_gpus += other.rented_gpus
        self.replicas += other.replicas

    def cells(self) -> tuple[int, ...]:
        return len(self.sites), self.servers, self.gpus, len(self.models), self.replicas


def print_plan(document: "PlanDocument", scenario: "Scenario", most: int = 20) -> None:
    """The whole view, on stdout."""
    last = document.periods[-1].period if document.periods else None
    places = sorted(_places(document, scenario, last).items(), key=lambda item: (-item[1].gpus, item[0]))
    rows: list[tuple[object, ...]] = [(name, *place.cells()) for name, place in places[:most]]
    if len(places) > most:
        rest = _Place()
        for _, place in places[most:]:
            rest.add(place)
        rows.append((f"{len(places) - most} more", *rest.cells()))
    heads = ("country", "sites", "servers", "GPUs", "models", "replicas")
    print_table(heads, rows, title=f"Plan of {document.scenario}" + (f", as it stands in {last}" if last else ""))
    _print_periods(document)
    total = _Place()
    for _, place in places:
        total.add(place)
    click.echo()
    print_table(("", ""), [*_totals(document, total, len(scenario.table("sites"))), *_rules(document)])
    _print_jobs(document)
    _print_unserved(document)


def _places(document: "PlanDocument", scenario: "Scenario", period: str | None) -> dict[str, _Place]:
    """What stands in each country in a period; replicas that follow the slices count as in their busiest one."""
    country = {name: row["country"] for name, row in keyed(scenario.table("sites"), "site").items()}
    servers = keyed(scenario.table("servers"), "server")
    model = {row["shape"]: row["model"] for row in records(scenario.table("shapes"))}
    places: dict[str, _Place] = {}
    for row in document.servers:
        if row.period == period:
            gpus = int(servers[row.server]["gpus"])
            stands = _Place({row.site}, set(), row.count, row.count * gpus, row.new * gpus, row.rented * gpus)
            places.setdefault(country[row.site], _Place()).add(stands)
    by_slice: dict[str, Counter[str]] = {}
    for replica in document.replicas:
        if replica.period == period:
            home = country[replica.site]
            by_slice.setdefault(home, Counter())[replica.slice or ""] += replica.count
            places.setdefault(home, _Place()).add(_Place(models={model[replica.shape]}))
    for home, counts in by_slice.items():
        always = counts.pop("", 0)
        places[home].replicas = always + max(counts.values(), default=0)
    return places


def _print_periods(document: "PlanDocument") -> None:
    if not document.periods:
        return
    click.echo()
    heads = ("period", "months", "GPUs", "DPUs", "capex USD", "USD a month", "served %")
    rows = [
        (p.period, f"{p.months:g}", p.gpus, p.dpus, round(p.capex_usd), round(p.cost.total), _percent(p.served_share))
        for p in document.periods
    ]
    print_table(heads, rows, title="Roll-out")


def _totals(document: "PlanDocument", total: _Place, candidates: int) -> Iterator[Line]:
    """What the plan comes to."""
    latency, cost = document.latency, document.cost
    ms = ["–" if value is None else f"{value:,.0f}" for value in (latency.p50_ms, latency.p95_ms, latency.p99_ms)]
    kinds = sorted(cost.model_dump().items(), key=lambda item: -item[1])
    paid = ", ".join(f"{kind.replace('_', ' ')} {usd:,.0f}" for kind, usd in kinds if kind != "total" and usd)
    rented = f", {total.rented_gpus:,} of them rented" if total.rented_gpus else ""
    yield "sites", f"{len(total.sites):,} of {candidates:,}"
    yield "GPUs", f"{total.gpus:,} ({total.new_gpus:,} new{rented})"
    yield "models", f"{len(total.models)}"
    yield "cost", f"{cost.total:,.2f} USD a month" + (", mean over the periods" if document.periods else "")
    yield from (("", line) for line in wrap(paid, WIDTH))
    yield "planned latency", f"p50 {ms[0]} ms, p95 {ms[1]} ms, p99 {ms[2]} ms"
    yield from _budget_met(document)
    yield "served", f"{100 * document.served_share:.3f} % of requests"
    if document.bound_verified_usd_month is None or document.gap is None:
        yield "verified bound", "none"
    else:
        yield "verified bound", f"{document.bound_verified_usd_month:,.2f} USD a month"
        yield "verified gap", f"{100 * document.gap:.2f} % net of what nobody can serve"


def _budget_met(document: "PlanDocument", most: int = 3) -> Iterator[Line]:
    """How likely budgets are met, and the classes with the lowest chance; nothing where all is measured."""
    said = document.budget_met
    if said.met_ppm is None or not said.inferred_share:
        return
    inferred = f"{100 * said.inferred_share:.3f} % of them on inferred pairs"
    yield "budget met", f"{_chance(said.met_ppm)} % of served requests; {inferred}"
    lowest = sorted(said.classes, key=lambda row: (row.met_ppm, row.region, row.model, row.service))
    for j, row in enumerate(lowest[:most]):
        who = f"{row.region} {row.model} {row.service}"
        yield "" if j else "least likely", _fitting(f"{_chance(row.met_ppm)} % {who}", WIDTH)


def _chance(ppm: int) -> str:
    return f"{ppm / 10**4:.3f}"


def _rules(document: "PlanDocument") -> Iterator[Line]:
    """What the plan says of failures, moves, carbon, goals and money earned."""
    yield from _failures(document)
    if document.moves:
        added = sum(move.count for move in document.moves if move.action == "add")
        drained = sum(move.count for move in document.moves if move.action == "drain")
        yield "moves", f"{added:,} replicas added, {drained:,} drained, in {len(document.moves):,} steps"
    carbon = document.carbon
    if carbon is not None:
        parts = (("energy", carbon.energy_tco2e), ("new servers", carbon.embodied_tco2e))
        said = ", ".join(f"{name} {'unknown' if value is None else f'{value:,.2f}'}" for name, value in parts)
        whole = "tCO2e a month" if carbon.total_tco2e is None else f"{carbon.total_tco2e:,.2f} tCO2e a month"
        yield "carbon", f"{whole}: {said}"
    for number, goal in enumerate(document.goals, 1):
        gap = "" if goal.gap_claimed is None else f", within {100 * goal.gap_claimed:.2f} % by the solver's word"
        value = f"{goal.value:,.0f}" if abs(goal.value) >= 1000 else f"{goal.value:,.4g}"
        yield f"goal {number}", f"{goal.goal} {value} {goal.unit}{gap}"
    worth = document.economics
    if worth is not None:
        back = "no payback" if worth.payback_months is None else f"payback after {worth.payback_months:g} months"
        yield "revenue", f"{worth.revenue_usd_month:,.0f} USD a month at the end"
        yield "net present value", f"{worth.npv_usd:,.0f} USD over {worth.horizon_months} months, {back}"


def _failures(document: "PlanDocument") -> Iterator[Line]:
    reliability = document.reliability
    if reliability is None:
        return
    domains = len({row.domain for row in reliability.domains})
    yield "failures", f"{domains:,} domains, one at a time, failover {reliability.failover}"
    if reliability.domains:
        worst = max(reliability.domains, key=lambda row: row.rerouted_share + row.lost_share)
        where = worst.domain + (f" in {worst.period}" if worst.period else "")
        rerouted, lost = 100 * worst.rerouted_share, 100 * worst.lost_share
        yield "", f"the worst, {where}: {rerouted:.3f} % of requests rerouted, {lost:.3f} % lost"
    if reliability.price_usd_month is not None:
        yield "", f"they add {reliability.price_usd_month:,.2f} USD a month"


def _print_jobs(document: "PlanDocument", most: int = 12) -> None:
    if not document.jobs:
        return
    click.echo()
    rows = [
        (job.job[:24], job.site, job.period or "", _fitting(", ".join(job.slices) or "all day"), job.usd_month)
        for job in document.jobs[:most]
    ]
    print_table(("job", "site", "period", "slices", "USD a month"), rows, title="Jobs")
    if len(document.jobs) > most:
        click.echo(f"... {len(document.jobs) - most} more jobs in plan.json")


def _fitting(text: str, width: int = 32) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _percent(share: float) -> str:
    return f"{100 * share:.3f}"


def _print_unserved(document: "PlanDocument", most: int = 8) -> None:
    """What is left unserved, the dearest blocking rules first; USD are the mean over the periods by their months."""
    months = {period.period: period.months for period in document.periods}
    weight = {period: lasting / sum(months.values()) for period, lasting in months.items()}
    classes: dict[str, set[tuple[str, str, str]]] = {}
    usd: dict[str, float] = {}
    for row in document.unserved:
        classes.setdefault(row.reason, set()).add((row.region, row.model, row.service))
        usd[row.reason] = usd.get(row.reason, 0.0) + row.usd_month * weight.get(row.period or "", 1.0)
    by_rule = {reason: (len(members), usd[reason]) for reason, members in classes.items()}
    if not by_rule:
        return
    ordered = sorted(by_rule.items(), key=lambda item: (-item[1][1], item[0]))
    click.echo()
    lines: list[tuple[str, str, str]] = []
    for reason, (count, amount) in ordered[:most]:
        first, *more = wrap(reason, WIDTH - 4)
        lines += [(f"{count:,}", f"{amount:,.0f}", first), *(("", "", line) for line in more)]
    print_table(("classes", "USD a month", "blocked by"), lines, title="Unserved")
    if len(ordered) > most:
        click.echo(f"... {len(ordered) - most} more reasons in plan.json")
