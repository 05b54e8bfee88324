"""Which shapes a solver has to look at."""

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from placement.scenario import Scenario

Int = NDArray[np.int64]


def quarters(shapes: pd.DataFrame) -> Int:
    """Quarter GPUs a replica takes, D."""
    return np.rint(shapes["gpus_per_replica"].to_numpy(np.float64) * 4).astype(np.int64)


def undominated(scenario: Scenario, demand: pd.DataFrame) -> pd.DataFrame:
    """The shapes of demanded models, one row each (not by profile), D, sorted by name.

    Among shapes of one model, GPU and size only one may run at a site, so one that another beats in capacity and TTFT
    for every profile asked for is never needed.
    """
    table = scenario.table("shapes")
    table = table[table["model"].isin(set(demand["model"]))]
    services = scenario.table("services").set_index("service")["profile"]
    asked = sorted(set(demand["service"].map(services)))
    wide = table[table["profile"].isin(asked)].pivot_table(
        index=["model", "gpu", "gpus_per_replica", "shape"],
        columns="profile",
        values=["requests_per_s", "ttft_p95_ms"],
        aggfunc="first",
    )
    kept = []
    for _, group in wide.groupby(level=["model", "gpu", "gpus_per_replica"], sort=True):
        capacity = group["requests_per_s"].fillna(0.0).to_numpy(np.float64)
        ttft = group["ttft_p95_ms"].fillna(np.inf).to_numpy(np.float64)
        for j in range(len(group)):
            no_worse = (capacity >= capacity[j]).all(axis=1) & (ttft <= ttft[j]).all(axis=1)
            better = no_worse & ((capacity > capacity[j]).any(axis=1) | (ttft < ttft[j]).any(axis=1))
            twin_before = no_worse & (np.arange(len(group)) < j)
            if not (better | twin_before).any():
                kept.append(group.index[j][-1])
    shapes = table.drop_duplicates("shape").set_index("shape", drop=False).loc[sorted(kept)]
    stands = shapes["gpu"].isin(set(scenario.table("servers")["gpu"]))
    return shapes[stands].reset_index(drop=True)
