"""(15) Jobs: where and when each could run, and what that costs."""

from dataclasses import dataclass
from datetime import date
from fractions import Fraction
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from placement.frames import Row, floats, keyed, numbered, records, texts
from placement.problem.carbon import GRAMS, Carbon
from placement.problem.errors import UnplannableError
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


class JobError(UnplannableError):
    """A job that the tables do not say enough of, or that cannot be planned as it is stated."""


@dataclass(frozen=True)
class JobSite:
    """What sites could hold of every GPU for jobs: P × GPUs each."""

    gpus: tuple[str, ...]
    total: Int
    largest: Int  # GPUs of the largest server


@dataclass(frozen=True)
class JobPlan:
    """The options of a period's jobs; `names` and `tonnes` (tCO2e a month, NaN where nobody asks) are of options, A.

    `jobs` are the names of the jobs themselves, those without any option, too.
    """

    jobs: tuple[str, ...]
    rule: Jobs
    names: tuple[JobOption, ...]
    tonnes: Float

    def useful_gpus(self, sites: int, types: int) -> Float:
        """GPUs that jobs could take, P × types."""
        need = np.zeros((sites, types))
        rule = self.rule
        each = np.stack([rule.option_job, rule.option_site, rule.option_gpu, rule.option_quarters], axis=1)
        each = np.unique(each, axis=0)
        np.add.at(need, (each[:, 1], each[:, 2]), each[:, 3] / 4)
        return need


@dataclass(frozen=True)
class _Options:
    """Ways to run one job, A each, sorted by (site, slices)."""

    site: Int
    pattern: list[tuple[int, ...]]
    transfer_hours: Float
    usd: Float
    tonnes: Float


@dataclass(frozen=True)
class _World:
    """What all jobs of a period share."""

    scenario: Scenario
    period: Period
    day: Day
    rates: Rates
    carbon: Carbon | None
    room: JobSite

    @cached_property
    def sites(self) -> dict[str, Row]:
        return keyed(self.scenario.table("sites"), "site")


def job_plan(
    scenario: Scenario, period: Period, slices: tuple[str, ...], rates: Rates, carbon: Carbon | None, room: JobSite
) -> JobPlan | None:
    """The jobs of a period with all their options; None where it has none.

    A job whose every option is barred stays, with none: no plan satisfies it.

    Raises:
        JobError: a gang that fills no whole servers, a deadline that counts from no day, a window of unknown slices.
        WindowError: too many slices in the window of a job that may be stopped.
    """
    rows = [row for row in records(scenario.table("jobs")) if period.own(row["period"])]
    if not rows:
        return None
    world = _World(scenario, period, _day(scenario, slices), rates, carbon, room)
    found = [_options(world, row) for row in rows]
    count = [len(options.site) for options in found]
    site = np.concatenate([options.site for options in found])
    patterns = [pattern for options in found for pattern in options.pattern]
    number, gpu = numbered(room.gpus), [row["gpu"] for row in rows]
    running = np.zeros((len(patterns), len(slices)), np.bool_)
    for a, pattern in enumerate(patterns):
        running[a, list(pattern)] = True
    job = np.repeat(np.arange(len(rows)), count)
    rule = Jobs(
        jobs=len(rows),
        option_job=job,
        option_site=site,
        option_gpu=np.array([number.get(name, -1) for name in gpu], np.int64)[job],
        option_quarters=np.array([4 * int(row["gpus"]) for row in rows], np.int64)[job],
        option_slices=running,
        option_usd=np.concatenate([options.usd for options in found]),
    )
    spelt = {pattern: _in_day_order(world.day, pattern) for pattern in set(patterns)}
    sites, hours = texts(scenario.table("sites"), "site"), np.concatenate([options.transfer_hours for options in found])
    names = tuple(
        JobOption(rows[j]["job"], sites[p], spelt[pattern], float(transfer))
        for j, p, pattern, transfer in zip(job, site, patterns, hours, strict=True)
    )
    return JobPlan(
        tuple(str(row["job"]) for row in rows), rule, names, np.concatenate([options.tonnes for options in found])
    )


def job_gpus(scenario: Scenario) -> set[str]:
    """The GPUs that jobs run on."""
    return set(texts(scenario.table("jobs"), "gpu"))


