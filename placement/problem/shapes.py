"""Which shapes a solver has to look at."""

from collections.abc import Collection

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import Row, floats, keyed, records, texts
from placement.problem.tenants import Tenants
from placement.scenario import Scenario

Float = NDArray[np.float64]
Int = NDArray[np.int64]

GROUP = ("tenant", "model", "gpu", "gpus_per_replica")  # at most one operating point of a group runs at a site


def quarters(shapes: pd.DataFrame) -> Int:
    """Quarter GPUs a replica takes, D."""
    return np.asarray(np.rint(floats(shapes, "gpus_per_replica") * 4), np.int64)


def groups(shapes: pd.DataFrame) -> Int:
    """A number for each (tenant, model, GPU, size), D."""
    return np.asarray(shapes.groupby(list(GROUP), sort=True).ngroup(), np.int64)


def every_shape(scenario: Scenario) -> pd.DataFrame:
    """All shapes of the scenario as anybody's, one row each (not by profile), sorted by name."""
    shapes = scenario.table("shapes").drop_duplicates("shape").sort_values("shape")
    return shapes.reset_index(drop=True).assign(tenant="")


def useful_shapes(
    scenario: Scenario,
    demand: pd.DataFrame,
    tenants: Tenants,
    *,
    standing: Collection[tuple[str, str]] = (),
    pinned: Collection[str] = (),
) -> pd.DataFrame:
    """The shapes that a best plan may use, one row for each owner's, D, sorted by (tenant, shape).

    Of a group only one shape may run at a site, so one that another beats in capacity and TTFT for every profile asked
    for is in no best plan; of twins the first by name stays. The other takes as many replicas on the same GPUs, for
    primary and backup alike, so that pins, N-1, carbon and spread see no difference. What does see one is kept:

    standing: (shape, tenant) of the plan before, whose replicas are no move.
    pinned: models of which replicas must stand though nobody may ask for them; every size of theirs has a shape.
    """
    parts = []
    for tenant in tenants.names:
        asks = demand["service"].map(tenants.of_service) == tenant
        kept = undominated(scenario, demand[asks]) | {shape for shape, owner in standing if owner == tenant}
        shapes = every_shape(scenario).assign(tenant=tenant)
        mine = shapes["shape"].isin(kept)
        if tenant == "" and pinned:
            have = set(groups(shapes)[mine])
            spare = ~np.isin(groups(shapes), list(have)) & shapes["model"].isin(set(pinned))
            mine |= spare & ~shapes[spare].duplicated(list(GROUP)).reindex(shapes.index, fill_value=False)
        parts.append(shapes[mine & shapes["gpu"].isin(set(scenario.table("servers")["gpu"]))])
    return pd.concat(parts).reset_index(drop=True)


def undominated(scenario: Scenario, demand: pd.DataFrame) -> set[str]:
    """The shapes of demanded models that no other of their group beats, by name."""
    table = scenario.table("shapes")
    stands = table["gpu"].isin(set(scenario.table("servers")["gpu"])) & table["model"].isin(set(demand["model"]))
    services = keyed(scenario.table("services"), "service")
    asked = sorted({services[name]["profile"] for name in set(texts(demand, "service"))})
    members: dict[tuple[str, ...], dict[str, dict[str, Row]]] = {}
    for row in records(table[stands & table["profile"].isin(asked)]):
        group = members.setdefault(tuple(row[name] for name in GROUP[1:]), {})
        group.setdefault(row["shape"], {})[row["profile"]] = row
    return {name for group in members.values() for name in _best(group, asked)}


def _best(group: dict[str, dict[str, Row]], profiles: list[str]) -> list[str]:
    """Names of a group's shapes that no other beats."""
    names = sorted(group)
    absent = {"requests_per_s": 0.0, "ttft_p95_ms": np.inf}
    figures = [[group[name].get(profile, absent) for profile in profiles] for name in names]
    capacity = np.array([[row["requests_per_s"] for row in rows] for rows in figures])
    ttft = np.array([[row["ttft_p95_ms"] for row in rows] for rows in figures])
    kept = []
    for j, name in enumerate(names):
        as_good = (capacity >= capacity[j]).all(axis=1) & (ttft <= ttft[j]).all(axis=1)
        better = as_good & ((capacity > capacity[j]).any(axis=1) | (ttft < ttft[j]).any(axis=1))
        if not (better | (as_good & (np.arange(len(names)) < j))).any():
            kept.append(name)
    return kept
