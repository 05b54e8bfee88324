"""How likely served requests stay within their latency budgets, recomputed from the intervals of their pairs."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction

from placement.audit.month import Month
from placement.audit.plan_files import MILLION, PlanFiles
from placement.audit.plan_rows import BILLION
from placement.audit.report import Findings

SHARE_TOLERANCE = Fraction(1, 10**9)
PPM_TOLERANCE = 1
"""Logarithms differ in their last place, and a chance is told rounded down."""

Way = tuple[str, str, str, str]
"""Region, service, site, shape: what a chance depends on."""
Class = tuple[str, str, str]


def late_requests(month: Month) -> Fraction:
    """Mean requests a month that are served and expected to miss their latency budget."""
    requests: dict[Way, Fraction] = defaultdict(Fraction)
    for (_, way), served in _flows(month).items():
        requests[way] += served
    return sum((served * (1 - _met(month, way)) for way, served in requests.items()), Fraction(0))


def check_budget_met(months: Sequence[Month], plan: PlanFiles, findings: Findings) -> None:
    """What the plan says of classes on inferred pairs and of all requests, over the periods by their months."""
    asked: dict[Class, Fraction] = defaultdict(Fraction)
    served: dict[Class, Fraction] = defaultdict(Fraction)
    inferred: dict[Class, Fraction] = defaultdict(Fraction)
    of_way: dict[tuple[Class, Way], Fraction] = defaultdict(Fraction)
    for month in months:
        lasting = month.case.period.months
        requests, of_class = month.case.prices.requests, defaultdict[Class, int](int)
        for key, units in requests.units.items():
            of_class[key[:3]] += units
        for name, units in of_class.items():
            asked[name] += lasting * requests.value(units)
        for (name, way), amount in _flows(month).items():
            served[name] += lasting * amount
            of_way[name, way] += lasting * amount
            if month.case.network.interval(way[0], way[2]) is not None:
                inferred[name] += lasting * amount
    met: dict[Class, Fraction] = defaultdict(Fraction)
    for (name, way), amount in of_way.items():
        met[name] += amount * _met(months[0], way)
    _check_all(sum(served.values(), Fraction(0)), sum(inferred.values(), Fraction(0)), met, plan, findings)
    listed = {name for name, amount in inferred.items() if amount}
    said = {row.name: row for row in plan.budget_met.classes}
    for name in sorted(listed ^ said.keys()):
        detail = "rides on inferred pairs and is not listed" if name in listed else "rides on no inferred pair"
        findings.check("budget met", False, "/".join(name), detail)
    for name in sorted(listed & said.keys()):
        _check_ppm("/".join(name), said[name].met_ppm, met[name] / served[name], findings)
        _check_share("/".join(name), said[name].served_share, served[name] / asked[name], findings)


def _flows(month: Month) -> dict[tuple[Class, Way], Fraction]:
    """Mean requests a month by class and way, where there are any."""
    requests, found = month.case.prices.requests, defaultdict[tuple[Class, Way], int](int)
    for route in month.routes:
        region, model, service, _ = route.key
        served = route.share_ppb * requests.units[route.key]
        if served:
            found[(region, model, service), (region, service, route.site, route.shape)] += served
    return {at: requests.value(served) / BILLION for at, served in found.items()}


def _met(month: Month, way: Way) -> Fraction:
    region, name, site, shape = way
    service = month.facts.services[name]
    return month.case.network.met(region, service, site, month.facts.shapes[shape].ttft_ms[service.profile])


def _check_all(
    served: Fraction, inferred: Fraction, met: Mapping[Class, Fraction], plan: PlanFiles, findings: Findings
) -> None:
    said = plan.budget_met
    if not served:
        silent = said.met_ppm is None and said.inferred_share is None
        findings.check("budget met", silent, "all requests", "nothing is served, and the plan says how likely in time")
        return
    chance = sum(met.values(), Fraction(0)) / served
    _check_ppm("all requests", said.met_ppm, chance, findings)
    _check_share("on inferred pairs", said.inferred_share, inferred / served, findings)
    if inferred:
        findings.notes.append(
            f"{100 * float(inferred / served):.3f} % of served requests ride on inferred pairs;"
            f" {100 * float(chance):.3f} % of all that are served are expected within their latency budget"
        )


def _check_ppm(subject: str, said: int | None, chance: Fraction, findings: Findings) -> None:
    ppm = chance * MILLION // 1
    near = said is not None and abs(said - ppm) <= PPM_TOLERANCE
    findings.check("budget met", near, subject, f"the plan says {said} ppm, recomputed {ppm}")


def _check_share(subject: str, said: Fraction | None, share: Fraction, findings: Findings) -> None:
    near = said is not None and abs(said - share) <= SHARE_TOLERANCE
    detail = f"the plan says {'nothing' if said is None else f'{float(said):.9f}'}, recomputed {float(share):.9f}"
    findings.check("budget met", near, subject, detail)
