"""Planned latency of what flows: percentiles over requests, and what the waiting adds up to."""

from bisect import bisect_left
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from placement.frames import numbered
from placement.plan.document import Latency
from placement.plan.exact import Int, Whole, exact, grouped, scaled, settled, total
from placement.plan.month import Month, places
from placement.plan.prices import Prices
from placement.plan.shares import BILLION
from placement.problem.uncertainty import met_chance, planned_rtt_ms
from placement.topology.pairs import Pairs, State

Float = NDArray[np.float64]
Bool = NDArray[np.bool_]

PERCENTILES = {"p50_ms": 50, "p95_ms": 95, "p99_ms": 99}


class Ways:
    """Planned latency between regions and sites, in fractions of a millisecond; `percentile` is of inferred pairs."""

    def __init__(self, prices: Prices, pairs: Pairs, percentile: float | None = None) -> None:
        self.prices, self.pairs = prices, pairs
        self._rtt_ms = planned_rtt_ms(pairs, percentile)
        self._region, self._site = numbered(pairs.regions), numbered(pairs.sites)

    def network_ms(self, region: str, site: str, service: str) -> Fraction:
        """Round trips and the request's way up; unknown bandwidth counts nothing, as in rule 2."""
        row, place = self.prices.services[service], (self._region[region], self._site[site])
        latency = exact(row["round_trips"]) * exact(self._rtt_ms[place])
        if not np.isnan(self.pairs.mbps[place]):
            latency += 8 * exact(row["kbyte_in"]) / exact(self.pairs.mbps[place])
        return latency

    def planned_ms(self, region: str, site: str, service: str, shape: str) -> Fraction:
        """The network's part and the time to first token."""
        profile = self.prices.services[service]["profile"]
        return self.network_ms(region, site, service) + self.prices.ttft_ms[shape, profile]

    def flow_ms(self, month: Month) -> Float:
        """Of every entry of the flow, U, as floats: good enough to sort by."""
        region, site, trips, rest = self._flow(month)
        return np.asarray(trips * self._rtt_ms[region, site] + rest, np.float64)

    def flow_met(self, month: Month) -> tuple[Float, Bool]:
        """How likely each entry of the flow stays within its latency budget, and whether it is on an inferred pair."""
        region, site, trips, rest = self._flow(month)
        budget = np.array([self.prices.services[name]["latency_budget_ms"] for name in month.services], np.float64)
        met = met_chance(self.pairs, region, site, budget[month.demand_service[month.flow.demand]], rest, trips)
        return met, np.asarray(self.pairs.rtt_state[region, site] == State.INFERRED)

    def _flow(self, month: Month) -> tuple[Int, Int, Float, Float]:
        """Of every entry of the flow: region and site in the pairs, round trips, and the latency beside them, ms."""
        region = places(month.regions, self.pairs.regions)[month.demand_region[month.flow.demand]]
        site = places(month.sites, self.pairs.sites)[month.flow.site]
        rows = [self.prices.services[name] for name in month.services]
        trips = np.array([row["round_trips"] for row in rows], np.float64)
        kbyte = np.array([row["kbyte_in"] for row in rows], np.float64)
        ttft = np.array(
            [float(self.prices.ttft_ms.get((d.shape, row["profile"]), 0)) for d in month.shapes for row in rows]
        ).reshape(len(month.shapes), len(rows))
        service = month.demand_service[month.flow.demand]
        mbps = self.pairs.mbps[region, site]
        transfer = np.where(np.isnan(mbps), 0.0, 8 * kbyte[service] / mbps)
        return region, site, trips[service], transfer + ttft[month.flow.shape, service]


def percentiles(ways: Ways, months: Sequence[Month]) -> Latency:
    """The least latency that a share q of the served requests stays within, over all periods by their months."""
    weights, latencies, owner = _weighted(ways, months)
    if not len(weights):
        return Latency(p50_ms=None, p95_ms=None, p99_ms=None)
    order = np.argsort(latencies, kind="stable")
    running = np.cumsum(weights[order]).tolist()
    found: dict[str, float] = {}
    for name, share in PERCENTILES.items():
        at = latencies[order[bisect_left(running, -(-share * running[-1] // 100))]]
        found[name] = float(min(_exact_ms(ways, months[h], u) for h, u in owner[latencies == at].tolist()))
    return Latency(**found)


def waiting_ms(ways: Ways, month: Month) -> Fraction:
    """Requests a month times their planned latency, request-ms; each way is settled to 10^-30."""
    flow, (weight, denominator) = month.flow, served_requests(ways.prices, month)
    service = month.demand_service[flow.demand]
    keys, sums = grouped((month.demand_region[flow.demand], flow.site, service), weight)
    way = total(
        settled(Fraction(amount, denominator) * ways.network_ms(month.regions[r], month.sites[p], month.services[s]))
        for r, p, s, amount in zip(*(key.tolist() for key in keys), sums, strict=True)
    )
    keys, sums = grouped((flow.shape, service), weight)
    first_token = total(
        Fraction(amount, denominator)
        * ways.prices.ttft_ms[month.shapes[d].shape, ways.prices.services[month.services[s]]["profile"]]
        for d, s, amount in zip(*(key.tolist() for key in keys), sums, strict=True)
    )
    return way + first_token


def served_requests(prices: Prices, month: Month) -> tuple[Whole, int]:
    """Mean requests a month on every entry of the flow, as whole numbers (U) over a denominator."""
    requests, denominator = month.requests(prices)
    return month.flow.ppb.astype(object) * requests[month.flow.demand], denominator * BILLION


def _weighted(ways: Ways, months: Sequence[Month]) -> tuple[Whole, Float, NDArray[np.int64]]:
    """Requests over all periods as whole numbers of one denominator, their latency, and (period, entry) of each."""
    parts = [served_requests(ways.prices, month) for month in months]
    factors, _ = scaled(month.months / denominator for month, (_, denominator) in zip(months, parts, strict=True))
    weights = [part * factor for (part, _), factor in zip(parts, factors, strict=True)]
    owner = [np.column_stack([np.full(len(w), h), np.arange(len(w))]) for h, w in enumerate(weights)]
    return np.concatenate(weights), np.concatenate([ways.flow_ms(m) for m in months]), np.concatenate(owner)


def _exact_ms(ways: Ways, month: Month, u: int) -> Fraction:
    row = month.demands[int(month.flow.demand[u])]
    site, shape = month.sites[int(month.flow.site[u])], month.shapes[int(month.flow.shape[u])].shape
    return ways.planned_ms(row.region, site, row.service, shape)
