"""Rule 15: every job runs once, in its window, long enough, where its data may go, on servers that are large enough."""

import datetime as dt
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from placement.audit.case import Case
from placement.audit.exact import exact, known, settled
from placement.audit.facts import MONTH_HOURS, rows
from placement.audit.plan_rows import JobRow
from placement.audit.report import Findings
from placement.scenario import Scenario

DAY_HOURS = 24
NODE = Fraction(8)
"""A gang above eight GPUs is made of eights."""
HOURS_TOLERANCE = Fraction(1, 10**9)


@dataclass(frozen=True)
class Job:
    """A job as the table states it."""

    name: str
    gpu: str
    gpus: int
    hours: Fraction
    window: tuple[str, ...]  # none: any slice
    deadline: str
    preemptible: bool
    residency: str
    data_gb: Fraction
    data_site: str
    period: str


@dataclass(frozen=True)
class Gang:
    """GPUs that a job takes at a site in some slices: of servers of at least `size`."""

    site: str
    gpu: str
    size: Fraction
    gpus: Fraction
    slices: tuple[str, ...]


def read_jobs(scenario: Scenario, first: str) -> dict[str, Job]:
    """The jobs by name; one that names no period runs in the `first`."""
    return {
        row["job"]: Job(
            name=row["job"],
            gpu=row["gpu"],
            gpus=int(row["gpus"]),
            hours=exact(row["hours"]),
            window=tuple(row["window"].split("+")) if row["window"] else (),
            deadline=row["deadline"],
            preemptible=row["preemptible"] == "yes",
            residency=row["residency"],
            data_gb=known(row["data_gb"]) or Fraction(0),
            data_site=row["data_site"],
            period=row["period"] or first,
        )
        for row in rows(scenario, "jobs")
    }


def check_jobs(case: Case, planned: Sequence[JobRow], findings: Findings) -> tuple[Gang, ...]:
    """(15) for one period: exactly one row for each of its jobs, and each row a way to run it. Returns their gangs."""
    jobs = read_jobs(case.scenario, case.periods[0].name)
    mine = {name: job for name, job in jobs.items() if job.period == case.period.name}
    found: dict[str, list[JobRow]] = defaultdict(list)
    for row in planned:
        if not jobs:
            findings.check("rule off", False, f"job {row.job}", "the scenario has no jobs")
        elif row.job not in mine:
            findings.check("15 jobs", False, f"job {row.job}", "the scenario has no such job in the period")
        found[row.job].append(row)
    for name in sorted(mine):
        count = len(found[name])
        findings.check("15 jobs", count == 1, f"job {name}", f"runs {count} times, not once")
    runs = [(mine[row.job], row) for row in planned if row.job in mine]
    for job, row in runs:
        _check_run(case, job, row, findings)
    return tuple(_gang(case, job, row) for job, row in runs)


def _check_run(case: Case, job: Job, row: JobRow, findings: Findings) -> None:
    where = f"job {job.name} at {row.site}"
    _check_window(case, job, row, where, findings)
    _check_hours(case, job, row, where, findings)
    whole = job.gpus in (1, 2, 4) or (job.gpus > 0 and job.gpus % 8 == 0)
    findings.check("15 gang", whole, where, f"a gang of {job.gpus} fills no servers")
    largest = case.hosting.largest.get((row.site, job.gpu), Fraction(0))
    fits, least = largest >= min(Fraction(job.gpus), NODE), float(min(Fraction(job.gpus), NODE))
    findings.check("15 gang", fits, where, f"no server there has {least:g} {job.gpu}")
    if case.residency.sets is not None:
        name, country = job.residency or case.residency.default, case.facts.sites[row.site].country
        detail = f"the set {name!r} does not allow country {country!r}"
        findings.check("3 residency", may_go(case, job, row.site), where, detail)


def may_go(case: Case, job: Job, site_name: str) -> bool:
    """(3) Whether the residency of a job's data allows the site.

    A job without any set may run anywhere: unlike that of users, its data have an owner who chose to name none.
    """
    site = case.facts.sites[site_name]
    home = case.facts.sites[job.data_site].country if job.data_site in case.facts.sites else ""
    name = job.residency or case.residency.default
    return case.residency.sets is None or not name or case.residency.allows_set(name, home, site.country, site.vendor)


def _check_window(case: Case, job: Job, row: JobRow, where: str, findings: Findings) -> None:
    """Each slice once and within the window; one run without a break unless the job may be stopped."""
    strange = sorted(set(_slices(case, row)) - set(job.window or case.facts.hours))
    findings.check("15 window", not strange, where, f"runs in {', '.join(strange)}, outside of its window")
    findings.check("15 window", len(set(row.slices)) == len(row.slices), where, "names a slice twice")
    if not job.preemptible:
        together = breaks(case.facts.day, set(_slices(case, row))) <= 1
        findings.check("15 window", together, where, f"{', '.join(row.slices)} are not one run, and it may not stop")


