"""Rules 10 to 12 over time: planning periods are those that demand names, in alphabetical order."""

import datetime as dt
from collections.abc import Iterator
from itertools import pairwise

from placement.scenario.draft import Draft, at_rows
from placement.scenario.findings import Finding, nearest, shortened

DAYS_A_MONTH = 730 / 24
SLACK_DAYS = 5.0  # months are of different lengths
SLACK_SHARE = 0.1


def planned_periods(draft: Draft) -> tuple[str, ...]:
    """The periods that demand names, in order; one nameless period where it names none."""
    return tuple(sorted(set(draft.frame("demand")["period"]) - {""})) or ("",)


def start_dates(draft: Draft) -> dict[str, dt.date | None]:
    """First day of every planned period, in their order: its own, else the planning date."""
    day = draft.document.planning_date if draft.document else None
    frame = draft.frame("periods")
    own = {name: start for name, start in zip(frame["period"], frame["start_date"], strict=True) if start}
    return {name: dt.date.fromisoformat(own[name]) if name in own else day for name in planned_periods(draft)}


def months(draft: Draft) -> dict[str, float]:
    """How long every planned period lasts."""
    frame = draft.frame("periods")
    own = {name: float(value) for name, value in zip(frame["period"], frame["months"], strict=True) if value > 0}
    return {name: own.get(name, 1.0) for name in planned_periods(draft)}


def undated_periods(draft: Draft) -> tuple[str, ...]:
    """Planned periods of which nobody knows the first day."""
    return tuple(name for name, day in start_dates(draft).items() if day is None)


def check_demand_names_its_period(draft: Draft) -> Iterator[Finding]:
    """Either every row of demand names its period or none does."""
    frame = draft.frame("demand")
    named = frame["period"] != ""
    rows = frame.index[~named & bool(named.any())]
    message, mend = "no period, though other rows name theirs", "Name the period: write one row for each period."
    yield from at_rows(draft, "demand", rows, "period", "demand-period", message, mend)


def check_periods_are_known(draft: Draft) -> Iterator[Finding]:
    """A period that another table names is one of demand's."""
    if "demand" not in draft:
        return
    known = [name for name in planned_periods(draft) if name]
    for table in ("periods", "deliveries", "budgets", "jobs"):
        frame = draft.frame(table)
        used = frame["period"]
        for line, value in used[(used != "") & ~used.isin(known)].items():
            message = "unknown period: no row of demand names it"
            mend = nearest(str(value), known) if known else "Name the period in the rows of demand, or leave it empty."
            row = int(str(line))
            yield Finding("unknown-period", draft.file(table), message, mend, row, "period", shortened(value))


def check_periods_are_complete(draft: Draft) -> Iterator[Finding]:
    """The table periods, where it holds rows, has every period of demand."""
    frame = draft.frame("periods")
    if frame.empty:
        return
    for name in planned_periods(draft):
        if name and name not in set(frame["period"]):
            message = "a period of demand is not in this table"
            mend = "Add its row; start_date and months may be empty."
            yield Finding("period-missing", draft.file("periods"), message, mend, None, "period", shortened(name))


def check_start_dates(draft: Draft) -> Iterator[Finding]:
    """Periods begin one after the other; those after the first have a date of their own where any has."""
    frame = draft.frame("periods").sort_values("period", kind="stable")
    frame = frame[frame["period"].isin(planned_periods(draft))]
    if not (frame["start_date"] != "").any():
        return
    starts, before = start_dates(draft), None
    for line, name, own in zip(frame.index, frame["period"], frame["start_date"], strict=True):
        day = starts[name]
        if before is not None and not own:
            message, mend = "no start_date, though other periods have theirs", "Write the first day of this period."
            yield from at_rows(draft, "periods", [int(line)], "start_date", "period-dates", message, mend)
        elif before is not None and day is not None and day <= before:
            message = f"the period begins on {day}, not after {before}, when the one before it in the alphabet does"
            mend = "Periods run in alphabetical order: correct the date, or rename the periods."
            yield from at_rows(draft, "periods", [int(line)], "start_date", "period-dates", message, mend)
        before = day or before


def check_months(draft: Draft) -> Iterator[Finding]:
    """A period lasts about as long as it is until the next one begins."""
    frame = draft.frame("periods").drop_duplicates("period").set_index("period")
    lines = dict(zip(draft.frame("periods")["period"], draft.frame("periods").index, strict=True))
    starts, lasts, names = start_dates(draft), months(draft), planned_periods(draft)
    for name, after in pairwise(names):
        first, next_ = starts[name], starts[after]
        if name not in lines or after not in lines or not frame["start_date"][after] or first is None or next_ is None:
            continue
        days = (next_ - first).days
        if days > 0 and abs(days - lasts[name] * DAYS_A_MONTH) > max(SLACK_DAYS, SLACK_SHARE * days):
            message = f"the next period begins {days} days later, {days / DAYS_A_MONTH:.1f} months"
            mend = "Correct months or the dates: months weigh the period's cost."
            yield from at_rows(
                draft, "periods", [int(lines[name])], "months", "period-months", message, mend, "warning"
            )


CHECKS = (
    check_demand_names_its_period,
    check_periods_are_known,
    check_periods_are_complete,
    check_start_dates,
    check_months,
)
