"""The waves as the document tells them: rows, seconds, what stands twice, what is missing."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from fractions import Fraction
from typing import Literal

from placement.diff import document as doc
from placement.diff.changes import Changes
from placement.diff.ground import ADMISSIBLE, Ground, Standing
from placement.diff.order import Order, order
from placement.diff.plans import Key, Routes
from placement.diff.traffic import changed, requests_month
from placement.diff.waves import ROUNDING_PPB, Step
from placement.plan.document import BILLION
from placement.plan.steps import Place


def with_steps(found: Changes) -> doc.DiffDocument:
    """The document with the order of safe steps.

    Raises:
        placement.diff.waves.NoOrderError: there is none.
    """
    return found.said.model_copy(update={"steps": steps_of(order(found))})


def steps_of(way: Order) -> doc.Steps:
    """The order as the document tells it."""
    basis = way.ground
    standing, routes, waves = basis.old, basis.start, []
    for number, step in enumerate(way.steps, 1):
        last = number == len(way.steps)
        waves.append(_wave(basis, number, step, standing, routes, last=last))
        standing, routes = step.standing, step.routes
    lost = [part.share_ppb for wave in waves for part in wave.missing]
    return doc.Steps(
        safe=max(lost, default=0) <= ROUNDING_PPB,
        method=way.method,
        inadmissible_share=_weighed(basis, basis.inadmissible),
        overloaded_share=_weighed(basis, basis.overloaded),
        start=tuple(_routes(basis.start, basis.start)) if len(waves) > 1 else (),
        waves=tuple(waves),
        seconds=round(sum(wave.seconds for wave in waves), 9),
        double=_double(basis, way),
        worst_missing_share=max((wave.missing_share for wave in waves), default=0.0),
        worst_backup_share=max((wave.backup_share for wave in waves), default=0.0),
        notes=tuple(_notes(basis, waves)),
    )


def _wave(basis: Ground, number: int, step: Step, before: Standing, routes: Routes, *, last: bool) -> doc.Wave:
    found = step.found
    peak = before.with_(found.add, found.install)
    switched = [key for key in step.routes if dict(step.routes[key]) != dict(routes.get(key, {}))]
    moved = {key: sum(changed(routes.get(key, {}), step.routes[key])[:2]) for key in switched}
    missing = () if last else tuple(_missing(basis, step.routes))
    kw, units = basis.drawn(peak.servers)
    by_why = {why: _weighed(basis, _sums(missing, why)) for why in ("unserved", "within the backup budget")}
    return doc.Wave(
        number=number,
        install=tuple(_rows(found.install)),
        add=tuple(_rows(found.add, basis)),
        switched_share=_weighed(basis, moved),
        routes=None if last else tuple(_routes({key: step.routes[key] for key in switched}, basis.kept)),
        drain=tuple(_rows(found.drain)),
        retire=tuple(_rows(found.retire)),
        missing=missing,
        missing_share=by_why["unserved"],
        backup_share=by_why["within the backup budget"],
        seconds=float(_seconds(basis, found.add)),
        standing_gpus=_gpus(basis, peak),
        standing_kw=float(kw),
        standing_rack_units=float(units),
    )


def _rows(
    counts: Mapping[Place, int] | Mapping[tuple[str, str, str], int], basis: Ground | None = None
) -> Iterator[doc.Added]:
    for name in sorted(counts):
        if counts[name]:  # type: ignore[index]
            site, what, tenant, *slices = name
            seconds = 0.0 if basis is None else float(basis.seconds(name))  # type: ignore[arg-type]
            yield doc.Added(
                site=site,
                what=what,
                tenant=tenant or None,
                slice=(slices[0] or None) if slices else None,
                count=counts[name],  # type: ignore[index]
                seconds=seconds,
            )


def _routes(routes: Routes, keys: Iterable[Key]) -> Iterator[doc.RouteRow]:
    """Whole routes of classes; what is unserved of one has no site."""
    for key in sorted(routes):
        region, model, service, name = key
        ways = routes[key]
        rows = [(*way, share) for way, share in sorted(ways.items())]
        unserved = BILLION - sum(ways.values())
        for site, shape, share in [*rows, *([(None, None, unserved)] if unserved else [])]:
            yield doc.RouteRow(
                region=region, model=model, service=service, slice=name or None, site=site, shape=shape, share_ppb=share
            )


def _missing(basis: Ground, routes: Routes) -> Iterator[doc.Missing]:
    for key in sorted(routes):
        region, model, service, name = key
        backup = sum(share for way, share in routes[key].items() if basis.admits(key, way) < ADMISSIBLE)
        lacks = basis.kept[key] - sum(routes[key].values())
        whys: tuple[tuple[int, Literal["unserved", "within the backup budget"]], ...]
        whys = ((lacks, "unserved"), (backup, "within the backup budget"))
        for share, why in whys:
            if share > 0:
                yield doc.Missing(
                    region=region, model=model, service=service, slice=name or None, share_ppb=share, why=why
                )


def _sums(missing: Iterable[doc.Missing], why: str) -> dict[Key, int]:
    rows = (row for row in missing if row.why == why)
    return {(row.region, row.model, row.service, row.slice or ""): row.share_ppb for row in rows}


def _weighed(basis: Ground, parts: Mapping[Key, int]) -> float:
    """Parts of classes as a share of all mean requests."""
    asked = sum(requests_month(basis.case, key) for key in basis.facts.demand)
    part = sum(requests_month(basis.case, key) * share / BILLION for key, share in parts.items())
    return round(part / asked, 12) if asked else 0.0


def _seconds(basis: Ground, add: Mapping[Place, int]) -> Fraction:
    """The longest that a site waits: one after the other over its uplink, the weights of a shape once."""
    by_site: dict[str, dict[str, Fraction]] = defaultdict(dict)
    for place, count in add.items():
        if count:
            by_site[place[0]][place[1]] = basis.seconds(place)
    return max((sum(shapes.values(), Fraction(0)) for shapes in by_site.values()), default=Fraction(0))


def _gpus(basis: Ground, standing: Standing) -> float:
    return sum(_gpus_by_site(basis, standing).values())


def _gpus_by_site(basis: Ground, standing: Standing) -> dict[str, float]:
    """GPUs that replicas take at each site, in the slice in which they take most."""
    found: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for place, count in standing.replicas.items():
        found[place[0]][place[3]] += count * basis.quarters(place[1])
    return {site: max(by_slice.values()) / 4 for site, by_slice in found.items()}


def _double(basis: Ground, way: Order) -> doc.Double:
    """The most at one time beyond the larger of the two plans, site by site."""
    ends = (basis.old, basis.new)
    gpus = [_gpus_by_site(basis, end) for end in ends]
    sites = sorted({machine[0] for end in ends for machine in end.servers})
    drawn = {site: [basis.drawn(end.servers, site) for end in ends] for site in sites}
    most, before = [0.0, 0.0, 0.0], basis.old
    for step in way.steps:
        peak = before.with_(step.found.add, step.found.install)
        taken = _gpus_by_site(basis, peak)
        twice = sum(max(taken[site] - max(end.get(site, 0.0) for end in gpus), 0.0) for site in sorted(taken))
        kw = units = Fraction(0)
        for site in sites:
            now = basis.drawn(peak.servers, site)
            kw += max(now[0] - max(end[0] for end in drawn[site]), Fraction(0))
            units += max(now[1] - max(end[1] for end in drawn[site]), Fraction(0))
        most = [max(a, b) for a, b in zip(most, (twice, float(kw), float(units)), strict=True)]
        before = step.standing
    return doc.Double(gpus=most[0], kw=most[1], rack_units=most[2])


def _notes(basis: Ground, waves: list[doc.Wave]) -> Iterator[str]:
    document = basis.case.scenario.document
    strange = sum(basis.strange.replicas.values()), sum(basis.strange.servers.values())
    if any(strange):
        yield (
            f"{strange[0]} replicas and {strange[1]} servers have names that the scenario does not know any more: "
            "they go in the last wave, and what they take up is not counted"
        )
    if document.reliability.n_minus_1 and len(waves) > 1:
        yield "between the waves the loss of a domain (13) is not covered: the reserve is what the moves live on"
    if basis.case.scenario.has("jobs"):
        yield "jobs pause while replicas move (14)"
