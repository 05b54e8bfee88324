"""The demand classes as far as a pair's RTT decides about them: how long a round trip each could bear."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import Row, floats, keyed, numbered, records, texts
from placement.problem.residency import Residency
from placement.scenario import Scenario
from placement.topology.pairs import Float, Pairs

Ints = NDArray[np.int64]
Bool = NDArray[np.bool_]
Class = tuple[str, str, str]
"""region, model, service"""


@dataclass(frozen=True)
class Group:
    """The classes of one service and model, G regions of P sites.

    `requests_per_s` is each class's largest design rate over slices and periods. `allowed` says where residency lets
    it be served. `bearable_ms` is the longest RTT with which (2) still holds on the quickest shape, G × P.
    `short_of_mbps` says where (2) also wants a bandwidth that nobody has measured.
    """

    classes: tuple[Class, ...]
    regions: Ints
    requests_per_s: Float
    allowed: Bool
    bearable_ms: Float
    short_of_mbps: Bool


def groups(scenario: Scenario, pairs: Pairs) -> Iterator[Group]:
    """The groups in the order of service and model; a class that no shape serves is in none: no answer helps it."""
    services = keyed(scenario.table("services"), "service")
    number, residency = numbered(pairs.regions), Residency(scenario)
    ttft_ms = _quickest_ttft_ms(scenario)
    # In the order of the pairs' names, whatever order the table has.
    row_of_site = numbered(texts(scenario.table("sites"), "site"))
    order = [row_of_site[name] for name in pairs.sites]
    for (service_name, model), rows in _peaks(scenario.table("demand")).groupby(["service", "model"], sort=True):
        service = services[str(service_name)]
        ttft = ttft_ms.get((str(model), service["profile"]))
        if ttft is None:
            continue
        regions = np.array([number[name] for name in texts(rows, "region")], np.int64)
        transfer_ms, short = _transfer(scenario, pairs, service, regions)
        yield Group(
            classes=tuple((name, str(model), str(service_name)) for name in texts(rows, "region")),
            regions=regions,
            requests_per_s=floats(rows, "requests_per_s"),
            allowed=residency.of_rows(rows, service)[:, order],
            bearable_ms=(service["latency_budget_ms"] - ttft - transfer_ms) / service["round_trips"],
            short_of_mbps=short,
        )


def _peaks(demand: pd.DataFrame) -> pd.DataFrame:
    """The row of each (region, model, service) that asks for most, the first of equals; sorted."""
    keys = ["service", "model", "region"]
    by_rate = demand.sort_values([*keys, "requests_per_s"], ascending=[True, True, True, False], kind="stable")
    return by_rate.drop_duplicates(keys)


def _quickest_ttft_ms(scenario: Scenario) -> dict[tuple[str, str], float]:
    """TTFT p95 of the quickest shape by (model, profile), ms, wherever it may stand."""
    servers = set(scenario.table("servers")["gpu"])
    best: dict[tuple[str, str], float] = {}
    for row in records(scenario.table("shapes")):
        if row["gpu"] in servers:
            key = str(row["model"]), str(row["profile"])
            best[key] = min(best.get(key, np.inf), float(row["ttft_p95_ms"]))
    return best


def _transfer(scenario: Scenario, pairs: Pairs, service: Row, regions: Ints) -> tuple[Float, Bool]:
    """The request's way up, ms, 0 where no bandwidth is known; and where it would have to be."""
    mbps = pairs.mbps[regions]
    unknown = np.isnan(mbps)
    needed = service["kbyte_in"] > scenario.document.limits.bandwidth_free_kbyte
    return np.where(unknown, 0.0, 8 * service["kbyte_in"] / np.where(unknown, 1.0, mbps)), unknown & needed
