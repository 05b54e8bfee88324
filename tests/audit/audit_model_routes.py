"""Ways to serve a class in one period and what they cost; a billed peak as itself, or as the mean that is counted."""

from collections import defaultdict
from dataclasses import dataclass
from typing import Any

import numpy as np
from audit_milp import Model, Name, Terms
from audit_model_world import HOURS, World, energy_of, key_of, mean_of

from placement.topology.pairs import Pairs

CHANCES = (0.05, 0.5, 0.95)
"""That a round trip is below the lower end, the middle and the upper end of an interval."""
FREE = {"peak": 0.0, "p95": 0.05}
"""Share of the day that is left out of a billed peak."""


@dataclass(frozen=True)
class Route:
    """A way to serve a class whole."""

    key: tuple[str, ...]
    site: str
    shape: str
    owner: str
    load: float
    usd: float
    out: float
    in_: float

    def replicas(self, world: World) -> Name:
        slice_ = self.key[3] if world.stands != ["*"] else "*"
        return "y", self.site, self.shape, self.owner, slice_

    @property
    def share(self) -> Name:
        return "x", self.key, self.site, self.shape


def routes_of(world: World, period: str, budget: str = "latency_budget_ms") -> Any:
    """Everything admissible within a budget."""
    scenario, pairs = world.scenario, world.pairs
    busy_kw: dict[str, float] = defaultdict(float)
    for k in world.rows("servers"):
        busy_kw[k["gpu"]] = max(busy_kw[k["gpu"]], (k["power_kw"] - k["idle_kw"]) / k["gpus"])
    for row in world.demand(period):
        service = world.services[row["service"]]
        for site in world.rows("sites"):
            at = pairs.regions.index(row["region"]), pairs.sites.index(site["site"])
            if pairs.rtt_state[at] == 0 or (pairs.mbps_state[at] == 0 and service["kbyte_in"] > 14):
                continue
            way = rtt_ms(world, at) + (8 * service["kbyte_in"] / pairs.mbps[at] if pairs.mbps_state[at] else 0)
            for d in scenario.table("shapes").to_dict("records"):
                latency = way + d["ttft_p95_ms"]
                if (d["model"], d["profile"]) != (row["model"], service["profile"]):
                    continue
                if latency > service[budget]:
                    continue
                kw = mean_of(row) / d["requests_per_s"] * d["gpus_per_replica"] * busy_kw[d["gpu"]]
                yield Route(
                    key_of(row),
                    site["site"],
                    d["shape"],
                    world.owner(row["service"]),
                    row["requests_per_s"] / d["requests_per_s"],
                    _route_usd(world, row, service, site, kw, latency)
                    + _late_usd(world, row, at, service["latency_budget_ms"] - latency + rtt_ms(world, at)),
                    *(8 * row["requests_per_s"] * service[name] / 1000 for name in ("kbyte_out", "kbyte_in")),
                )


def rtt_ms(world: World, at: tuple[int, int]) -> float:
    """What is planned with: a measured p95, the upper end of an interval or, in microseconds, a percentile of it."""
    pairs, share = world.pairs, world.scenario.document.uncertainty.percentile
    if pairs.rtt_state[at] == 2:
        return float(pairs.rtt_p95_ms[at])
    if share is None:
        return float(pairs.rtt_upper_ms[at])
    ms = np.exp(np.interp(share, CHANCES, np.log(_ends(pairs, at))))
    return float(np.ceil(np.round(ms * 1000, 6)) / 1000)


def _ends(pairs: Pairs, at: tuple[int, int]) -> list[float]:
    return [pairs.rtt_lower_ms[at], pairs.rtt_mid_ms[at], pairs.rtt_upper_ms[at]]


def _late_usd(world: World, row: Any, at: tuple[int, int], limit_ms: float) -> float:
    """A month of the whole class where the round trip may be no longer than the limit."""
    if world.pairs.rtt_state[at] == 2:
        return 0.0
    ends = _ends(world.pairs, at)
    met = 0.0
    if limit_ms > ends[2]:
        met = 1 - 0.05 * (ends[2] / limit_ms) ** 2
    elif limit_ms >= ends[0] - 1e-9:
        met = float(np.interp(np.log(limit_ms), np.log(ends), CHANCES))
    month = mean_of(row) * 3600 * world.hours[row["slice"]]
    return float(world.scenario.document.uncertainty.late_usd_per_1000 * month / 1000 * (1 - met))


def _route_usd(world: World, row: Any, service: Any, site: Any, kw: float, latency: float) -> float:
    """A month of the whole class, without a billed peak."""
    document, hours = world.scenario.document, world.hours[row["slice"]]
    month, transit = mean_of(row) * 3600 * hours, site["transit_usd_per_mbps_month"]
    per_kwh, grams = energy_of(world, site, row["slice"])
    price = document.objective.usd_per_tco2e
    usd = kw * site["pue"] * hours * (per_kwh + (price * grams / 1e6 if price else 0))
    if np.isnan(transit):
        usd += month * service["kbyte_out"] / 1e6 * site["egress_usd_per_gb"]
    elif site["transit_billing"] == "mean":
        usd += hours / HOURS * 8 * row["requests_per_s"] * service["kbyte_out"] / 1000 * transit
    return float(usd + document.money.latency_usd_per_million_request_ms * month / 1e6 * latency)


def _billed(world: World) -> dict[str, tuple[float, float]]:
    """Sites that pay a peak: USD a Mbit/s, share of the day that is free."""
    listed = ((row, row["transit_usd_per_mbps_month"]) for row in world.rows("sites"))
    return {
        row["site"]: (usd, FREE[row["transit_billing"]])
        for row, usd in listed
        if not np.isnan(usd) and row["transit_billing"] != "mean"
    }


def counted_usd(world: World, route: Route) -> float:
    """The route's part of the mean over the slices that last longer than the free share of the day."""
    usd, free = _billed(world).get(route.site, (0.0, 0.0))
    lasting = {t: hours / HOURS for t, hours in world.hours.items() if hours / HOURS > free + 1e-12}
    return usd * route.out * lasting.get(route.key[3], 0.0) / sum(lasting.values())


def peaks(model: Model, world: World, routes: list[Route]) -> dict[Name, float]:
    """A column for the counted peak of every site that pays one; a binary leaves a slice out of it."""
    spent: dict[Name, float] = {}
    for site, (usd, free) in _billed(world).items():
        model.column(("peak", site), usd, np.inf)
        spent[("peak", site)] = usd
        for t in world.hours:
            flow: Terms = [(r.share, r.out) for r in routes if r.site == site and r.key[3] == t]
            model.column(("left out", site, t), 0, 1 if free else 0, whole=True)
            model.row([*flow, (("peak", site), -1), (("left out", site, t), -sum(w for _, w in flow))], 0)
        model.row([(("left out", site, t), hours / HOURS) for t, hours in world.hours.items()], free + 1e-12)
    return spent
