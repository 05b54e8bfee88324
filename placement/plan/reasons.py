"""Which rule keeps a demand row from being served, said so that a planner can act on it."""

from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import Row, floats, keyed, numbered
from placement.problem.names import DemandRow
from placement.problem.residency import allowed_sites
from placement.problem.routes import network_ms
from placement.scenario import Scenario
from placement.topology.pairs import Pairs

CAPACITY = "4-12 capacity: every admissible site is full, or serving would cost more than the penalty"

KEY = ["region", "model", "service", "slice"]


def blocking_rules(scenario: Scenario, pairs: Pairs, rows: Sequence[DemandRow], period: str) -> Iterator[str]:
    """The blocking rule of each of the period's demand `rows`, in their order; slices of a class share one answer."""
    services = keyed(scenario.table("services"), "service")
    shapes = scenario.table("shapes")
    regions = numbered(pairs.regions)
    table = scenario.table("demand")
    table = table[table["period"] == period].reset_index(drop=True)
    place = {key: j for j, key in enumerate(zip(*(table[name] for name in KEY), strict=True))}
    said: dict[tuple[str, str, str, str], str] = {}
    for row in rows:
        at = place[row.region, row.model, row.service, row.slice]
        key = (row.region, row.model, row.service, str(table["residency"].iat[at]))
        if key not in said:
            service = services[row.service]
            serving = shapes[(shapes["model"] == row.model) & (shapes["profile"] == service["profile"])]
            ttft_ms = floats(serving, "ttft_p95_ms")
            said[key] = _rule(scenario, pairs, table.iloc[[at]], service, ttft_ms, regions[row.region])
        yield said[key]


def _rule(
    scenario: Scenario, pairs: Pairs, row: pd.DataFrame, service: Row, ttft_ms: NDArray[np.float64], region: int
) -> str:
    if not len(ttft_ms):
        return f"2 latency: no shape of {row['model'].iat[0]} serves the profile {service['profile']}"
    allowed = allowed_sites(scenario, row, service)[0]
    if not allowed.any():
        return "3 residency: no site stands where this class may be served"
    known = ~np.isnan(pairs.planned_rtt_ms[region]) & allowed
    if not known.any():
        return "2 latency: nothing is known of the way to any allowed site"
    network = network_ms(scenario, pairs, service, np.array([region]))[0]
    usable = allowed & ~np.isnan(network)
    if not usable.any():
        return "2 latency: bandwidth unknown, or loss or jitter above the service's limit, at every allowed site"
    best = int(np.flatnonzero(usable)[np.argmin(network[usable])])
    planned = network[best] + ttft_ms.min()
    budget = service["latency_budget_ms"]
    if planned > budget:
        return f"2 latency: the nearest allowed site, {pairs.sites[best]}, plans {planned:.0f} ms against {budget:g} ms"
    return CAPACITY
