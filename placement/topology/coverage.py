"""How well the network is known: pairs by state and provenance, by country, weighted by users and by demand."""

import numpy as np
import pandas as pd

from placement.topology.pairs import Codes, Float, Pairs, Provenance, State

STATES = {"measured": State.MEASURED, "inferred": State.INFERRED, "unknown": State.UNKNOWN}
ALL = "all"  # the row of totals; no ISO code has three letters
DAY_S = 86_400.0


def kind_words() -> list[str]:
    """By state · 8 + provenance: "measured", "inferred by path", "unknown"."""
    words = [state.name.lower() for state in State for _ in range(8)]
    for provenance in Provenance:
        words[State.INFERRED * 8 + provenance] = f"inferred by {provenance.name.lower()}"
    words[State.INFERRED * 8 + Provenance.DIRECT] = "inferred from averages"
    return words


def kind_codes(pairs: Pairs) -> Codes:
    """The position of each pair in `kind_words`, R × P."""
    return np.asarray(pairs.rtt_state * np.int8(8) + pairs.rtt_provenance, np.int8)


def kinds(pairs: Pairs, regions: pd.DataFrame, demand: pd.DataFrame) -> pd.DataFrame:
    """One row per kind of pair that there is, the best known first: kind, pairs, share (of all pairs), demand (share of
    requests/s whose nearest site's pair is of this kind; of users where there is no demand), width (median of the
    interval's width over its middle; 0 for measured pairs, NaN for unknown ones), and the age of the newest observation
    of a pair against the newest of all, days: age_p50, age_p95, age_max; NaN where none has a time.
    """
    codes, words = kind_codes(pairs), kind_words()
    with np.errstate(invalid="ignore", divide="ignore"):
        width = (pairs.rtt_upper_ms - pairs.rtt_lower_ms) / pairs.rtt_mid_ms
    observed = pairs.observed_at_s
    age = (np.nanmax(observed, initial=-np.inf) - observed) / DAY_S
    nearest = _nearest_kind(pairs, codes)
    weight = region_weight(pairs, regions, demand)
    rows = []
    for code in sorted(np.unique(codes).tolist(), reverse=True):
        at = codes == code
        known, ages = width[at], age[at]
        ages = ages[~np.isnan(ages)]
        quantiles = np.quantile(ages, [0.5, 0.95, 1.0]) if len(ages) else np.full(3, np.nan)
        rows.append(
            {
                "kind": words[code],
                "pairs": int(at.sum()),
                "share": float(at.mean()),
                "demand": _share((nearest == code).astype(np.float64), weight),
                "width": float(np.median(known)) if not np.isnan(known).any() else float("nan"),
                **dict(zip(("age_p50", "age_p95", "age_max"), quantiles.tolist(), strict=True)),
            }
        )
    columns = ["kind", "pairs", "share", "demand", "width", "age_p50", "age_p95", "age_max"]
    return pd.DataFrame(rows, columns=columns)


def region_weight(pairs: Pairs, regions: pd.DataFrame, demand: pd.DataFrame) -> Float:
    """What each region of the pairs weighs, R: its requests/s, or its users where there is no demand at all."""
    requests = requests_per_s(demand)
    weight = np.array([requests.get(name, 0.0) for name in pairs.regions], np.float64)
    if weight.sum() > 0:
        return weight
    users = dict(zip(regions["region"], regions["users"], strict=True))
    return np.array([users.get(name, 0.0) for name in pairs.regions], np.float64)


def _nearest_kind(pairs: Pairs, codes: Codes) -> Codes:
    """The kind of each region's pair with its nearest site, R; unknown where no site is known."""
    if not len(pairs.sites):
        return np.zeros(len(pairs.regions), np.int8)
    planned = np.where(np.isnan(pairs.planned_rtt_ms), np.inf, pairs.planned_rtt_ms)
    nearest = planned.argmin(axis=1)
    return np.asarray(codes[np.arange(len(nearest)), nearest] * np.isfinite(planned.min(axis=1)), np.int8)


def coverage(pairs: Pairs, regions: pd.DataFrame, demand: pd.DataFrame) -> pd.DataFrame:
    """One row per country of the regions, sorted, and a last row `all`.

    Columns: country, regions, users, requests_per_s (peak slice of design rates), measured, inferred, unknown (pairs),
    the same three as `*_users` (share of the country's users times sites, 0..1) and `*_demand` (share of requests),
    `reachable_users` (share of users with at least one site that is not unknown) and `nearest_p50_ms`: the median over
    users of the planned RTT to their nearest site, NaN when most have none. Shares are NaN where the total is zero.
    """
    table = regions[["region", "country", "users"]].copy()
    table["requests_per_s"] = table["region"].map(requests_per_s(demand)).fillna(0.0)
    for name, state in STATES.items():
        table[name] = (pairs.rtt_state == state).sum(axis=1)
    table["nearest_ms"] = nearest_ms(pairs.planned_rtt_ms)
    groups = [(str(country), group) for country, group in table.groupby("country", sort=True)]
    return pd.DataFrame([_row(country, group, len(pairs.sites)) for country, group in [*groups, (ALL, table)]])


def nearest_ms(planned_ms: Float) -> Float:
    """The round trip of each region to its nearest site, R, ms, of R × P; inf where no site is known."""
    return np.asarray(np.where(np.isnan(planned_ms), np.inf, planned_ms).min(axis=1, initial=np.inf), np.float64)


def requests_per_s(demand: pd.DataFrame) -> "pd.Series[float]":
    """By region: the sum of the demand's design rates over models and services, in the busiest slice and period."""
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
    row["nearest_p50_ms"] = weighted_median(nearest, users)
    return row


def _share(value: Float, weight: Float) -> float:
    total = weight.sum()
    return float((value * weight).sum() / total) if total > 0 else float("nan")


def weighted_median(value: Float, weight: Float) -> float:
    """The least value that half of the weight stays at or below; NaN when that is infinite or there is no weight."""
    order = np.argsort(value, kind="stable")
    reached = np.cumsum(weight[order])
    if not len(value) or reached[-1] <= 0:
        return float("nan")
    found = float(value[order][np.searchsorted(reached, reached[-1] / 2)])
    return found if np.isfinite(found) else float("nan")