def _options(world: _World, row: Row) -> _Options:
    """Every site and set of slices that one job could run in."""
    sites, months = world.scenario.table("sites"), world.period.months
    days, window = _days(world.period, row), _window(row, world.day)
    patterns = preemptible_patterns if row["preemptible"] == "yes" else continuous_patterns
    parts: list[tuple[Int, Int, list[tuple[int, ...]], float, float]] = []
    for (transfer, moved_usd), members in _transfers(world, row, _hosts(world, row)).items():
        ways = patterns(world.day, window, days, _exact(row["hours"]) + transfer)
        member = np.repeat(np.array(members, np.int64), len(ways))
        parts.append((member, np.tile(np.arange(len(ways)), len(members)), ways, float(transfer), moved_usd))
    site = np.concatenate([np.empty(0, np.int64), *(part[0] for part in parts)])
    way = np.concatenate([np.empty(0, np.int64), *(part[1] for part in parts)])
    order = np.lexsort((way, site))
    chosen = [part[2][w] for part in parts for w in part[1]]
    hours = np.repeat([part[3] for part in parts], [len(part[0]) for part in parts])
    moved = np.repeat([part[4] for part in parts], [len(part[0]) for part in parts])
    weight = np.zeros((len(chosen), len(world.day.names)))
    for a, pattern in enumerate(chosen):
        weight[a, list(pattern)] = world.rates.hours[list(pattern)]
    weight /= weight.sum(axis=1, keepdims=True)
    kw = dynamic_kw_per_gpu(world.scenario.table("servers")).get(row["gpu"], 0.0) * float(row["gpus"])
    kwh = kw * floats(sites, "pue")[site] * float(row["hours"]) / months
    usd = kwh * (world.rates.price[site] * weight).sum(axis=1) + moved / months
    tonnes = np.full(len(site), np.nan)
    if world.carbon is not None:
        tonnes = kwh * (world.carbon.gco2_per_kwh[site] * weight).sum(axis=1) / GRAMS
        usd = usd + world.carbon.usd_per_tonne * tonnes
    return _Options(site[order], [chosen[a] for a in order], hours[order], usd[order], tonnes[order])


def _hosts(world: _World, row: Row) -> Int:
    """Sites where servers that the gang fills could stand and where its data may go.

    A job that names no residency set, where no default is set either, may run anywhere: its data have an owner.
    """
    gang, room = int(row["gpus"]), world.room
    if gang not in SMALL_GANGS and gang % EIGHTS:
        raise JobError(f"job {row['job']!r} takes {gang} GPUs: a gang is 1, 2, 4 or a multiple of 8")
    if row["gpu"] not in room.gpus:
        return np.empty(0, np.int64)
    g = room.gpus.index(row["gpu"])
    can = (room.largest[:, g] >= min(gang, EIGHTS)) & (room.total[:, g] >= gang)
    name = row["residency"] or world.scenario.document.limits.default_residency
    if world.scenario.has("residency") and name:
        home = world.sites[row["data_site"]]["country"] if row["data_site"] else ""
        can &= set_allows(world.scenario, name, home)
    return np.flatnonzero(can)


def _transfers(world: _World, row: Row, hosts: Int) -> dict[tuple[Fraction, float], list[int]]:
    """Sites by (hours that moving the data there takes, what that costs once in USD); none that it never reaches."""
    sites = world.scenario.table("sites")
    names, down = texts(sites, "site"), floats(sites, "downlink_mbps")
    data_gb = 0.0 if np.isnan(row["data_gb"]) else float(row["data_gb"])
    source = world.sites.get(row["data_site"], {})
    hours: dict[float, Fraction] = {}  # by Mbit/s
    found: dict[tuple[Fraction, float], list[int]] = {}
    for p in hosts.tolist():
        transfer = (Fraction(0), 0.0)
        if data_gb and row["data_site"] not in ("", names[p]):
            mbps = source["uplink_mbps"] if np.isnan(down[p]) else min(source["uplink_mbps"], down[p])
            if not mbps > 0:
                continue
            if mbps not in hours:
                hours[mbps] = _exact(data_gb) * 8000 / _exact(mbps) / 3600
            transfer = (hours[mbps], data_gb * float(source["egress_usd_per_gb"]))
        found.setdefault(transfer, []).append(p)
    return found


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
    named = row["window"].split("+")
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


def _in_day_order(day: Day, pattern: tuple[int, ...]) -> tuple[str, ...]:
    """The names of a pattern's slices as the day has them; none where the day is one nameless slice."""
    if day.names == ("",):
        return ()
    return tuple(day.names[t] for t in day.order if t in pattern)


def _exact(value: float) -> Fraction:
    return Fraction(repr(float(value)))
