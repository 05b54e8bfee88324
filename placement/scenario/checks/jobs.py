"""Rule 15 as written: gangs, windows, deadlines, where the data may go."""

import datetime as dt
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from placement.scenario.checks.periods import DAYS_A_MONTH, months, start_dates
from placement.scenario.checks.residency import allows_a_site
from placement.scenario.draft import Draft, at_rows
from placement.scenario.findings import Finding, nearest, shortened

DAY_H = 24.0
NODE_GPUS = 8  # a gang above it is made of eights
MOST_SLICES = 12  # of the window of a job that may be stopped: every set of them is a way to run it
SLACK = 1 + 1e-9


def check_gangs(draft: Draft) -> Iterator[Finding]:
    """A gang is 1, 2, 4 or a multiple of 8 GPUs, so that it fills servers as replicas do."""
    gpus = draft.frame("jobs")["gpus"]
    rows = gpus.index[gpus.notna() & ~gpus.isin([1, 2, 4]) & (gpus % NODE_GPUS != 0)]
    message, mend = "a gang of this size does not fill servers evenly", "Use 1, 2, 4 or a multiple of 8 GPUs."
    yield from at_rows(draft, "jobs", rows, "gpus", "job-gang", message, mend)


def check_a_server_holds_the_gang(draft: Draft) -> Iterator[Finding]:
    """Some server of the GPU has as many as the gang takes of one server."""
    if "servers" not in draft:
        return
    frame = draft.frame("jobs")
    largest = frame["gpu"].map(draft.frame("servers").groupby("gpu")["gpus"].max())
    known = frame["gpu"].isin(draft.names("gpus"))
    mend = "Name another GPU, or add such a server."
    rows = frame.index[known & largest.isna()]
    yield from at_rows(draft, "jobs", rows, "gpu", "job-server", "no server has this GPU", mend)
    rows = frame.index[(frame["gpus"].clip(upper=NODE_GPUS) > largest).to_numpy(np.bool_)]
    message = "no server has that many of this GPU, and the gang takes them in one"
    yield from at_rows(draft, "jobs", rows, "gpus", "job-server", message, mend)


def check_windows_name_slices(draft: Draft) -> Iterator[Finding]:
    """A window is slices of the day that demand names, joined by +, each once."""
    known = sorted(day_slices(draft))
    frame = draft.frame("jobs")
    for line, window in frame["window"][frame["window"] != ""].items():
        parts = str(window).split("+")
        for name in dict.fromkeys(parts):
            if name not in known:
                message = f"unknown slice: no row of demand names {shortened(name)!r}"
                mend = "Join slices by +, as in night+morning. " + nearest(name, known)
                yield _of_row(draft, line, "window", "job-window", message, mend)
            elif parts.count(name) > 1:
                message = f"the slice {shortened(name)!r} stands twice"
                yield _of_row(draft, line, "window", "job-window", message, "Name it once.")


def day_slices(draft: Draft) -> dict[str, float]:
    """Hours of the slices that demand names, in the order of the day; empty where the day is one slice."""
    used = set(draft.frame("demand")["slice"])
    frame = draft.frame("slices")
    frame = frame[(frame["slice"] != "") & frame["slice"].isin(used)].sort_values("start_utc", kind="stable")
    return dict(zip(frame["slice"], frame["hours_per_day"], strict=True))


def check_deadlines(draft: Draft) -> Iterator[Finding]:
    """A deadline has a date to count from, lies behind it, and before the next period begins."""
    if draft.document is None:
        return
    starts = start_dates(draft)
    first, after = next(iter(starts)), dict(pairwise(starts))
    mend = "Write planning_date in scenario.toml, or the start_date of the period."
    for line, row in _jobs(draft):
        period = row["period"] or first
        if not row["deadline"] or period not in starts:
            continue
        start, deadline = starts[period], dt.date.fromisoformat(row["deadline"])
        end = starts[after[period]] if period in after else None
        if start is None:
            message = "nothing to count from: neither planning_date nor the period says when the plan begins"
            yield _of_row(draft, line, "deadline", "job-deadline", message, mend)
        elif deadline < start:
            message = f"the deadline is before {start}, when the period of the job begins"
            yield _of_row(draft, line, "deadline", "job-deadline", message, "Correct the date, or the job's period.")
        elif end is not None and start < end <= deadline:
            message = f"the next period begins on {end}, and the job holds its GPUs only in its own"
            mend_end = "Give the last day of the period at most, or move the job to a later one."
            yield replace(_of_row(draft, line, "deadline", "job-deadline", message, mend_end), severity="warning")


