"""Rule 16: tCO2e a month of a plan, limited and told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from placement.audit.jobs import job_tco2e, read_jobs
from placement.audit.month import Month
from placement.audit.report import Findings

TOLERANCE = Fraction(1, 10**9)
"""Relative: what is told is a float, and the limit is a row of a solver that works with floats."""


@dataclass(frozen=True)
class Emitted:
    """tCO2e a month; None where a figure that counts is absent."""

    energy: Fraction | None
    embodied: Fraction | None

    @property
    def total(self) -> Fraction | None:
        return None if self.energy is None or self.embodied is None else self.energy + self.embodied


def emitted(month: Month, load_kwh: Mapping[tuple[str, str], Fraction]) -> Emitted:
    """Idle servers, load by (site, slice), jobs; and a month's part of making what is new."""
    facts, prices = month.facts, month.case.prices
    energy: list[Fraction | None] = []
    for row in month.servers:
        idle = prices.idle_tco2e(row.site, facts.servers[row.server]) if row.count else Fraction(0)
        energy.append(None if idle is None else idle * row.count)
    for (site, name), kwh in load_kwh.items():
        grams = facts.gco2_per_kwh[(site, name)] if kwh else Fraction(0)
        energy.append(None if grams is None else kwh * grams / 10**6)
    jobs = read_jobs(month.case.scenario, month.case.periods[0].name)
    energy += [job_tco2e(month.case, jobs[row.job], row) for row in month.jobs if row.job in jobs]
    made: list[Fraction | None] = []
    for row in month.servers:
        one = prices.embodied_tco2e(facts.servers[row.server], "buy") if row.new else Fraction(0)
        made.append(None if one is None else one * row.new)
    return Emitted(_sum(energy), _sum(made))


def check_carbon_limit(month: Month, emission: Emitted, findings: Findings) -> None:
    """(16) total ≤ max_tco2e_month; a limit or a price of what is not known cannot be kept."""
    document = month.case.scenario.document
    most = document.limits.max_tco2e_month
    asked = most is not None or document.objective.usd_per_tco2e is not None or "carbon" in document.objective.goals
    if not asked:
        return
    if not findings.check("16 carbon", emission.total is not None, "carbon", "is not known, and the scenario asks"):
        return
    if most is not None and emission.total is not None:
        limit = Fraction(repr(float(most)))
        findings.at_most("16 carbon", emission.total, limit * (1 + TOLERANCE), "carbon", "tCO2e a month")


def check_carbon(
    told: Mapping[str, Fraction | None] | None,
    months: Sequence[tuple[Fraction, Emitted]],
    findings: Findings,
    *,
    asked: bool,
) -> None:
    """The carbon that the plan states: means over the periods by their months; null says nothing where nobody asks."""
    parts = {
        "energy_tco2e": mean([(lasting, emission.energy) for lasting, emission in months]),
        "embodied_tco2e": mean([(lasting, emission.embodied) for lasting, emission in months]),
        "total_tco2e": mean([(lasting, emission.total) for lasting, emission in months]),
    }
    if told is None:
        if asked:
            findings.check("16 carbon", False, "carbon", "the plan says nothing of it")
        return
    for name, value in parts.items():
        if name not in told:
            continue  # a violation of the format by now
        said = told[name]
        near = said is value if said is None or value is None else abs(said - value) <= TOLERANCE * (1 + value)
        detail = f"the plan says {_told(said)}, recomputed {_told(value)}"
        findings.check("16 carbon", near, f"carbon.{name}", detail)


def mean(parts: Sequence[tuple[Fraction, Fraction | None]]) -> Fraction | None:
    """Mean of figures by the months that they hold; None where any is."""
    weighted = [None if value is None else months * value for months, value in parts]
    whole = _sum(weighted)
    return None if whole is None else whole / sum(months for months, _ in parts)


def _sum(parts: Sequence[Fraction | None]) -> Fraction | None:
    total = Fraction(0)
    for part in parts:
        if part is None:
            return None
        total += part
    return total


def _told(value: Fraction | None) -> str:
    return "nothing" if value is None else f"{float(value):.9g} tCO2e"
