"""Who is sent elsewhere, and how long requests take before and after: by today's demand and today's network.

Of a class in a slice, with x0 and x1 its shares by site before and after and S0, S1 their sums:

    changes site       min(S0, S1) − Σ_p min(x0_p, x1_p)
    newly served       (S1 − S0)⁺
    no longer served   (S0 − S1)⁺

each weighted by the class' mean requests a month. A class that the scenario does not have any more counts nothing.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate

from placement.audit.case import Case
from placement.diff.document import Traffic, TrafficOf
from placement.diff.plans import Key, Routes, Way
from placement.plan.document import BILLION, Latency
from placement.plan.latency import PERCENTILES

MOST_ROWS = 50
"""Regions and classes that the document lists."""


@dataclass
class _Sum:
    """Requests a month of some classes, and what becomes of them."""

    requests: float = 0.0
    changes: float = 0.0
    newly: float = 0.0
    no_longer: float = 0.0

    def add(self, requests: float, changes: float, newly: float, no_longer: float) -> None:
        self.requests += requests
        self.changes += changes
        self.newly += newly
        self.no_longer += no_longer

    def shares(self) -> tuple[float, float, float]:
        by = self.requests or 1.0
        return _share(self.changes / by), _share(self.newly / by), _share(self.no_longer / by)


def traffic(case: Case, old: Routes, new: Routes) -> Traffic:
    """What becomes of all requests, by region and by class."""
    total = _Sum()
    regions: dict[str, _Sum] = defaultdict(_Sum)
    classes: dict[str, _Sum] = defaultdict(_Sum)
    for key in sorted(case.facts.demand):
        requests = requests_month(case, key)
        parts = changed(old.get(key, {}), new.get(key, {}))
        told = (requests, *(requests * part / BILLION for part in parts))
        for one in (total, regions[key[0]], classes["/".join(key[:3])]):
            one.add(*told)
    changes, newly, no_longer = total.shares()
    return Traffic(
        changes_site=changes,
        newly_served=newly,
        no_longer_served=no_longer,
        regions=tuple(_largest(regions)),
        classes=tuple(_largest(classes)),
    )


def changed(old: Mapping[Way, int], new: Mapping[Way, int]) -> tuple[int, int, int]:
    """Parts per billion of a class that change site, are newly and are no longer served."""
    before, after = _by_site(old), _by_site(new)
    s0, s1 = sum(before.values()), sum(after.values())
    stays = sum(min(share, after.get(site, 0)) for site, share in before.items())
    return min(s0, s1) - stays, max(s1 - s0, 0), max(s0 - s1, 0)


def _by_site(ways: Mapping[Way, int]) -> dict[str, int]:
    found: dict[str, int] = defaultdict(int)
    for (site, _), share in ways.items():
        found[site] += share
    return found


def _largest(sums: dict[str, _Sum]) -> Iterator[TrafficOf]:
    touched = [(one.changes + one.newly + one.no_longer, name) for name, one in sums.items()]
    for amount, name in sorted(touched, key=lambda item: (-item[0], item[1]))[:MOST_ROWS]:
        if amount > 0:
            changes, newly, no_longer = sums[name].shares()
            yield TrafficOf(
                name=name,
                requests_per_s=round(sums[name].requests / (730 * 3600), 9),
                changes_site=changes,
                newly_served=newly,
                no_longer_served=no_longer,
            )


def requests_month(case: Case, key: Key) -> float:
    """Mean requests a month of a class in a slice."""
    return float(case.prices.requests_month(key))


def latency_ms(case: Case, key: Key, way: Way) -> tuple[Fraction | None, bool]:
    """Planned latency of a route, None where none is known; and whether rules 2 and 3 admit it today."""
    facts = case.facts
    site, name = way
    shape = facts.shapes.get(name)
    if key not in facts.demand or site not in facts.sites or shape is None or shape.model != key[1]:
        return None, False
    service = facts.services[key[2]]
    network, _ = case.network.of_class(key, site)
    if network is None or service.profile not in shape.ttft_ms:
        return None, False
    planned = network + shape.ttft_ms[service.profile]
    return planned, planned <= service.latency_budget_ms and case.residency.allows(facts, key, site)


def percentiles(case: Case, routes: Routes) -> tuple[Latency, float]:
    """Planned p50, p95, p99 over the requests on admissible routes, and the share of all requests on others."""
    weighed: list[tuple[Fraction, float]] = []
    asked = sum(requests_month(case, key) for key in case.facts.demand)
    lost = 0.0
    for key, ways in routes.items():
        if key not in case.facts.demand:
            continue
        requests = requests_month(case, key)
        for way, share in ways.items():
            planned, admitted = latency_ms(case, key, way)
            if admitted and planned is not None:
                weighed.append((planned, requests * share / BILLION))
            else:
                lost += requests * share / BILLION
    weighed.sort()
    running = list(accumulate(weight for _, weight in weighed))
    found = {name: None if not running else _at(weighed, running, share) for name, share in PERCENTILES.items()}
    return Latency(**found), _share(lost / asked if asked else 0.0)


def _at(weighed: list[tuple[Fraction, float]], running: list[float], percent: int) -> float:
    """The least latency that so much of the requests stays within, ms."""
    at = bisect_left(running, running[-1] * percent / 100)
    return _share(float(weighed[min(at, len(weighed) - 1)][0]))


def _share(value: float) -> float:
    return round(value, 9)
