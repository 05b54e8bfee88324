"""Which shapes a solver has to look at."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.frames import Row, floats, keyed, records
from placement.scenario import Scenario

Float = NDArray[np.float64]
Int = NDArray[np.int64]

GROUP = ("model", "gpu", "gpus_per_replica")  # at most one operating point of a group runs at a site


def quarters(shapes: pd.DataFrame) -> Int:
    """Quarter GPUs a replica takes, D."""
    return np.asarray(np.rint(floats(shapes, "gpus_per_replica") * 4), np.int64)


def groups(shapes: pd.DataFrame) -> Int:
    """A number for each (model, GPU, size), D."""
    return np.asarray(shapes.groupby(list(GROUP), sort=True).ngroup(), np.int64)


def undominated(scenario: Scenario, demand: pd.DataFrame) -> pd.DataFrame:
    """The shapes of demanded models that a server could run, one row each (not by profile), D, sorted by name.

    Of a group only one shape may run at a site, so one that another beats in capacity and TTFT for every profile
    asked for is in no best plan; of twins the first by name stays.
    """
    table = scenario.table("shapes")
    stands = table["gpu"].isin(set(scenario.table("servers")["gpu"])) & table["model"].isin(set(demand["model"]))
    services = keyed(scenario.table("services"), "service")
    asked = sorted({services[name]["profile"] for name in set(demand["service"])})
    members: dict[tuple[str, ...], dict[str, dict[str, Row]]] = {}
    for row in records(table[stands & table["profile"].isin(asked)]):
        group = members.setdefault(tuple(row[name] for name in GROUP), {})
        group.setdefault(row["shape"], {})[row["profile"]] = row
    kept = {name for group in members.values() for name in _best(group, asked)}
    shapes = table.drop_duplicates("shape")
    return shapes[shapes["shape"].isin(kept)].sort_values("shape").reset_index(drop=True)


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
