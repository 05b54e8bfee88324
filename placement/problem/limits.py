"""Rules 10 to 12 as rows over the offers: stock, export, capex, installs, the fleet that owners share."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from placement.frames import floats, integers, records, texts
from placement.problem.offers import BUY, FLEET, RENT, Offers, fleet_servers
from placement.problem.periods import Period
from placement.scenario import Scenario

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]


@dataclass(frozen=True)
class Limits:
    """Rows `matrix · servers ≤ rhs`, named as the certificate names them; L × O."""

    names: tuple[str, ...]
    matrix: sp.csr_matrix
    rhs: Float


@dataclass(frozen=True)
class _Row:
    """Σ value·servers ≤ most over some offers."""

    name: str
    offer: Int
    value: Float
    most: float


def limit_rows(scenario: Scenario, offers: Offers, periods: tuple[Period, ...], number: int) -> Limits:
    """All rows of rules 10–12 that hold within a period; those of stock, capex and installs count from the first on."""
    period = periods[number]
    rows = [
        *_stock(scenario, offers, period),
        *_export(scenario, offers, period),
        *_capex(scenario, offers, periods, number),
        *_installs(scenario, offers, period),
        *_fleet(scenario, offers),
    ]
    value = np.concatenate([row.value for row in rows]) if rows else np.empty(0)
    at = np.repeat(np.arange(len(rows)), [len(row.offer) for row in rows])
    offer = np.concatenate([row.offer for row in rows]) if rows else np.empty(0, np.int64)
    matrix = sp.csr_matrix((value, (at, offer)), shape=(len(rows), len(offers.site)))
    matrix.sort_indices()
    return Limits(tuple(row.name for row in rows), matrix, np.array([row.most for row in rows], np.float64))


def monthly_budget_usd(scenario: Scenario, period: Period) -> float:
    """(12) what a month of the period may cost, without the unserved; infinite where no budget is given."""
    budgets = scenario.table("budgets")
    mine = np.array([not name or period.own(name) for name in texts(budgets, "period")], np.bool_)
    return float(np.nanmin(np.append(floats(budgets, "monthly_usd")[mine], np.inf)))


def capex_most_usd(scenario: Scenario, period: Period) -> float:
    """(12) what the servers that are newly bought in a period may cost; infinite where no budget says it."""
    found = [float(row["capex_usd"]) for row in records(scenario.table("budgets")) if period.own(row["period"])]
    stated = [usd for usd in found if not np.isnan(usd)]
    return sum(stated) if stated else np.inf


def installed(scenario: Scenario, offers: Offers) -> Bool:
    """Offers whose servers someone has to set up: new ones, but not those rented in a cloud; O."""
    cloud = np.array(texts(scenario.table("sites"), "kind"))[offers.site] == "cloud"
    return np.asarray(offers.new & ~(cloud & (offers.way == RENT)), np.bool_)


def capex_usd(scenario: Scenario, offers: Offers) -> Float:
    """What holding one more server costs at once: bought ones their capex; O."""
    usd = np.nan_to_num(floats(scenario.table("servers"), "capex_usd"))
    return np.where(offers.way == BUY, usd[offers.server], 0.0)


def _over(name: str, mask: Bool, value: Float | float, most: float) -> _Row:
    """A row over the offers of a mask; a coefficient of zero is no entry."""
    every = np.broadcast_to(np.asarray(value, np.float64), mask.shape)
    offer = np.flatnonzero(mask & (every != 0))
    return _Row(name, offer, every[offer], most)


def _stock(scenario: Scenario, offers: Offers, period: Period) -> list[_Row]:
    """(10) Σ_p n_pk ≤ delivered so far: bought servers of a kind, in a delivery group or everywhere."""
    if not scenario.has("deliveries"):
        return []
    delivered: dict[str, dict[str, float]] = {}
    for row in records(scenario.table("deliveries")):
        of_server = delivered.setdefault(row["server"], {})
        there = float(row["quantity"]) if period.begun(row["period"]) else 0.0
        of_server[row["delivery_group"]] = of_server.get(row["delivery_group"], 0.0) + there
    group = np.array(texts(scenario.table("sites"), "delivery_group"))[offers.site]
    rows: list[_Row] = []
    for k, server in enumerate(texts(scenario.table("servers"), "server")):
        of_kind = (offers.way == BUY) & (offers.server == k)
        stock = delivered.get(server, {})
        strangers = of_kind & ~np.isin(group, list(stock))
        if "" not in stock and strangers.any():
            rows.append(_over(f"stock|{server}|", strangers, 1.0, 0.0))
        for name, quantity in sorted(stock.items()):
            mask = of_kind if name == "" else of_kind & (group == name)
            rows.append(_over(f"stock|{server}|{name}", mask, 1.0, quantity))
    return rows


def _export(scenario: Scenario, offers: Offers, period: Period) -> list[_Row]:
    """(11) GPUs of a kind that may stand in a country, from the rule's date on; fleet and new alike."""
    servers = scenario.table("servers")
    country = np.array(texts(scenario.table("sites"), "country"))[offers.site]
    size = integers(servers, "gpus")[offers.server].astype(np.float64)
    rows: list[_Row] = []
    for rule in records(scenario.table("export")):
        if rule["from_date"] and period.start_date and rule["from_date"] > period.start_date:
            continue
        by = "gpu" if rule["gpu"] else "server"
        mask = (np.array(texts(servers, by))[offers.server] == rule[by]) & (country == rule["country"])
        if mask.any():
            rows.append(_over(f"export|{by}|{rule[by]}|{rule['country']}", mask, size, float(rule["max_gpus"])))
    return rows


