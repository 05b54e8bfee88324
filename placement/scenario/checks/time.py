"""Slices of the day, the planning date."""

from collections.abc import Iterator

import numpy as np

from placement.scenario.checks.periods import undated_periods
from placement.scenario.draft import Draft, at_key, at_rows
from placement.scenario.findings import Finding, Severity

DAY_H = 24.0


def check_slices_fill_the_day(draft: Draft) -> Iterator[Finding]:
    """The slices together are one day."""
    frame = draft.frame("slices")
    hours = frame["hours_per_day"]
    total = float(hours.sum())
    if len(frame) and not hours.isna().any() and abs(total - DAY_H) > 0.01:
        message, mend = (
            f"the slices add up to {total:g} hours, not 24",
            "Correct hours_per_day, or add the slice left out.",
        )
        yield Finding("slices-not-a-day", draft.file("slices"), message, mend, column="hours_per_day")


def check_slices_apart(draft: Draft) -> Iterator[Finding]:
    """No slice begins within another."""
    frame = draft.frame("slices")
    frame = frame[(frame["start_utc"] != "") & frame["hours_per_day"].notna()]
    if len(frame) < 2:
        return
    start = np.array([int(text[:2]) + int(text[3:]) / 60 for text in frame["start_utc"]])
    order = np.argsort(start, kind="stable")
    gap = (np.roll(start[order], -1) - start[order]) % DAY_H
    long = frame["hours_per_day"].to_numpy(np.float64)[order] > gap + 0.01
    rows = [int(frame.index[place]) for place in order[long]]
    message, mend = "the slice runs into the next one", "Correct start_utc or hours_per_day."
    yield from at_rows(draft, "slices", rows, "start_utc", "slices-overlap", message, mend)


def check_demand_by_slice(draft: Draft) -> Iterator[Finding]:
    """Either every row of demand names its slice or none does."""
    frame = draft.frame("demand")
    named = frame["slice"] != ""
    if "slices" in draft and len(frame) and not named.any():
        severity: Severity = "error" if (draft.frame("energy")["slice"] != "").any() else "warning"
        message = "no row of demand names a slice, though there is a table slices"
        mend = "Fill the column slice of demand, or remove the table (and the slices of energy)."
        file = draft.file("demand")
        yield Finding("demand-slice", file, message, mend, None, "slice", "", severity)
    elif named.any():
        rows = frame.index[~named]
        message, mend = "no slice, though other rows name theirs", "Name the slice: write one row for each slice."
        yield from at_rows(draft, "demand", rows, "service", "demand-slice", message, mend)


def check_every_slice_has_demand(draft: Draft) -> Iterator[Finding]:
    """A slice that no row names would have no hours: the servers that idle in it would draw nothing."""
    asked = set(draft.frame("demand")["slice"]) - {""}
    frame = draft.frame("slices")
    missed = (frame["slice"] != "") & ~frame["slice"].isin(asked) & bool(asked)
    message, mend = "no row of demand names this slice", "Write its rows; requests_per_s may be 0 in them."
    yield from at_rows(
        draft, "slices", [int(row) for row in frame.index[missed]], "slice", "slice-without-demand", message, mend
    )


def check_planning_date(draft: Draft) -> Iterator[Finding]:
    """A rule that begins at a date, or an age of measurements, needs a planning date to count from."""
    if draft.document is None:
        return
    day = draft.document.planning_date
    mend = "Write planning_date = 2026-01-31 at the top of scenario.toml."
    if day is None:
        export = draft.frame("export")
        rows = export.index[(export["from_date"] != "") & bool(undated_periods(draft))]
        message = "the rule begins at a date, and neither planning_date nor the period says when the plan does"
        yield from at_rows(draft, "export", rows, "from_date", "planning-date", message, mend)
        if draft.document.limits.max_age_days is not None:
            message = "ages count back from planning_date, and there is none"
            age = draft.document.limits.max_age_days
            yield from at_key(draft, "limits.max_age_days", age, "planning-date", message, mend)
    elif not 2000 <= day.year <= 2100:
        yield from at_key(draft, "planning_date", day, "planning-date", "far from today", "Check the year.", "warning")


CHECKS = (
    check_slices_fill_the_day,
    check_slices_apart,
    check_demand_by_slice,
    check_every_slice_has_demand,
    check_planning_date,
)