def breaks(day: Sequence[str], chosen: set[str]) -> int:
    """How many runs of slices, around the clock, the chosen ones make up; 0 for all of them."""
    return sum(name in chosen and day[j - 1] not in chosen for j, name in enumerate(day))


def _check_hours(case: Case, job: Job, row: JobRow, where: str, findings: Findings) -> None:
    """The slices last long enough for the work and moving the data, until the deadline; the transfer is exact."""
    transfer = transfer_hours(case, job, row.site)
    if transfer is None:
        findings.check("15 hours", False, where, f"nobody knows the uplink of {job.data_site}")
        return
    off = abs(row.transfer_hours - transfer)
    detail = f"moving the data takes {float(transfer):.9g} hours, the plan says {float(row.transfer_hours):.9g}"
    findings.check("15 hours", off <= HOURS_TOLERANCE * max(transfer, Fraction(1)), where, detail, off)
    lasting = lasting_hours(case, job, _slices(case, row))
    if lasting is None:
        findings.check("15 hours", False, where, "has a deadline, and nobody knows the day that it counts from")
        return
    findings.at_most("15 hours", job.hours + transfer, lasting, where, "hours")


def lasting_hours(case: Case, job: Job, slices: Sequence[str]) -> Fraction | None:
    """Hours until the deadline that some slices of the day last; None where nobody knows the first day."""
    a_day = sum((case.facts.hours[name] for name in set(slices)), Fraction(0)) * DAY_HOURS / MONTH_HOURS
    days = days_of(case, job)
    if days is None:
        return None
    if not job.preemptible and set(slices) != set(case.facts.hours):
        days = Fraction(min(math.floor(days), 1))  # one run, in one day
    return a_day * days


def days_of(case: Case, job: Job) -> Fraction | None:
    """Days from the period's first to the deadline, both included; without one the length of the period."""
    if not job.deadline:
        return MONTH_HOURS / DAY_HOURS * case.period.months
    if not case.period.start_date:
        return None
    between = dt.date.fromisoformat(job.deadline) - dt.date.fromisoformat(case.period.start_date)
    return Fraction(max(between.days + 1, 0))


def transfer_hours(case: Case, job: Job, site: str) -> Fraction | None:
    """Hours that the data are on their way, 8000 Mbit a GB; None where the wire that they leave by is not known."""
    if job.data_site in ("", site) or job.data_gb == 0:
        return Fraction(0)
    mbps, down = case.facts.sites[job.data_site].uplink_mbps, case.facts.sites[site].downlink_mbps
    if mbps is None or mbps <= 0:
        return None
    return job.data_gb * 8000 / min(mbps, mbps if down is None else down) / 3600


def job_kwh(case: Case, job: Job, site: str) -> Fraction:
    """All of a job's energy, as the meter of the site counts it."""
    busy_kw = case.prices.busy_kw.get(job.gpu, Fraction(0))
    return job.gpus * busy_kw * case.facts.sites[site].pue * job.hours


def job_usd(case: Case, job: Job, row: JobRow) -> Fraction:
    """A month of a job: its energy at the mean price of its slices, and the way of its data out of their site."""
    weights = {name: case.facts.hours[name] for name in set(_slices(case, row))}
    priced = sum((hours * case.facts.usd_per_kwh[(row.site, name)] for name, hours in weights.items()), Fraction(0))
    usd = job_kwh(case, job, row.site) * priced / sum(weights.values())
    return settled((usd + moving_usd(case, job, row.site)) / case.period.months)


def moving_usd(case: Case, job: Job, site: str) -> Fraction:
    """What the way of a job's data out of their site costs, once."""
    if job.data_site in ("", site):
        return Fraction(0)
    return job.data_gb * case.facts.sites[job.data_site].egress_usd_per_gb


def job_tco2e(case: Case, job: Job, row: JobRow) -> Fraction | None:
    """A month of a job's carbon; None where a figure of one of its slices is absent."""
    total, lasting = Fraction(0), Fraction(0)
    for name in set(_slices(case, row)):
        grams = case.facts.gco2_per_kwh[(row.site, name)]
        if grams is None:
            return None
        total, lasting = total + case.facts.hours[name] * grams, lasting + case.facts.hours[name]
    return settled(job_kwh(case, job, row.site) * total / lasting / 10**6 / case.period.months)


def _slices(case: Case, row: JobRow) -> tuple[str, ...]:
    return row.slices or tuple(case.facts.hours)


def _gang(case: Case, job: Job, row: JobRow) -> Gang:
    size = min(Fraction(job.gpus), NODE)
    return Gang(row.site, job.gpu, size, Fraction(job.gpus), tuple(sorted(set(_slices(case, row)))))
