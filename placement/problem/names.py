"""What each number of a Problem stands for, so that a solution can be told in the scenario's own words."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from solvers.rollout import Rollout
from solvers.rules import Total

Float = NDArray[np.float64]

Way = Literal["fleet", "buy", "rent"]


@dataclass(frozen=True)
class Offer:
    """A way to hold servers of one kind at one site: those that stand there, bought ones, or rented ones.

    `tenant` is the dedicated tenant whose replicas alone they carry, "" for anybody's.
    """

    site: str
    server: str
    way: Way = "fleet"
    tenant: str = ""

    @property
    def new(self) -> bool:
        return self.way != "fleet"


@dataclass(frozen=True)
class ShapeName:
    """A shape, as anybody's or as the one that a dedicated tenant runs on servers of its own."""

    shape: str
    tenant: str = ""


@dataclass(frozen=True)
class DemandRow:
    """One class (region, model, service) in one slice."""

    region: str
    model: str
    service: str
    slice: str


@dataclass(frozen=True)
class JobOption:
    """One way to run a job: at a site, in these slices of every day (none: the day is one slice)."""

    job: str
    site: str
    slices: tuple[str, ...]
    transfer_hours: float


@dataclass(frozen=True)
class Names:
    """Names of one period, in the order of its Problem's arrays; "" for the period of a scenario without periods."""

    period: str
    sites: tuple[str, ...]
    slices: tuple[str, ...]
    shapes: tuple[ShapeName, ...]
    offers: tuple[Offer, ...]
    demands: tuple[DemandRow, ...]
    limits: tuple[str, ...]
    domains: tuple[str, ...] = ()
    jobs: tuple[str, ...] = ()
    job_options: tuple[JobOption, ...] = ()
    pins: tuple[tuple[str, str], ...] = ()  # (model, site)


@dataclass(frozen=True)
class GoalSpec:
    """A named goal: what it adds up in every period, None for the cost itself; `gap`: what later goals may give up."""

    name: str
    unit: str
    totals: tuple[Total, ...] | None
    gap: float


@dataclass(frozen=True)
class Built:
    """A scenario as a solver takes it, and the names to read its answer by; H periods."""

    rollout: Rollout
    names: tuple[Names, ...]
    goals: tuple[GoalSpec, ...]
