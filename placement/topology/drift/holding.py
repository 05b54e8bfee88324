"""Whether a plan in force still holds once the network has moved: the auditor judges, the routes say where and how far.

What a plan promises are the numbered rules. What it says of itself, its cost, its percentiles, its bound, changes with
every measurement, and a plan whose inputs were measured again has other inputs: neither breaks a promise. Nor does a
class without any backup that could have one now.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from placement.audit import audit
from placement.audit.report import Violation
from placement.frames import Row, floats, keyed, numbered, texts
from placement.plan.document import BILLION
from placement.problem.routes import backup_budget_ms, keyed_by_profile, network_ms, transfer_ms
from placement.problem.uncertainty import TIE, met_chance
from placement.scenario import Scenario
from placement.topology.pairs import Pairs

Ints = NDArray[np.int64]
Bool = NDArray[np.bool_]

CLASS = ["region", "model", "service"]
TIME = ["slice", "period"]
KEY = [*CLASS, *TIME]
ROUTE = [*KEY, "site", "shape", "failure", "share_ppb"]
STATEMENTS = {"13 shares", "13 exempt"}
"""Numbered rules by which a plan says something of itself, and promises nothing."""
PROMISES = {"format", "not honoured", "rule off"}
"""Rules without a number that a plan must keep all the same."""
MEASUREMENTS = "measurements/"


class UnreadablePlanError(ValueError):
    """The folder holds no plan that can be read."""


@dataclass(frozen=True)
class Holding:
    """What has become of a plan.

    `broken` are the promises that the auditor finds broken. `inputs` are tables that are others than those the plan was
    made from; measurements are not among them. `figures` counts, by rule, what the plan says of itself and is not so
    any more. `classes` has a row for each class of which a route misses its budget, now or before, or is short of
    head-room now: the columns of CLASS, `missing_before`, `missing`, `tight` (requests/s at the busiest time),
    `backups_missing` (failures of domains whose routes miss), `met_before`, `met` (how likely a request that is served
    keeps its budget), and of the route that is furthest over: site, before_ms, after_ms, budget_ms.
    The figures are those of all classes.
    """

    broken: tuple[Violation, ...]
    inputs: tuple[str, ...]
    figures: dict[str, int]
    classes: pd.DataFrame
    requests_per_s: float
    missing_before: float
    missing: float
    tight: float
    met_before: float
    met: float

    @property
    def holds(self) -> bool:
        """Whether every promise is kept."""
        return not self.broken


def holding(plan: Path, scenario: Scenario, old: Pairs, new: Pairs, headroom: float) -> Holding:
    """The plan of a folder under `new`, beside what it was under `old`; short of head-room is a route that keeps its
    budget with less than the share `headroom` of it left.

    Raises:
        UnreadablePlanError: the folder holds no plan.
    """
    routes = route_table(plan, scenario, old, new)
    report = audit(plan, scenario, new, bound=False)
    broken = tuple(violation for violation in report.violations if _promised(violation.rule))
    figures: dict[str, int] = {}
    for violation in report.violations:
        if not _promised(violation.rule) and violation.rule != "provenance":
            figures[violation.rule] = figures.get(violation.rule, 0) + 1
    inputs = [v.subject for v in report.violations if v.rule == "provenance" and not v.subject.startswith(MEASUREMENTS)]
    routes["missing_before"] = routes["requests_per_s"].where(misses(routes, "before_ms"), 0.0)
    routes["missing"] = routes["requests_per_s"].where(misses(routes, "after_ms"), 0.0)
    close = (routes["after_ms"] > routes["budget_ms"] * (1 - headroom)) & ~misses(routes, "after_ms")
    routes["tight"] = routes["requests_per_s"].where(close, 0.0)
    normal = routes[routes["failure"] == ""]
    total = {name: _busiest(normal, name) for name in ("requests_per_s", "missing_before", "missing", "tight")}
    return Holding(
        broken=broken,
        inputs=tuple(inputs),
        figures=figures,
        classes=_classes(routes, normal),
        met_before=_mean(normal, "met_before"),
        met=_mean(normal, "met"),
        **total,
    )


def misses(routes: pd.DataFrame, column: str) -> "pd.Series[bool]":
    """Where a route is not within its budget; one whose latency is not known is not."""
    return ~(routes[column] <= routes["budget_ms"] * (1 + TIE))


def route_table(plan: Path, scenario: Scenario, old: Pairs, new: Pairs) -> pd.DataFrame:
    """Every route of the plan, those of failures too: ROUTE, requests_per_s (design rate × share), budget_ms, the
    planned latency before_ms and after_ms (NaN: not admissible at all), and how likely a request keeps the budget,
    met_before and met.

    Raises:
        UnreadablePlanError: there is no routes.parquet, or it is none.
    """
    routes = _read_routes(plan)
    demand = scenario.table("demand")
    asked = zip(*(texts(demand, name) for name in KEY), strict=True)
    rate = dict(zip(asked, floats(demand, "requests_per_s").tolist(), strict=True))
    keys = zip(*(routes[name] for name in KEY), strict=True)
    share = floats(routes, "share_ppb") / BILLION
    routes["requests_per_s"] = share * np.array([rate.get(key, 0.0) for key in keys], np.float64)
    routes = routes.assign(budget_ms=np.nan, before_ms=np.nan, after_ms=np.nan, met_before=0.0, met=0.0)
    services = keyed(scenario.table("services"), "service")
    for service, rows in routes.groupby("service", sort=True).indices.items():
        if str(service) in services:  # the auditor names those that are not there
            _recheck(scenario, routes, routes.index[rows], services[str(service)], (old, new))
    return routes


def _recheck(
    scenario: Scenario, routes: pd.DataFrame, index: pd.Index, service: Row, both: tuple[Pairs, Pairs]
) -> None:
    """Write into `routes`, at `index`, what becomes of the routes of one service."""
    part = routes.loc[index]
    shapes = keyed_by_profile(scenario).items()
    ttft = {shape: row["ttft_p95_ms"] for (shape, profile), row in shapes if profile == service["profile"]}
    ttft_ms = part["shape"].map(ttft).to_numpy(np.float64)
    backup = (part["failure"] != "").to_numpy()
    budget_ms = np.where(backup, backup_budget_ms(service), service["latency_budget_ms"])
    routes.loc[index, "budget_ms"] = budget_ms
    for pairs, latency, met in zip(both, ("before_ms", "after_ms"), ("met_before", "met"), strict=True):
        at, region, site = _places(pairs, part)
        regions, row = np.unique(region, return_inverse=True)
        network = network_ms(scenario, pairs, service, regions)[row, site]
        rest = transfer_ms(scenario, service, pairs.mbps[region, site]) + ttft_ms[at]
        chance = met_chance(pairs, region, site, budget_ms[at], rest, service["round_trips"])
        routes.loc[index[at], latency] = network + ttft_ms[at]
        routes.loc[index[at], met] = np.where(np.isnan(network), 0.0, chance)


def _read_routes(plan: Path) -> pd.DataFrame:
    try:
        if not (plan / "plan.json").is_file():
            raise UnreadablePlanError(f"{plan}: there is no plan.json; name a folder that `nearserve plan -o` wrote")
        frame = pq.read_table(plan / "routes.parquet", columns=ROUTE).to_pandas()
    except (OSError, ValueError, KeyError, pa.ArrowException) as error:
        raise error if isinstance(error, UnreadablePlanError) else UnreadablePlanError(f"{plan}: {error}") from error
    names = [name for name in ROUTE if name != "share_ppb"]
    return pd.DataFrame(frame.assign(**{name: frame[name].astype(object).fillna("") for name in names}))


def _places(pairs: Pairs, part: pd.DataFrame) -> tuple[Bool, Ints, Ints]:
    """Which routes are between places that the pairs know, and of those the region and the site."""
    regions, sites = numbered(pairs.regions), numbered(pairs.sites)
    region = np.array([regions.get(name, -1) for name in part["region"]], np.int64)
    site = np.array([sites.get(name, -1) for name in part["site"]], np.int64)
    at = (region >= 0) & (site >= 0)
    return at, region[at], site[at]


def _promised(rule: str) -> bool:
    return rule in PROMISES or (rule[:1].isdigit() and rule not in STATEMENTS)


def _busiest(normal: pd.DataFrame, column: str) -> float:
    """The sum of a column in the slice and period where it is largest."""
    return float(normal.groupby(TIME)[column].sum().max()) if len(normal) else 0.0


def _mean(normal: pd.DataFrame, column: str) -> float:
    weight = floats(normal, "requests_per_s")
    return float(weight @ floats(normal, column) / weight.sum()) if weight.sum() > 0 else float("nan")


def _classes(routes: pd.DataFrame, normal: pd.DataFrame) -> pd.DataFrame:
    """See `Holding`; those with the most requests/s that miss come first, then those with the most that are tight."""
    wanted = ["missing_before", "missing", "tight"]
    rates = normal.groupby([*CLASS, *TIME])[wanted].sum().groupby(CLASS).max()
    failing = routes[(routes["failure"] != "") & misses(routes, "after_ms")]
    backups = failing.groupby(CLASS)["failure"].nunique().rename("backups_missing")
    rates = rates.join(backups, how="outer").fillna(0.0)
    rates = rates[(rates > 0).any(axis=1)].astype({"backups_missing": np.int64})
    weight = normal["requests_per_s"]
    for name in ("met_before", "met"):
        sums = (normal[name] * weight).groupby([normal[c] for c in CLASS]).sum()
        rates[name] = (sums / weight.groupby([normal[c] for c in CLASS]).sum()).reindex(rates.index)
    over = routes.assign(over=np.where(np.isnan(routes["after_ms"]), np.inf, routes["after_ms"] - routes["budget_ms"]))
    worst = over.sort_values(["over", "site"], ascending=[False, True], kind="stable").drop_duplicates(CLASS)
    table = rates.reset_index().merge(
        worst[[*CLASS, "site", "failure", "before_ms", "after_ms", "budget_ms"]], on=CLASS, how="left"
    )
    order = ["missing", "backups_missing", "tight", "missing_before"]
    return table.sort_values([*order, *CLASS], ascending=[False] * 4 + [True] * 3, ignore_index=True)
