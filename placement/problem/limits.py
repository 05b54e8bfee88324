"""Rules 10 to 12 as rows over the offers: stock, export, capex."""

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from placement.frames import floats, integers, records, texts
from placement.problem.offers import Offers
from placement.scenario import Scenario

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """Rows `matrix · servers ≤ rhs`, named as the certificate names them; L × O."""

    names: tuple[str, ...]
    matrix: sp.csr_matrix
    rhs: Float


Row = tuple[str, Float, float]


def limit_rows(scenario: Scenario, offers: Offers) -> Limits:
    """All rows of rules 10–12."""
    rows = [*_stock(scenario, offers), *_export(scenario, offers), *_capex(scenario, offers)]
    coefficients = np.array([row for _, row, _ in rows]).reshape(len(rows), len(offers.site))
    rhs = np.array([limit for _, _, limit in rows], np.float64)
    return Limits(tuple(name for name, _, _ in rows), sp.csr_matrix(coefficients), rhs)


def monthly_budget_usd(scenario: Scenario) -> float:
    """(12) what a month may cost, without the unserved; infinite where no budget is given."""
    return float(np.nanmin(np.append(floats(scenario.table("budgets"), "monthly_usd"), np.inf)))


def _stock(scenario: Scenario, offers: Offers) -> list[Row]:
    """(10) Σ_p n_pk ≤ delivered: new servers of a kind, in a delivery group or everywhere."""
    if not scenario.has("deliveries"):
        return []
    delivered: dict[str, dict[str, float]] = {}
    for row in records(scenario.table("deliveries")):
        of_server = delivered.setdefault(row["server"], {})
        of_server[row["delivery_group"]] = of_server.get(row["delivery_group"], 0.0) + float(row["quantity"])
    group = np.array(texts(scenario.table("sites"), "delivery_group"))[offers.site]
    rows: list[Row] = []
    for k, server in enumerate(texts(scenario.table("servers"), "server")):
        of_kind = offers.new & (offers.server == k)
        stock = delivered.get(server, {})
        strangers = of_kind & ~np.isin(group, list(stock))
        if "" not in stock and strangers.any():
            rows.append((f"stock|{server}|", strangers.astype(np.float64), 0.0))
        for name, quantity in sorted(stock.items()):
            mask = of_kind if name == "" else of_kind & (group == name)
            rows.append((f"stock|{server}|{name}", mask.astype(np.float64), quantity))
    return rows


def _export(scenario: Scenario, offers: Offers) -> list[Row]:
    """(11) GPUs of a kind that may stand in a country, from the rule's date on; fleet and new alike."""
    today = scenario.document.planning_date
    servers = scenario.table("servers")
    country = np.array(texts(scenario.table("sites"), "country"))[offers.site]
    size = integers(servers, "gpus")[offers.server]
    rows: list[Row] = []
    for rule in records(scenario.table("export")):
        if rule["from_date"] and today is not None and rule["from_date"] > today.isoformat():
            continue
        by = "gpu" if rule["gpu"] else "server"
        mask = (np.array(texts(servers, by))[offers.server] == rule[by]) & (country == rule["country"])
        if mask.any():
            name = f"export|{by}|{rule[by]}|{rule['country']}"
            rows.append((name, np.where(mask, size, 0).astype(np.float64), float(rule["max_gpus"])))
    return rows


def _capex(scenario: Scenario, offers: Offers) -> list[Row]:
    """(12) capex of new servers in the period; what is rented has none."""
    servers = scenario.table("servers")
    bought = np.where(np.isnan(floats(servers, "rent_usd_month")), np.nan_to_num(floats(servers, "capex_usd")), 0.0)
    rows: list[Row] = []
    for budget in records(scenario.table("budgets")):
        if not np.isnan(budget["capex_usd"]):
            spent = np.where(offers.new, bought[offers.server], 0.0)
            rows.append((f"capex|{budget['period']}", spent, float(budget["capex_usd"])))
    return rows
