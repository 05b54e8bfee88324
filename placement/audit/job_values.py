"""What jobs are worth to a site at the prices of a certificate (15); `docs/certificate.md` (E).

Replicas that stand all day leave the same GPUs free in every slice. Of these a site's jobs need as many as the largest
gang has, and as many as the gangs together have of jobs that all run in one slice, whatever else they choose.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

import numpy as np

from placement.audit.arrays import Float
from placement.audit.case import Case
from placement.audit.facts import MONTH_HOURS
from placement.audit.jobs import (
    DAY_HOURS,
    NODE,
    Job,
    days_of,
    job_kwh,
    lasting_hours,
    may_go,
    moving_usd,
    read_jobs,
    transfer_hours,
)
from placement.audit.site_value import EPS, profit_usd

GRAMS_PER_TONNE = 10**6


@dataclass(frozen=True)
class JobValues:
    """Values the jobs of one period that have a price."""

    case: Case
    job_usd: Mapping[str, float]
    dearer: float  # 1 + ν

    def at(self, site: str) -> Mapping[str, Float]:
        """By GPU: the most that jobs earn at the site with 0, 1, 2, … GPUs kept free for them."""
        return self._values.get(site, {})

    @cached_property
    def known(self) -> dict[str, Job]:
        """The period's jobs by name."""
        jobs = read_jobs(self.case.scenario, self.case.periods[0].name)
        return {name: job for name, job in jobs.items() if job.period == self.case.period.name}

    @cached_property
    def _values(self) -> dict[str, dict[str, Float]]:
        found: dict[str, dict[str, dict[str, list[tuple[int, float]]]]] = defaultdict(
            lambda: defaultdict(lambda: defaultdict(list))
        )
        for name in sorted(self.job_usd):
            job = self.known[name]
            for site in self._hours[name]:
                usd = self._earned(job, site)
                if usd > 0:
                    found[site][job.gpu][self._together[name]].append((max(job.gpus, 1), usd))
        return {
            site: {gpu: _kept_free(list(labels.values())) for gpu, labels in by_gpu.items()}
            for site, by_gpu in found.items()
        }

    @cached_property
    def _hours(self) -> dict[str, dict[str, Fraction]]:
        """Hours of a job with those that its data take, by the sites where it could run."""
        return {name: dict(self._hosts(self.known[name])) for name in self.job_usd}

    def _hosts(self, job: Job) -> list[tuple[str, Fraction]]:
        case, found = self.case, []
        longest = lasting_hours(case, job, job.window or tuple(case.facts.hours))
        for (site, gpu), largest in case.hosting.largest.items():
            if gpu != job.gpu or largest < min(Fraction(job.gpus), NODE) or not may_go(case, job, site):
                continue
            transfer = transfer_hours(case, job, site)
            if transfer is not None and longest is not None and job.hours + transfer <= longest:
                found.append((site, job.hours + transfer))
        return found

    def _earned(self, job: Job, site: str) -> float:
        """The price of a job less the least that running it there costs in a month; rounded up."""
        kwh = job_kwh(self.case, job, site)
        cost = (kwh * self._least_rate(job, site) + moving_usd(self.case, job, site)) / self.case.period.months
        price = np.array(self.job_usd[job.name])
        return float(profit_usd(price, np.array(self.dearer * float(cost))))

    def _least_rate(self, job: Job, site: str) -> Fraction:
        """USD a kWh, carbon included: the mean over as many hours a day as are needed, the cheapest slices first.

        The slices of no way to run the job cost less on average, since they last at least as long.
        """
        facts = self.case.facts
        days = days_of(self.case, job) or Fraction(1)
        left = wanted = self._hours[job.name][site] / days * MONTH_HOURS / DAY_HOURS
        rates = sorted((self._rate(site, name), facts.hours[name]) for name in job.window or facts.hours)
        total = Fraction(0)
        for rate, hours in rates:
            total += rate * min(hours, left)
            left -= min(hours, left)
        return total / wanted if wanted > 0 and left <= 0 else rates[0][0]

    def _rate(self, site: str, name: str) -> Fraction:
        grams = self.case.facts.gco2_per_kwh[(site, name)] or Fraction(0)
        return self.case.facts.usd_per_kwh[(site, name)] + self.case.prices.carbon_usd(grams / GRAMS_PER_TONNE)

    @cached_property
    def _together(self) -> dict[str, str]:
        """By job, the slice that it cannot do without; the job itself where there is none.

        Of several that with the most GPUs of all jobs, the first of equals.
        """
        always = {name: self._always(self.known[name]) for name in self.job_usd}
        gpus: dict[str, int] = defaultdict(int)
        for name, slices in always.items():
            for t in slices:
                gpus[t] += self.known[name].gpus
        return {
            name: "in " + max(slices, key=lambda t: gpus[t]) if slices else "job " + name
            for name, slices in always.items()
        }

    def _always(self, job: Job) -> list[str]:
        """Slices without which the others of its window do not last long enough, wherever it runs."""
        needed = min(self._hours[job.name].values(), default=Fraction(0))
        window = job.window or tuple(self.case.facts.hours)
        found = []
        for t in window:
            rest = tuple(name for name in window if name != t)
            lasting = lasting_hours(self.case, job, rest) if rest else Fraction(0)
            if lasting is not None and needed > lasting:
                found.append(t)
        return found


def _kept_free(labels: Sequence[Sequence[tuple[int, float]]]) -> Float:
    """Most that jobs (GPUs, USD) earn with 0, 1, 2, … GPUs; those of one label take theirs beside each other."""
    room = max(sum(gpus for gpus, _ in jobs) for jobs in labels)
    total = np.zeros(room + 1)
    for jobs in labels:
        value = np.zeros(room + 1)
        for gpus, usd in jobs:
            value[gpus:] = np.maximum(value[gpus:], value[:-gpus] + usd)
        total += value
    return np.asarray(total * (1 + 2 * (sum(map(len, labels)) + 2) * EPS), np.float64)
