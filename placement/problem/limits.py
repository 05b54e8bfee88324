"""Rules 10 to 12 as rows over the offers: stock, export, capex."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from placement.scenario import Scenario

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Limits:
    """Rows `matrix · servers ≤ rhs`, named as the certificate names them; L × O."""

    names: tuple[str, ...]
    matrix: sp.csr_matrix
    rhs: Float


def limit_rows(scenario: Scenario, offers: pd.DataFrame) -> Limits:
    """All rows of rules 10–12. `offers` has site, country, delivery_group, server, gpu, gpus, capex_usd, new; O rows."""
    rows = [*_stock(scenario, offers), *_export(scenario, offers), *_capex(scenario, offers)]
    coefficients = np.array([row for _, row, _ in rows]).reshape(len(rows), len(offers))
    return Limits(
        tuple(name for name, _, _ in rows),
        sp.csr_matrix(coefficients),
        np.array([rhs for _, _, rhs in rows], np.float64),
    )


Row = tuple[str, Float, float]


def _stock(scenario: Scenario, offers: pd.DataFrame) -> list[Row]:
    """(10) Σ_p n_pk ≤ delivered: new servers of a kind, in a delivery group or everywhere."""
    if not scenario.has("deliveries"):
        return []
    delivered = scenario.table("deliveries").groupby(["server", "delivery_group"])["quantity"].sum()
    rows: list[Row] = []
    for server in sorted(set(offers["server"])):
        groups = delivered.get(server)
        of_kind = offers["new"] & (offers["server"] == server)
        if groups is None:
            rows.append((f"stock|{server}|", of_kind.to_numpy(np.float64), 0.0))
            continue
        if set(groups.index) != {""}:
            strangers = of_kind & ~offers["delivery_group"].isin(groups.index)
            if strangers.any():
                rows.append((f"stock|{server}|", strangers.to_numpy(np.float64), 0.0))
        for group, quantity in groups.items():
            mask = of_kind if group == "" else of_kind & (offers["delivery_group"] == group)
            rows.append((f"stock|{server}|{group}", mask.to_numpy(np.float64), float(quantity)))
    return rows


def _export(scenario: Scenario, offers: pd.DataFrame) -> list[Row]:
    """(11) GPUs of a kind that may stand in a country, from the rule's date on; fleet and new alike."""
    rows: list[Row] = []
    for rule in scenario.table("export").itertuples():
        if rule.from_date and rule.from_date > str(scenario.document.planning_date):
            continue
        by, what = ("gpu", rule.gpu) if rule.gpu else ("server", rule.server)
        mask = (offers[by] == what) & (offers["country"] == rule.country)
        if mask.any():
            gpus = np.where(mask, offers["gpus"], 0).astype(np.float64)
            rows.append((f"export|{by}|{what}|{rule.country}", gpus, float(rule.max_gpus)))
    return rows


def _capex(scenario: Scenario, offers: pd.DataFrame) -> list[Row]:
    """(12) capex of new servers in the period."""
    rows: list[Row] = []
    for budget in scenario.table("budgets").itertuples():
        if not np.isnan(budget.capex_usd):
            spent = np.where(offers["new"], offers["capex_usd"].fillna(0.0), 0.0)
            rows.append((f"capex|{budget.period}", spent.astype(np.float64), float(budget.capex_usd)))
    return rows


def monthly_budget_usd(scenario: Scenario) -> float:
    """(12) what a month may cost, without the unserved; infinite where no budget is given."""
    return float(np.nanmin(np.append(scenario.table("budgets")["monthly_usd"].to_numpy(np.float64), np.inf)))
