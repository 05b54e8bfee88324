"""What is left unserved, by the rule that blocks it and by who waits."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from placement.explain.case import Case
from placement.explain.reach import Atlas
from placement.plan.reasons import Holdings, Reasons
from placement.problem.names import DemandRow

LEAST = 1e-9
"""A share below this is the last digits of the simplex, or what rounding to parts per billion takes."""


@dataclass(frozen=True)
class Left:
    """A demand row of a period that is not served whole."""

    h: int
    i: int
    row: DemandRow
    share: float
    reason: str


@dataclass(frozen=True)
class Blocked:
    """What one rule blocks for one service in one country; `share` of all mean requests of the scenario."""

    service: str
    country: str
    classes: int
    share: float
    usd_month: float
    reason: str


def left_rows(case: Case) -> list[Left]:
    """Every demand row that the plan does not serve whole, by period and the problem's order; none without a plan."""
    if case.plans is None:
        return []
    reasons, found = Reasons(case.scenario, case.pairs), []
    of_period = zip(case.built.rollout.periods, case.built.names, case.plans, strict=True)
    for h, (problem, names, plan) in enumerate(of_period):
        rows = np.flatnonzero(plan.unserved > LEAST).tolist()
        said = reasons.blocking([names.demands[i] for i in rows], Holdings(problem, names, plan))
        found += [
            Left(h, i, names.demands[i], float(plan.unserved[i]), rule) for i, rule in zip(rows, said, strict=True)
        ]
    return found


def blocked(case: Case, atlas: Atlas, left: list[Left]) -> list[Blocked]:
    """The rows together, those that cost most first; shares and USD are means over the periods by their months."""
    members: dict[tuple[str, str, str], list[Left]] = defaultdict(list)
    for one in left:
        members[one.row.service, atlas.home[one.row.region], one.reason].append(one)
    asked = float(case.weights @ [float(requests.sum()) for requests in case.requests]) or 1.0
    found = []
    for (service, country, reason), rows in members.items():
        requests = sum(float(case.weights[one.h]) * case.requests[one.h][one.i] * one.share for one in rows)
        classes = len({(one.row.region, one.row.model) for one in rows})
        found.append(Blocked(service, country, classes, requests / asked, sum(_usd(case, rows)), reason))
    return sorted(found, key=lambda b: (-b.usd_month, -b.share, b.service, b.country, b.reason))


def _usd(case: Case, rows: list[Left]) -> Iterator[float]:
    for one in rows:
        yield float(case.weights[one.h]) * float(case.built.rollout.periods[one.h].unserved_usd[one.i]) * one.share