def check_the_hours_fit(draft: Draft) -> Iterator[Finding]:
    """The hours of work fit in the window until the deadline, if the data need not be moved at all."""
    slices, starts, lasts = day_slices(draft), start_dates(draft), months(draft)
    for line, row in _jobs(draft):
        parts = row["window"].split("+") if row["window"] else list(slices)
        days = _days(row, starts, lasts)
        if days is None or not np.isfinite(row["hours"]) or not set(parts) <= set(slices):
            continue  # reported as such
        stoppable = row["preemptible"] == "yes"
        if stoppable and len(parts) > MOST_SLICES:
            message = f"may be stopped, and its window has {len(parts)} slices: at most {MOST_SLICES} can be planned"
            yield _of_row(draft, line, "window", "job-window", message, "Name the slices that it should run in.")
        fit = most_hours(slices, frozenset(parts), days, stoppable=stoppable)
        if row["hours"] > fit * SLACK:
            how = "in all until its deadline" if stoppable or len(parts) == len(slices) else "in one run"
            message = f"{fit:.4g} hours fit into its window {how}, even if no data had to be moved"
            mend = "Widen window or deadline, use more GPUs for fewer hours, or let it be stopped (preemptible)."
            yield _of_row(draft, line, "hours", "job-hours", message, mend)


def most_hours(slices: dict[str, float], window: frozenset[str], days: float, *, stoppable: bool) -> float:
    """Hours that a job can run: its window on every day where it may be stopped, else one run without a break.

    `slices` are the hours of all slices in the order of the day. A run that is never broken lasts over the days only
    where the window is the whole day.
    """
    if window >= set(slices):
        return DAY_H * days
    if stoppable:
        return sum(slices[name] for name in window) * days
    names = list(slices)
    first = next(place for place, name in enumerate(names) if name not in window)
    longest = run = 0.0
    for name in names[first:] + names[:first]:
        run = run + slices[name] if name in window else 0.0
        longest = max(longest, run)
    return longest


def _days(row: dict[str, Any], starts: dict[str, dt.date | None], lasts: dict[str, float]) -> float | None:
    """From the first day of the job's period to its deadline, both included; without one the length of the period."""
    period = row["period"] or next(iter(starts))
    if period not in starts:
        return None
    if not row["deadline"]:
        return DAYS_A_MONTH * lasts[period]
    start = starts[period]
    if start is None:
        return None
    days = (dt.date.fromisoformat(row["deadline"]) - start).days + 1
    return float(days) if days > 0 else None


def check_data(draft: Draft) -> Iterator[Finding]:
    """Data that is moved lies somewhere, and the job's residency set allows a site."""
    frame = draft.frame("jobs")
    rows = frame.index[(frame["data_gb"] > 0) & (frame["data_site"] == "")]
    message = "data that lies nowhere: moving it takes no time and costs nothing"
    yield from at_rows(draft, "jobs", rows, "data_gb", "job-data", message, "Name its data_site.", "warning")
    if "residency" not in draft or "sites" not in draft:
        return
    home = dict(zip(draft.frame("sites")["site"], draft.frame("sites")["country"], strict=True))
    rules = draft.frame("residency")
    for line, row in _jobs(draft):
        rows_of_set = rules[rules["residency"] == row["residency"]]
        if not row["residency"] or rows_of_set.empty:
            continue
        country = home.get(row["data_site"], "")
        if not allows_a_site(rows_of_set, draft.frame("sites"), country):
            whose = f"data of {country}" if country else "data whose country is not known (no data_site)"
            message = f"the residency set allows no site for {whose}, and every job must run"
            mend = "Add a country that has a site to the set, or name another set."
            yield _of_row(draft, line, "residency", "job-residency", message, mend)


def _jobs(draft: Draft) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, row) of every job."""
    frame = draft.frame("jobs")
    yield from zip((int(line) for line in frame.index), frame.to_dict("records"), strict=True)


def _of_row(draft: Draft, line: object, column: str, rule: str, message: str, mend: str) -> Finding:
    return next(iter(at_rows(draft, "jobs", [int(str(line))], column, rule, message, mend)))


CHECKS = (
    check_gangs,
    check_a_server_holds_the_gang,
    check_windows_name_slices,
    check_deadlines,
    check_the_hours_fit,
    check_data,
)
