"""What changes from an old plan to a new one: what stands, who is served where, what it costs.

found = changes(Path("yesterday"), Path("today"), scenario)
found.counts.added_replicas, found.after.cost["total"], found.document()
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

from placement.audit.case import Case, open_case
from placement.audit.facts import Facts
from placement.diff import document as doc
from placement.diff.pairing import Moved, paired
from placement.diff.plans import NOTHING, Machine, Plan, Standing, read_plan
from placement.diff.traffic import percentiles, traffic
from placement.frames import records
from placement.plan.reading import check_inputs
from placement.plan.steps import Place, by_slice
from placement.scenario import Scenario
from placement.topology import build_pairs
from placement.topology.pairs import Pairs

NONE = Standing(0, 0, 0)


@dataclass(frozen=True)
class Changes:
    """What changes. `case` and the two plans are what it was found from: `placement.diff.waves` goes on from there."""

    said: doc.DiffDocument
    case: Case
    old: Plan
    new: Plan

    @property
    def counts(self) -> doc.Counts:
        """How much changes, for whoever sets a limit to it."""
        return self.said.counts

    @property
    def before(self) -> doc.State:
        """The old plan in figures."""
        return self.said.before

    @property
    def after(self) -> doc.State:
        """The new plan in figures."""
        return self.said.after

    def document(self) -> dict[str, Any]:
        """All of it as JSON (docs/diff.schema.json)."""
        return self.said.model_dump(mode="json", by_alias=True)


def changes(old: Path | None, new: Path, scenario: Scenario, pairs: Pairs | None = None) -> Changes:
    """What changes from the plan of the folder `old` (None: nothing stands) to that of `new`, in the first period.

    The scenario is that of `new`; `old` may be of any other. `pairs` are built from the scenario unless given.

    Raises:
        placement.diff.plans.UnreadablePlanError: a folder holds no plan.
        placement.plan.reading.StalePlanError: `new` was made from other inputs.
    """
    before, after = NOTHING if old is None else read_plan(old), read_plan(new)
    check_inputs(after.inputs_sha256, scenario)
    case = open_case(scenario, build_pairs(scenario).pairs if pairs is None else pairs)
    servers = tuple(_servers(before.servers, after.servers))
    moves = _moves(scenario, case.facts, before, after)
    return Changes(
        said=doc.DiffDocument(
            schema="nearserve-diff-1",
            scenario=scenario.document.name,
            inputs_sha256=dict(scenario.sha256),
            old=None if old is None else _side(before),
            new=_side(after),
            counts=_counts(case.facts, before, after, servers, moves),
            opened=tuple(sorted(_sites(after) - _sites(before))),
            closed=tuple(sorted(_sites(before) - _sites(after))),
            servers=servers,
            replicas=tuple(_replicas(case.facts, before, after)),
            moves=tuple(_move(one) for one in moves),
            traffic=traffic(case, before.routes, after.routes),
            before=_state(case, before),
            after=_state(case, after),
            capex_usd=_capex_usd(case.facts, servers),
        ),
        case=case,
        old=before,
        new=after,
    )


def slices_of(facts: Facts) -> tuple[str, ...]:
    """Times of day that replicas may differ between; ("",) where they stand all day."""
    return facts.day if facts.replicas_follow_slices else ("",)


def _side(plan: Plan) -> doc.Side:
    return doc.Side(
        scenario=plan.scenario,
        plan_sha256=plan.sha256,
        routes_sha256=plan.routes_sha256,
        period=plan.period or None,
    )


def _servers(old: Mapping[Machine, Standing], new: Mapping[Machine, Standing]) -> Iterator[doc.ServerChange]:
    """Servers that come are rented if more are rented than before, else bought, else they stood there uncounted."""
    for site, server, tenant in sorted(old.keys() | new.keys()):
        was, will = old.get((site, server, tenant), NONE), new.get((site, server, tenant), NONE)
        if was.count == will.count:
            continue
        added = max(will.count - was.count, 0)
        rented = min(added, max(will.rented - was.rented, 0))
        bought = min(added - rented, will.new - will.rented)
        yield doc.ServerChange(
            site=site,
            server=server,
            tenant=tenant or None,
            old=was.count,
            new=will.count,
            bought=bought,
            rented=rented,
            kept=added - rented - bought,
            retired=max(was.count - will.count, 0),
        )


def _replicas(facts: Facts, old: Plan, new: Plan) -> Iterator[doc.ReplicaChange]:
    """By slice, where either plan tells slices apart."""
    was, will = _stands(facts, old), _stands(facts, new)
    for site, shape, tenant, name in sorted(was.keys() | will.keys()):
        place = (site, shape, tenant, name)
        if was.get(place, 0) != will.get(place, 0):
            yield doc.ReplicaChange(
                site=site,
                shape=shape,
                model=facts.shapes[shape].model if shape in facts.shapes else None,
                tenant=tenant or None,
                slice=name or None,
                old=was.get(place, 0),
                new=will.get(place, 0),
            )


def _stands(facts: Facts, plan: Plan) -> dict[Place, int]:
    return by_slice(plan.replicas, slices_of(facts))


def _moves(scenario: Scenario, facts: Facts, old: Plan, new: Plan) -> list[Moved]:
    points = {row["site"]: (row["latitude"], row["longitude"]) for row in records(scenario.table("sites"))}
    model = {name: shape.model for name, shape in facts.shapes.items()}
    return paired(_stands(facts, old), _stands(facts, new), model, points)


def _move(one: Moved) -> doc.Move:
    return doc.Move(
        model=one.model,
        tenant=one.tenant or None,
        slice=one.slice or None,
        source=one.source,
        source_shape=one.source_shape,
        target=one.target,
        target_shape=one.target_shape,
        count=one.count,
    )


def _counts(
    facts: Facts, old: Plan, new: Plan, servers: tuple[doc.ServerChange, ...], moves: Iterable[Moved]
) -> doc.Counts:
    was, will = _stands(facts, old), _stands(facts, new)
    by_time: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for place in was.keys() | will.keys():
        a, b, tally = was.get(place, 0), will.get(place, 0), by_time[place[3]]
        tally["added_replicas"] += max(b - a, 0)
        tally["removed"] += max(a - b, 0)
        tally["unchanged"] += min(a, b)
    for one in moves:
        by_time[one.slice]["reshaped" if one.reshaped else "moved"] += one.count
    busiest = max(
        by_time.values(), key=lambda tally: (tally["added_replicas"] + tally["removed"], *sorted(tally.items())),
        default=defaultdict(int),
    )  # fmt: skip
    names = ("added_replicas", "removed", "moved", "reshaped", "unchanged")
    open_then, open_now = _sites(old), _sites(new)
    touched = {row.site for row in servers} | {p[0] for p in was.keys() | will.keys() if was.get(p) != will.get(p)}
    return doc.Counts(
        **{name: busiest[name] for name in names},
        servers_bought=sum(row.bought for row in servers),
        servers_rented=sum(row.rented for row in servers),
        servers_kept=sum(row.kept for row in servers),
        servers_retired=sum(row.retired for row in servers),
        sites_opened=len(open_now - open_then),
        sites_closed=len(open_then - open_now),
        sites_changed=len(touched),
    )


def _sites(plan: Plan) -> set[str]:
    return {site for (site, _, _), stands in plan.servers.items() if stands.count}


def _state(case: Case, plan: Plan) -> doc.State:
    facts = case.facts
    counts: dict[str, int] = defaultdict(int)
    for (_, server, _), stands in plan.servers.items():
        counts[server] += stands.count
    known = all(server in facts.servers for server, count in counts.items() if count)
    kinds = [(facts.servers[server], count) for server, count in counts.items() if known and count]
    latency, inadmissible = percentiles(case, plan.routes)
    return doc.State(
        cost=None if plan.cost is None else dict(plan.cost),
        served_share=plan.served_share,
        latency=latency,
        inadmissible_share=inadmissible,
        sites=len(_sites(plan)),
        gpus=int(sum((kind.gpus * count for kind, count in kinds), Fraction(0))) if known else None,
        kw=float(sum((kind.power_kw * count for kind, count in kinds), Fraction(0))) if known else None,
        rack_units=float(sum((kind.rack_units * count for kind, count in kinds), Fraction(0))) if known else None,
        total_tco2e=plan.total_tco2e,
    )


def _capex_usd(facts: Facts, servers: Iterable[doc.ServerChange]) -> float | None:
    """What the servers that are bought cost, with setting them up; None where one has no price."""
    usd = Fraction(0)
    for row in servers:
        if row.bought:
            kind = facts.servers[row.server]
            if kind.capex_usd is None:
                return None
            usd += row.bought * (kind.capex_usd + kind.install_usd)
    return float(usd)
