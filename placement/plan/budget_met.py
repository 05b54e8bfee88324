"""How likely the served requests stay within their latency budgets, by the intervals of the pairs that carry them."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from placement.plan.document import BudgetMet, ClassMet
from placement.plan.exact import Int, Whole, grouped, total
from placement.plan.latency import Ways, served_requests
from placement.plan.month import Month

CHANCE = 10**18
"""Chances are whole numbers of parts of this: finer than floats tell, and sums have no rounding."""
MILLION = 10**6

Class = tuple[str, str, str]
Sums = dict[Class, Fraction]


def late_requests(ways: Ways, month: Month) -> Fraction:
    """Requests a month that are served and, by their chances, miss their latency budget."""
    weight, denominator = served_requests(ways.prices, month)
    chance, _ = ways.flow_met(month)
    return Fraction(int((weight * _whole(1 - chance)).sum()), denominator * CHANCE)


def budget_met(months: Sequence[tuple[Ways, Month]]) -> BudgetMet:
    """Of each class and of all requests, over all periods by their months."""
    asked, served, met, inferred = (defaultdict[Class, Fraction](Fraction) for _ in range(4))
    for ways, month in months:
        requests, of_requests = month.requests(ways.prices)
        _add(asked, month, np.arange(len(month.demands)), requests, of_requests)
        weight, denominator = served_requests(ways.prices, month)
        chance, is_inferred = ways.flow_met(month)
        row = month.flow.demand
        _add(served, month, row, weight, denominator)
        _add(met, month, row, weight * _whole(chance), denominator * CHANCE)
        _add(inferred, month, row[is_inferred], weight[is_inferred], denominator)
    requests_served = total(served.values())
    return BudgetMet(
        met_ppm=_ppm(total(met.values()) / requests_served) if requests_served else None,
        inferred_share=float(total(inferred.values()) / requests_served) if requests_served else None,
        classes=tuple(_class(key, asked, served, met) for key in sorted(inferred) if inferred[key]),
    )


def _class(key: Class, asked: Mapping[Class, Fraction], served: Mapping[Class, Fraction], met: Sums) -> ClassMet:
    region, model, service = key
    share, chance = served[key] / asked[key], met[key] / served[key]
    return ClassMet(region=region, model=model, service=service, served_share=float(share), met_ppm=_ppm(chance))


def _add(found: Sums, month: Month, row: Int, weight: Whole, denominator: int) -> None:
    """Weights of demand rows to their classes, by how long the period lasts."""
    (rows,), sums = grouped((row,), weight)
    for i, amount in zip(rows.tolist(), sums, strict=True):
        demand = month.demands[i]
        found[demand.region, demand.model, demand.service] += month.months * Fraction(amount, denominator)


def _whole(chance: NDArray[np.float64]) -> Whole:
    return np.rint(chance * CHANCE).astype(np.int64).astype(object)


def _ppm(share: Fraction) -> int:
    """Parts per million, rounded down; what is within 10^-12 of the next one is that one."""
    return (share.numerator * MILLION**2 // share.denominator + 1) // MILLION
