"""(15) Jobs: where and when each could run, and what that costs."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from placement.frames import Row, floats, keyed, numbered, records, texts
from placement.problem.carbon import GRAMS, Carbon
from placement.problem.money import Rates, dynamic_kw_per_gpu
from placement.problem.names import JobOption
from placement.problem.patterns import Day, continuous_patterns, preemptible_patterns
from placement.problem.periods import Period
from placement.problem.residency import set_allows
from placement.scenario import Scenario
from solvers.rules import Jobs

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

SMALL_GANGS = (1, 2, 4)
EIGHTS = 8  # a larger gang fills servers of eight


class JobError(ValueError):
    """A job that the tables do not say enough of, or that cannot be planned as it is stated."""


@dataclass(frozen=True)
class JobSite:
    """What sites could hold of every GPU for jobs: P × GPUs each."""

    gpus: tuple[str, ...]
    total: Int
    largest: Int  # GPUs of the largest server


@dataclass(frozen=True)
class JobPlan:
    """The options of a period's jobs; `names` and `tonnes` (tCO2e a month, NaN where nobody asks) are of options, A."""

    rule: Jobs
    names: tuple[JobOption, ...]
    tonnes: Float

    def useful_gpus(self, sites: int, types: int) -> Float:
        """GPUs that jobs could take, P × types."""
        need = np.zeros((sites, types))
        rule = self.rule
        each = np.stack([rule.option_job, rule.option_site, rule.option_gpu, rule.option_quarters], axis=1)
        for _, site, gpu, quarters in np.unique(each, axis=0).tolist():
            need[site, gpu] += quarters / 4
        return need


def job_plan(
    scenario: Scenario, period: Period, slices: tuple[str, ...], rates: Rates, carbon: Carbon | None, room: JobSite
) -> JobPlan | None:
    """The jobs of a period with all their options; None where it has none.

    A job whose every option is barred stays, with none: no plan satisfies it.

    Raises:
        JobError: a gang that fills no whole servers, a deadline that counts from no day, a window of unknown slices or
            of too many, a residency that is not stated.
    """
    rows = [row for row in records(scenario.table("jobs")) if period.own(row["period"])]
    if not rows:
        return None
    day = _day(scenario, slices)
    found: list[tuple[int, int, int, tuple[int, ...], float, float, float]] = []
    number = numbered(room.gpus)
    for j, row in enumerate(rows):
        for p, pattern, hours, usd, tonnes in _options(scenario, period, row, day, rates, carbon, room):
            found.append((j, p, number[row["gpu"]], pattern, float(hours), usd, tonnes))
    sites = texts(scenario.table("sites"), "site")
    running = np.zeros((len(found), len(slices)), np.bool_)
    for a, option in enumerate(found):
        running[a, list(option[3])] = True
    rule = Jobs(
        jobs=len(rows),
        option_job=np.array([option[0] for option in found], np.int64),
        option_site=np.array([option[1] for option in found], np.int64),
        option_gpu=np.array([option[2] for option in found], np.int64),
        option_quarters=np.array([4 * int(rows[option[0]]["gpus"]) for option in found], np.int64),
        option_slices=running,
        option_usd=np.array([option[5] for option in found], np.float64),
    )
    names = tuple(
        JobOption(rows[j]["job"], sites[p], _in_day_order(day, pattern, slices), hours)
        for j, p, _, pattern, hours, _, _ in found
    )
    return JobPlan(rule, names, np.array([option[6] for option in found], np.float64))


def job_gpus(scenario: Scenario) -> set[str]:
    """The GPUs that jobs run on."""
    return set(texts(scenario.table("jobs"), "gpu"))


