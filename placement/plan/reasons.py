"""Which rule keeps a demand row from being served, said so that a planner can act on it."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import Row, floats, keyed, numbered
from placement.problem.residency import allowed_sites
from placement.problem.routes import network_ms
from placement.scenario import Scenario
from placement.topology.pairs import Pairs

CAPACITY = "4-12 capacity: every admissible site is full, or serving would cost more than the penalty"


def blocking_rules(scenario: Scenario, pairs: Pairs, rows: pd.DataFrame) -> Iterator[str]:
    """The blocking rule of each of the demand `rows`, in their order."""
    services = keyed(scenario.table("services"), "service")
    shapes = scenario.table("shapes")
    regions = numbered(pairs.regions)
    for index in range(len(rows)):
        row = rows.iloc[[index]]
        service = services[str(row["service"].iat[0])]
        serving = shapes[(shapes["model"] == row["model"].iat[0]) & (shapes["profile"] == service["profile"])]
        yield _rule(scenario, pairs, row, service, floats(serving, "ttft_p95_ms"), regions[str(row["region"].iat[0])])


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
