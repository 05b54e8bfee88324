"""The planning periods of a scenario, and the demand rows of each."""

from dataclasses import dataclass

import pandas as pd

from placement.frames import keyed
from placement.problem.errors import UnplannableError
from placement.scenario import Scenario

DEMAND_KEY = ["region", "model", "service", "slice"]


class PeriodError(UnplannableError):
    """Demand does not say what a period or a slice of it asks."""


@dataclass(frozen=True)
class Period:
    """One period: `months` is its weight, `start_date` its first day as 2027-01-31, "" where nobody says one."""

    name: str  # "" without periods
    number: int
    months: float
    start_date: str

    def begun(self, period: str) -> bool:
        """Whether what arrives in `period` is there; a row that names none is there at once.

        In a scenario without periods everything is there.
        """
        return not self.name or period <= self.name

    def own(self, period: str) -> bool:
        """Whether a row that names `period` speaks of this one; a row that names none speaks of the first."""
        return not self.name or period == self.name or (not period and self.number == 0)


def planned_periods(scenario: Scenario) -> tuple[Period, ...]:
    """The periods that demand names, in alphabetical order; a nameless one where it names none.

    Raises:
        PeriodError: some rows of demand name a period and others do not, or a period lacks a slice that others have.
    """
    demand = scenario.table("demand")
    named = set(demand["period"])
    if "" in named and len(named) > 1:
        raise PeriodError("some rows of demand name a period and others do not: name the period of every row")
    for slice_, periods in demand.groupby("slice")["period"]:
        if lacking := sorted(named - set(periods)):
            raise PeriodError(f"no demand in slice {slice_!r} of period {lacking[0]!r}: write its rows, 0 where none")
    listed = keyed(scenario.table("periods"), "period")
    today = scenario.document.planning_date
    planned = today.isoformat() if today is not None else ""
    found = []
    for number, name in enumerate(sorted(named) or [""]):
        row = listed.get(str(name), {"months": 1.0, "start_date": ""})
        found.append(Period(str(name), number, float(row["months"]), str(row["start_date"]) or planned))
    return tuple(found)


def demand_rows(scenario: Scenario, period: str = "") -> pd.DataFrame:
    """The demand rows of a period in the Problem's order; "" is the period of a scenario without periods."""
    table = scenario.table("demand")
    return table[table["period"] == period].sort_values(DEMAND_KEY).reset_index(drop=True)