def _options(
    scenario: Scenario,
    period: Period,
    row: Row,
    day: Day,
    rates: Rates,
    carbon: Carbon | None,
    room: JobSite,
) -> Iterator[tuple[int, tuple[int, ...], Fraction, float, float]]:
    """Every (site, slices, hours of transfer, USD a month, tCO2e a month) of one job, by site and slices."""
    gang = int(row["gpus"])
    if gang not in SMALL_GANGS and gang % EIGHTS:
        raise JobError(f"job {row['job']!r} takes {gang} GPUs: a gang is 1, 2, 4 or a multiple of 8")
    days, window = _days(period, row), _window(row, day)
    if row["gpu"] not in room.gpus:
        return
    sites = scenario.table("sites")
    g = room.gpus.index(row["gpu"])
    can = (room.largest[:, g] >= min(gang, EIGHTS)) & (room.total[:, g] >= gang) & _allowed(scenario, row)
    kw = gang * dynamic_kw_per_gpu(scenario.table("servers"))[row["gpu"]] * float(row["hours"]) / period.months
    known: dict[Fraction, list[tuple[int, ...]]] = {}
    for p in np.flatnonzero(can).tolist():
        transfer, moved_usd = _transfer(scenario, row, p)
        if transfer is None:
            continue
        if transfer not in known:
            needs = _exact(row["hours"]) + transfer
            known[transfer] = (
                preemptible_patterns(day, window, days, needs)
                if row["preemptible"] == "yes"
                else continuous_patterns(day, window, days, needs)
            )
        for pattern in known[transfer]:
            at = list(pattern)
            weight = rates.hours[at] / rates.hours[at].sum()
            kwh = kw * float(floats(sites, "pue")[p])
            usd = kwh * float(rates.price[p, at] @ weight) + moved_usd / period.months
            tonnes = np.nan
            if carbon is not None:
                tonnes = kwh * float(carbon.gco2_per_kwh[p, at] @ weight) / GRAMS
                usd += carbon.usd_per_tonne * tonnes
            yield p, pattern, transfer, usd, tonnes


def _day(scenario: Scenario, slices: tuple[str, ...]) -> Day:
    """The slices with their hours, in the order of the day."""
    if slices == ("",):
        return Day(slices, (Fraction(24),), (0,))
    table = keyed(scenario.table("slices"), "slice")
    order = sorted(range(len(slices)), key=lambda t: (table[slices[t]]["start_utc"], slices[t]))
    return Day(slices, tuple(_exact(table[name]["hours_per_day"]) for name in slices), tuple(order))


def _window(row: Row, day: Day) -> tuple[int, ...]:
    """The slices that a job may run in, as numbers."""
    if not row["window"]:
        return tuple(range(len(day.names)))
    number = numbered(day.names)
    named = [name.strip() for name in row["window"].split("+")]
    unknown = [name for name in named if name not in number]
    if unknown:
        raise JobError(f"the window of job {row['job']!r} names {unknown[0]!r}, which is no slice of the demand")
    return tuple(sorted({number[name] for name in named}))


def _days(period: Period, row: Row) -> Fraction:
    """Days that a job has: to its deadline, first and last day included, else the period's."""
    if not row["deadline"]:
        return Fraction(730, 24) * _exact(period.months)
    if not period.start_date:
        raise JobError(f"job {row['job']!r} has a deadline, and neither its period nor the scenario a first day")
    left = date.fromisoformat(row["deadline"]) - date.fromisoformat(period.start_date)
    return Fraction(max(left.days + 1, 0))


def _allowed(scenario: Scenario, row: Row) -> Bool:
    """(3) sites that the residency of the job's data allows, P; `@own` is the country where the data lies."""
    if not scenario.has("residency"):
        return np.ones(len(scenario.table("sites")), np.bool_)
    name = row["residency"] or scenario.document.limits.default_residency
    if not name:
        raise JobError(f"job {row['job']!r} names no residency set: where its data may go is not said")
    home = keyed(scenario.table("sites"), "site")[row["data_site"]]["country"] if row["data_site"] else ""
    return set_allows(scenario, name, home)


def _transfer(scenario: Scenario, row: Row, site: int) -> tuple[Fraction | None, float]:
    """Hours that moving the data takes (None: it never arrives), and what that costs once, USD."""
    sites = records(scenario.table("sites"))
    data_gb = row["data_gb"]
    if not row["data_site"] or row["data_site"] == sites[site]["site"] or np.isnan(data_gb) or data_gb == 0:
        return Fraction(0), 0.0
    source = keyed(scenario.table("sites"), "site")[row["data_site"]]
    mbps = _exact(source["uplink_mbps"])
    if not np.isnan(sites[site]["downlink_mbps"]):
        mbps = min(mbps, _exact(sites[site]["downlink_mbps"]))
    if mbps <= 0:
        return None, 0.0
    return _exact(data_gb) * 8000 / mbps / 3600, float(data_gb * source["egress_usd_per_gb"])


def _in_day_order(day: Day, pattern: tuple[int, ...], slices: tuple[str, ...]) -> tuple[str, ...]:
    """The names of a pattern's slices as the day has them; none where the day is one nameless slice."""
    if slices == ("",):
        return ()
    return tuple(slices[t] for t in day.order if t in pattern)


def _exact(value: float) -> Fraction:
    return Fraction(repr(float(value)))
