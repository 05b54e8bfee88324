"""What the gates ask of a plan and of the change to it."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow.parquet as pq

if TYPE_CHECKING:
    from placement.scenario import Scenario
    from placement.topology.pairs import Pairs

DAY_S = 86_400.0


def plan_document(plan: Path) -> dict[str, Any]:
    """plan.json as a JSON value."""
    return json.loads((plan / "plan.json").read_bytes())  # type: ignore[no-any-return]


def stale_share(plan: Path, scenario: "Scenario", pairs: "Pairs", now_s: float, stale_days: float) -> float | None:
    """Share of the served requests, by mean rates and hours, on pairs without any record of the last `stale_days`.

    None where nothing is served. A pair whose newest record has no time is stale.
    """
    columns = ["region", "model", "service", "slice", "period", "site", "failure", "share_ppb"]
    routes = pq.read_table(plan / "routes.parquet", columns=columns).to_pandas()
    routes = routes[routes["failure"].isna()].fillna({"slice": "", "period": ""})
    demand = scenario.table("demand")
    keys = ["region", "model", "service", "slice", "period"]
    joined = routes.merge(demand[[*keys, "mean_requests_per_s"]], on=keys, how="left")
    slices = scenario.table("slices")
    hours = joined["slice"].map(dict(zip(slices["slice"], slices["hours_per_day"], strict=True))).fillna(24.0)
    weight = joined["mean_requests_per_s"].fillna(0.0) * hours * joined["share_ppb"]
    total = float(weight.sum())
    if total <= 0:
        return None
    row = _places(joined["region"], pairs.regions)
    column = _places(joined["site"], pairs.sites)
    fresh = pairs.observed_at_s[row, column] >= now_s - stale_days * DAY_S  # of NaN: false
    return float(weight[~fresh].sum()) / total


def _places(names: Iterable[str], known: tuple[str, ...]) -> np.ndarray[Any, np.dtype[np.int64]]:
    place = {name: number for number, name in enumerate(known)}
    return np.array([place[name] for name in names], np.int64)


def moved_gpu_share(old: Mapping[str, Any], new: Mapping[str, Any], scenario: "Scenario") -> float | None:
    """GPUs of replicas that come or that go, whichever is more, over the GPUs of those that stood; None: none stood.

    In the first period of both, in the slice with the most of it. A shape that the scenario knows no more counts as
    one GPU.
    """
    shapes = scenario.table("shapes")
    gpus = dict(zip(shapes["shape"], shapes["gpus_per_replica"].astype(float), strict=True))
    was, will = _standing(old), _standing(new)
    told = {place[3] for place in (*was, *will)}
    names: list[str | None] = [*sorted(told - {None}, key=str)] or [None]
    worst: float | None = None
    for name in names:
        before, after = _in(was, name), _in(will, name)
        stood = sum(gpus.get(place[1], 1.0) * count for place, count in before.items())
        come = go = 0.0
        for place in before.keys() | after.keys():
            change = (after.get(place, 0) - before.get(place, 0)) * gpus.get(place[1], 1.0)
            come, go = come + max(change, 0.0), go + max(-change, 0.0)
        if stood > 0:
            worst = max(worst or 0.0, max(come, go) / stood)
    return worst


Place = tuple[str, str, str, str | None]


def _standing(plan: Mapping[str, Any]) -> dict[Place, int]:
    """Replicas of the first period by site, shape, tenant and slice."""
    periods = [row["period"] for row in plan["periods"]]
    first = periods[0] if periods else None
    count: dict[Place, int] = defaultdict(int)
    for row in plan["replicas"]:
        if row["period"] == first:
            count[row["site"], row["shape"], row["tenant"] or "", row["slice"]] += row["count"]
    return count


def _in(standing: Mapping[Place, int], name: str | None) -> dict[tuple[str, str, str], int]:
    """What stands in a slice, with what stands all day."""
    count: dict[tuple[str, str, str], int] = defaultdict(int)
    for (site, shape, tenant, of_slice), number in standing.items():
        if of_slice is None or of_slice == name:
            count[site, shape, tenant] += number
    return count
