"""The planning periods of a scenario, as the auditor reads them; a scenario without any has one nameless period."""

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from placement.audit.exact import exact
from placement.audit.facts import rows
from placement.scenario import Scenario


@dataclass(frozen=True)
class Period:
    """One period, and which of the dated rows hold in it."""

    name: str  # "" without periods
    number: int  # 0 for the first
    months: Fraction
    start_date: str  # as 2027-01-31; "" where neither the table nor the document says one
    after: str = ""  # the period before; "" for the first

    def begun(self, period: str) -> bool:
        """Whether what arrives in `period` is there: in this one or before. A row that names none is there at once.

        Without periods of demand all rows are there, whatever they name.
        """
        return not self.name or period <= self.name

    def own(self, period: str) -> bool:
        """Whether a row that names `period` speaks of this one first: it is there, and was not in the one before."""
        return self.begun(period) and (self.number == 0 or period > self.after)

    def in_force(self, from_date: str) -> bool:
        """Whether a rule that begins on `from_date` holds when the period begins; one of an unknown day does."""
        return not from_date or not self.start_date or from_date <= self.start_date


def read_periods(scenario: Scenario) -> tuple[Period, ...]:
    """The distinct non-empty periods of demand, in alphabetical order, with their dates and lengths."""
    listed: dict[str, Mapping[str, Any]] = {row["period"]: row for row in rows(scenario, "periods")}
    today = scenario.document.planning_date
    planned = "" if today is None else today.isoformat()
    names = sorted({row["period"] for row in rows(scenario, "demand")} - {""}) or [""]
    found = []
    for number, (after, name) in enumerate(zip(["", *names], names, strict=False)):
        row = listed.get(name)
        months = Fraction(1) if row is None else exact(row["months"])
        found.append(Period(name, number, months, (row["start_date"] if row else "") or planned, after))
    return tuple(found)
