"""How well the network is known: pairs by state, by country, weighted by users and by demand."""

import numpy as np
import pandas as pd

from placement.topology.pairs import Float, Pairs, State

STATES = {"measured": State.MEASURED, "inferred": State.INFERRED, "unknown": State.UNKNOWN}
ALL = "all"  # the row of totals; no ISO code has three letters


def coverage(pairs: Pairs, regions: pd.DataFrame, demand: pd.DataFrame) -> pd.DataFrame:
    """One row per country of the regions, sorted, and a last row `all`.

    Columns: country, regions, users, requests_per_s (peak slice of design rates), measured, inferred, unknown (pairs),
    the same three as `*_users` (share of the country's users times sites, 0..1) and `*_demand` (share of requests),
    `reachable_users` (share of users with at least one site that is not unknown) and `nearest_p50_ms`: the median over
    users of the planned RTT to their nearest site, NaN when most have none. Shares are NaN where the total is zero.
    """
    table = regions[["region", "country", "users"]].copy()
    table["requests_per_s"] = table["region"].map(_requests_per_s(demand)).fillna(0.0)
    for name, state in STATES.items():
        table[name] = (pairs.rtt_state == state).sum(axis=1)
    planned = np.where(np.isnan(pairs.planned_rtt_ms), np.inf, pairs.planned_rtt_ms)
    table["nearest_ms"] = planned.min(axis=1, initial=np.inf)
    groups = [(str(country), group) for country, group in table.groupby("country", sort=True)]
    return pd.DataFrame([_row(country, group, len(pairs.sites)) for country, group in [*groups, (ALL, table)]])


def _requests_per_s(demand: pd.DataFrame) -> "pd.Series[float]":
    """By region: the sum over models and services, in the slice and period where it is largest."""
    if not len(demand):
        return pd.Series(dtype=float)
    times = [name for name in ("slice", "period") if name in demand]
    total = demand.groupby(["region", *times], dropna=False)["requests_per_s"].sum()
    return total.groupby(level="region").max()


def _row(country: str, group: pd.DataFrame, sites: int) -> dict[str, object]:
    users, requests = group["users"].to_numpy(np.float64), group["requests_per_s"].to_numpy(np.float64)
    row: dict[str, object] = {
        "country": country,
        "regions": len(group),
        "users": float(users.sum()),
        "requests_per_s": float(requests.sum()),
    }
    row |= {name: int(group[name].sum()) for name in STATES}
    for suffix, weight in (("users", users), ("demand", requests)):
        row |= {f"{name}_{suffix}": _share(group[name].to_numpy(np.float64) / max(sites, 1), weight) for name in STATES}
    nearest = group["nearest_ms"].to_numpy(np.float64)
    row["reachable_users"] = _share(np.isfinite(nearest).astype(np.float64), users)
    row["nearest_p50_ms"] = _median(nearest, users)
    return row


def _share(value: Float, weight: Float) -> float:
    total = weight.sum()
    return float((value * weight).sum() / total) if total > 0 else float("nan")


def _median(value: Float, weight: Float) -> float:
    """The least value that half of the weight stays at or below; NaN when that is infinite or there is no weight."""
    order = np.argsort(value, kind="stable")
    reached = np.cumsum(weight[order])
    if not len(value) or reached[-1] <= 0:
        return float("nan")
    found = float(value[order][np.searchsorted(reached, reached[-1] / 2)])
    return found if np.isfinite(found) else float("nan")
