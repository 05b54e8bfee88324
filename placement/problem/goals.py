"""Rows and goals over the whole plan: carbon (16), what must be served (1), what is made small in which order."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placement.problem.names import GoalSpec
from placement.scenario import Scenario
from solvers.problem import CAPACITY_FACTOR
from solvers.rules import Total

Float = NDArray[np.float64]

GAP = 1e-4
UNITS = {
    "cost": "USD/month",
    "served": "request/month",
    "latency": "request-ms/month",
    "carbon": "tCO2e/month",
    "moves": "replica",
}


@dataclass(frozen=True)
class Sums:
    """What one period's plan adds up to, in the order of its Problem; None where nothing asks."""

    requests: Float  # I: mean requests a month
    pair_request_ms: Float | None  # N
    offer_tonnes: Float | None  # O
    pair_tonnes: Float | None  # N
    job_tonnes: Float | None  # A
    added: Float | None  # B: ones in the first period


def total_rows(scenario: Scenario, sums: Sums) -> tuple[Total, ...]:
    """Rows that hold in every period; each keeps free what rounding shares to parts per billion may need.

    carbon: tCO2e a month ≤ max_tco2e_month. served: the unserved share of a month's mean requests ≤ 1 - min share.
    """
    limits = scenario.document.limits
    rows = []
    if limits.max_tco2e_month is not None:
        rows.append(_carbon("carbon", sums, limits.max_tco2e_month * CAPACITY_FACTOR))
    if limits.min_served_share:
        share = sums.requests / max(float(sums.requests.sum()), 1e-300)
        rows.append(Total("served", unserved=share, most=(1 - limits.min_served_share) * CAPACITY_FACTOR))
    return tuple(rows)


def goal_specs(scenario: Scenario, sums: tuple[Sums, ...]) -> tuple[GoalSpec, ...]:
    """The goals in order, cost last where it is not named; `sums` of every period.

    Raises:
        ValueError: objective.goal_gaps has another length than objective.goals.
    """
    objective = scenario.document.objective
    gaps = objective.goal_gaps or tuple(GAP for _ in objective.goals)
    named = list(zip(objective.goals, gaps, strict=True))
    if "cost" not in objective.goals:
        named.append(("cost", GAP))
    return tuple(GoalSpec(name, UNITS[name], _totals(name, sums), float(gap)) for name, gap in named)


def _totals(name: str, sums: tuple[Sums, ...]) -> tuple[Total, ...] | None:
    """What a goal adds up in every period; None for the cost, which the arrays are."""
    if name == "cost":
        return None
    label = f"goal|{name}"
    if name == "served":
        return tuple(Total(label, unserved=period.requests) for period in sums)
    if name == "latency":
        return tuple(Total(label, pair=period.pair_request_ms) for period in sums)
    if name == "carbon":
        return tuple(_carbon(label, period, np.inf) for period in sums)
    return tuple(Total(label, added=period.added) for period in sums)


def _carbon(name: str, sums: Sums, most: float) -> Total:
    return Total(name, offer=sums.offer_tonnes, pair=sums.pair_tonnes, job=sums.job_tonnes, most=most)
