"""Goals of a lexicographic tuple: the plan tells of those that the scenario has, in order, and what they came to."""

from collections.abc import Sequence
from fractions import Fraction

from placement.audit.carbon import mean
from placement.audit.figures import asked_and_left
from placement.audit.money import Spent
from placement.audit.month import Month
from placement.audit.plan_files import PlanFiles
from placement.audit.report import Findings

TOLERANCE = Fraction(1, 10**6)
"""Relative: what a goal came to is a float of the plan; how near it is to its best is the solver's claim."""


def wanted(months: Sequence[Month]) -> tuple[str, ...]:
    """The scenario's goals; cost comes last where it is not named."""
    goals: tuple[str, ...] = months[0].case.scenario.document.objective.goals
    return goals if "cost" in goals else (*goals, "cost")


def check_goals(
    months: Sequence[Month], parts: Sequence[Spent], added: int, plan: PlanFiles, findings: Findings
) -> None:
    """Every goal once, in order, with its value: the mean over the periods by their months."""
    names, said = wanted(months), tuple(row.goal for row in plan.goals)
    if not said and names == ("cost",):
        return
    findings.check("goals", said == names, "goals", f"the plan reached {said}, the scenario wants {names}")
    for row in plan.goals:
        value = _value(row.goal, months, parts, added)
        if value is None:
            continue
        off = abs(row.value - value)
        detail = f"the plan says {float(row.value):.9g}, recomputed {float(value):.9g}"
        findings.check("goals", off <= TOLERANCE * (1 + abs(value)), row.goal, detail, off)


def _value(goal: str, months: Sequence[Month], parts: Sequence[Spent], added: int) -> Fraction | None:
    """Served: requests left a month; latency: request-ms a month; carbon: tCO2e a month; moves: replicas added."""
    both = list(zip(months, parts, strict=True))
    values: dict[str, list[Fraction | None]] = {
        "cost": [part.total for part in parts],
        "served": [asked_and_left(month)[1] for month in months],
        "latency": [part.request_ms for part in parts],
        "carbon": [part.emission.total for part in parts],
        "moves": [Fraction(added if h == 0 else 0) for h in range(len(both))],
    }
    if goal not in values:
        return None
    return mean([(month.case.period.months, value) for (month, _), value in zip(both, values[goal], strict=True)])
