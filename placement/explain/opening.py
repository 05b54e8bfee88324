"""Ways that open pairs which the rules close: a longer budget, a country more, more loss; and what is not measured."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placement.explain.blocked import Left
from placement.explain.case import Case
from placement.explain.changes import Change, Kind, change, with_table
from placement.explain.reach import BANDWIDTH, JITTER, LATENCY, LOSS, RESIDENCY, UNKNOWN, Atlas, Reach
from placement.frames import floats, keyed, texts
from placement.geo import fibre_floor_ms, great_circle_km
from placement.problem.residency import set_allows
from placement.scenario import Scenario

Float = NDArray[np.float64]

STEPS = 3
"""How many sites further on a budget is stretched, one after the other, until something more is served."""
COUNTRIES = 3
GROUPS, LARGE_GROUPS = 8, 2
"""Services in countries for which ways are looked for, the dearest first; of large scenarios that are planned anew."""


@dataclass(frozen=True)
class Unmeasured:
    """A pair of which too little is known, the nearest of its class: what is missing, and what would do."""

    service: str
    region: str
    country: str
    site: str
    km: float
    missing: str
    most_rtt_ms: float


@dataclass(frozen=True)
class Group:
    """The blocked classes of a service in a country, each against every site."""

    service: str
    country: str
    reaches: tuple[Reach, ...]
    usd_month: float  # penalties, the mean over the periods by their months


def groups(case: Case, atlas: Atlas, left: Sequence[Left]) -> list[Group]:
    """Blocked classes by (service, country), those first that cost most."""
    usd: dict[tuple[str, str], float] = defaultdict(float)
    reaches: dict[tuple[str, str], dict[tuple[str, str, str], Reach]] = defaultdict(dict)
    for one in left:
        key = one.row.service, atlas.home[one.row.region]
        penalty = float(case.built.rollout.periods[one.h].unserved_usd[one.i]) * one.share
        usd[key] += float(case.weights[one.h]) * penalty
        reach = atlas.reach(case.built.names[one.h].period, one.row)
        reaches[key][one.row.region, one.row.model, reach.residency] = reach
    order = sorted(usd, key=lambda key: (-usd[key], key))
    return [Group(*key, tuple(reach for _, reach in sorted(reaches[key].items())), usd[key]) for key in order]


def candidates(case: Case, group: Group) -> Iterator[list[tuple[Change, ...]]]:
    """Lists of changes for a group, each from the least on: the first that helps of a list is its way."""
    limits: tuple[tuple[Kind, str], ...] = (("latency", LATENCY), ("loss", LOSS), ("jitter", JITTER))
    for kind, barrier in limits:
        amounts = [_amounts(reach, barrier) for reach in group.reaches]
        yield list(_stretched(kind, group, [of_class for of_class in amounts if len(of_class)]))
    for changes in _countries(case, group):
        yield [changes]


def unmeasured(case: Case, group: Group) -> list[Unmeasured]:
    """For every class that nothing but a measurement keeps from a site, the nearest such site."""
    regions = keyed(case.scenario.table("regions"), "region")
    sites = case.scenario.table("sites")
    found: dict[tuple[str, str], Unmeasured] = {}
    for reach in group.reaches:
        row = regions[reach.region]
        km = great_circle_km(row["latitude"], row["longitude"], floats(sites, "latitude"), floats(sites, "longitude"))
        near = [p for p in np.argsort(km, kind="stable").tolist() if _only_unknown(reach, p)]
        for p in near[:1]:
            most = _most_rtt_ms(reach, p)
            if most > float(fibre_floor_ms(km[p])):
                missing = "latency" if np.isnan(reach.rtt_ms[p]) else _lacking(reach, p)
                one = Unmeasured(
                    group.service, reach.region, group.country, reach.sites[p], float(km[p]), missing, most
                )
                found.setdefault((reach.region, reach.sites[p]), one)
    return list(found.values())


def _amounts(reach: Reach, barrier: str) -> Float:
    """By how much each site is out of reach that this alone keeps out, from the least on."""
    found = []
    for p in range(len(reach.sites)):
        barriers = reach.barriers(p)
        if len(barriers) == 1 and barriers[0].kind == barrier and np.isfinite(barriers[0].amount):
            found.append(barriers[0].amount)
    return np.sort(np.array(found, np.float64))


def _stretched(kind: Kind, group: Group, amounts: list[Float]) -> Iterator[tuple[Change, ...]]:
    """The limit raised so that every class reaches one site more, two, …"""
    said: set[float] = set()
    for step in range(STEPS if amounts else 0):
        one = change(kind, (group.service, group.country), max(float(a[min(step, len(a) - 1)]) for a in amounts))
        if one.amount not in said:
            said.add(one.amount)
            yield (one,)


def _countries(case: Case, group: Group) -> Iterator[tuple[Change, ...]]:
    """Countries whose sites only residency keeps out, those first that reach most classes."""
    scenario, sites = case.scenario, case.scenario.table("sites")
    vendor = texts(sites, "vendor_jurisdiction")
    reached: dict[tuple[Change, ...], set[tuple[str, str]]] = defaultdict(set)
    rules = scenario.table("residency")
    for reach in group.reaches:
        law = rules[(rules["residency"] == reach.residency) & (rules["scope"] == "vendor")]
        by_place = set_allows(_without_vendors(case, reach.residency), reach.residency, reach.country)
        for p in range(len(reach.sites)):
            if [barrier.kind for barrier in reach.barriers(p)] != [RESIDENCY]:
                continue
            changes = []
            if not by_place[p]:
                changes.append(Change("residency", (reach.residency, reach.site_country[p], "location"), 1.0))
            if len(law) and vendor[p] not in set(law["country"]):
                changes.append(Change("residency", (reach.residency, vendor[p], "vendor"), 1.0))
            reached[tuple(changes)].add((reach.region, reach.service["service"]))
    order = sorted(reached, key=lambda c: (-len(reached[c]), len(c), [one.where for one in c]))
    yield from order[:COUNTRIES]


def _without_vendors(case: Case, name: str) -> Scenario:
    frame = case.scenario.table("residency")
    return with_table(case.scenario, "residency", frame[(frame["residency"] != name) | (frame["scope"] != "vendor")])


def _only_unknown(reach: Reach, site: int) -> bool:
    """Whether a site is kept out only because something has not been measured."""
    barriers = reach.barriers(site)
    return bool(barriers) and all(
        b.kind in (UNKNOWN, BANDWIDTH) or (b.kind in (LOSS, JITTER) and np.isnan(b.amount)) for b in barriers
    )


def _lacking(reach: Reach, site: int) -> str:
    return ", ".join(barrier.kind for barrier in reach.barriers(site))


def _most_rtt_ms(reach: Reach, site: int) -> float:
    """The longest round trip with which the class would be within its budget."""
    transfer = float(np.nan_to_num(reach.transfer_ms[site]))
    return (reach.budget_ms - transfer - float(reach.ttft_ms[site])) / float(reach.service["round_trips"])