def _capex(scenario: Scenario, offers: Offers, periods: tuple[Period, ...], number: int) -> list[_Row]:
    """(12) capex of all that is bought so far ≤ the budgets so far.

    It holds where every period so far has a budget. Money that names no period is there from the first on: where such
    a row says capex, it and the others so far limit all that is bought, whatever else is stated.
    """
    budgets = [row for row in records(scenario.table("budgets")) if not np.isnan(row["capex_usd"])]
    most = sum(capex_most_usd(scenario, period) for period in periods[: number + 1])
    if periods[number].name and any(not row["period"] for row in budgets):
        most = sum(float(row["capex_usd"]) for row in budgets if periods[number].begun(row["period"]))
    if not np.isfinite(most):
        return []
    return [_over(f"capex|{periods[number].name}", offers.way == BUY, capex_usd(scenario, offers), most)]


def _installs(scenario: Scenario, offers: Offers, period: Period) -> list[_Row]:
    """(10) servers that were set up so far ≤ installs_per_period in each of the periods so far."""
    each = scenario.document.limits.installs_per_period
    if each is None:
        return []
    most = float(each * (period.number + 1))
    return [_over(f"installs|{period.name}", installed(scenario, offers), 1.0, most)]


def _fleet(scenario: Scenario, offers: Offers) -> list[_Row]:
    """(6) what stands today is shared among its owners: Σ over owners ≤ the fleet."""
    if not (offers.owner.any() and (offers.way == FLEET).any()):
        return []
    sites, servers = texts(scenario.table("sites"), "site"), texts(scenario.table("servers"), "server")
    count = fleet_servers(scenario)
    kept = np.flatnonzero(offers.way == FLEET)
    place = offers.site[kept] * len(servers) + offers.server[kept]
    kept = kept[np.argsort(place, kind="stable")]
    places, start = np.unique(np.sort(place), return_index=True)
    return [
        _Row(f"fleet|{sites[p]}|{servers[k]}", shared, np.ones(len(shared)), float(count[p, k]))
        for p, k, shared in zip(places // len(servers), places % len(servers), np.split(kept, start[1:]), strict=True)
        if len(shared) > 1
    ]
