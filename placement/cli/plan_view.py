"""A plan for people: by country, then what it comes to, then what is left unserved and why."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from placement.cli.common import print_table
from placement.frames import keyed, records

if TYPE_CHECKING:
    from placement.plan.document import PlanDocument
    from placement.scenario import Scenario


@dataclass
class _Place:
    """What stands in a country."""

    sites: set[str] = field(default_factory=set)
    models: set[str] = field(default_factory=set)
    servers: int = 0
    gpus: int = 0
    new_gpus: int = 0
    replicas: int = 0

    def add(self, other: "_Place") -> None:
        self.sites |= other.sites
        self.models |= other.models
        self.servers += other.servers
        self.gpus += other.gpus
        self.new_gpus += other.new_gpus
        self.replicas += other.replicas

    def cells(self) -> tuple[int, ...]:
        return len(self.sites), self.servers, self.gpus, len(self.models), self.replicas


def print_plan(document: "PlanDocument", scenario: "Scenario", most: int = 20) -> None:
    """The whole view, on stdout."""
    places = sorted(_places(document, scenario).items(), key=lambda item: (-item[1].gpus, item[0]))
    rows: list[tuple[object, ...]] = [(name, *place.cells()) for name, place in places[:most]]
    if len(places) > most:
        rest = _Place()
        for _, place in places[most:]:
            rest.add(place)
        rows.append((f"{len(places) - most} more", *rest.cells()))
    heads = ("country", "sites", "servers", "GPUs", "models", "replicas")
    print_table(heads, rows, title=f"Plan of {document.scenario}")
    total = _Place()
    for _, place in places:
        total.add(place)
    click.echo()
    print_table(("", ""), _totals(document, total, len(scenario.table("sites"))))
    _print_unserved(document)


def _places(document: "PlanDocument", scenario: "Scenario") -> dict[str, _Place]:
    """What stands in each country."""
    country = {name: row["country"] for name, row in keyed(scenario.table("sites"), "site").items()}
    servers = keyed(scenario.table("servers"), "server")
    model = {row["shape"]: row["model"] for row in records(scenario.table("shapes"))}
    places: dict[str, _Place] = {}
    for row in document.servers:
        gpus = int(servers[row.server]["gpus"])
        stands = _Place({row.site}, set(), row.count, row.count * gpus, row.new * gpus)
        places.setdefault(country[row.site], _Place()).add(stands)
    for replica in document.replicas:
        runs = _Place(models={model[replica.shape]}, replicas=replica.count)
        places.setdefault(country[replica.site], _Place()).add(runs)
    return places


def _totals(document: "PlanDocument", total: _Place, candidates: int) -> list[tuple[str, str]]:
    """What the plan comes to."""
    latency, cost = document.latency, document.cost
    ms = ["–" if value is None else f"{value:,.0f}" for value in (latency.p50_ms, latency.p95_ms, latency.p99_ms)]
    kinds = sorted(cost.model_dump().items(), key=lambda item: -item[1])
    paid = ", ".join(f"{kind.replace('_', ' ')} {usd:,.0f}" for kind, usd in kinds if kind != "total" and usd)
    rows = [
        ("sites", f"{len(total.sites):,} of {candidates:,}"),
        ("GPUs", f"{total.gpus:,} ({total.new_gpus:,} new)"),
        ("models", f"{len(total.models)}"),
        ("cost", f"{cost.total:,.2f} USD a month"),
        ("", paid),
        ("planned latency", f"p50 {ms[0]} ms, p95 {ms[1]} ms, p99 {ms[2]} ms"),
        ("served", f"{100 * document.served_share:.3f} % of requests"),
    ]
    if document.bound_verified_usd_month is None or document.gap is None:
        return [*rows, ("verified bound", "none")]
    return [
        *rows,
        ("verified bound", f"{document.bound_verified_usd_month:,.2f} USD a month"),
        ("verified gap", f"{100 * document.gap:.2f} % net of what nobody can serve"),
    ]


def _print_unserved(document: "PlanDocument", most: int = 8) -> None:
    """What is left unserved, the dearest blocking rules first."""
    by_rule: dict[str, tuple[int, float]] = {}
    for row in document.unserved:
        count, usd = by_rule.get(row.reason, (0, 0.0))
        by_rule[row.reason] = (count + 1, usd + row.usd_month)
    if not by_rule:
        return
    ordered = sorted(by_rule.items(), key=lambda item: (-item[1][1], item[0]))
    click.echo()
    rows = [(f"{count:,}", f"{usd:,.0f}", reason) for reason, (count, usd) in ordered[:most]]
    print_table(("classes", "USD a month", "blocked by"), rows, title="Unserved")
    if len(ordered) > most:
        click.echo(f"... {len(ordered) - most} more reasons in plan.json")
