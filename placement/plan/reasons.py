"""Which rule keeps a demand row from being served, said so that a planner can act on it."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from placement.problem.residency import allowed_sites
from placement.problem.routes import network_ms
from placement.scenario import Scenario
from placement.topology.pairs import Pairs

CAPACITY = "4-12 capacity: every admissible site is full, or serving would cost more than the penalty"


def blocking_rules(scenario: Scenario, pairs: Pairs, rows: pd.DataFrame) -> Iterator[str]:
    """The blocking rule of each of the demand `rows`, in their order."""
    services = scenario.table("services").set_index("service", drop=False)
    shapes = scenario.table("shapes")
    regions = {name: r for r, name in enumerate(pairs.regions)}
    for index in range(len(rows)):
        row = rows.iloc[[index]]
        service = services.loc[row["service"].iat[0]]
        serving = shapes[(shapes["model"] == row["model"].iat[0]) & (shapes["profile"] == service["profile"])]
        yield _rule(scenario, pairs, row, service, serving["ttft_p95_ms"], regions[row["region"].iat[0]])


def _rule(
    scenario: Scenario, pairs: Pairs, row: pd.DataFrame, service: pd.Series, ttft_ms: pd.Series, region: int
) -> str:
    if ttft_ms.empty:
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
