"""A scenario with its best known plan, as the questions take it; and the same once more with a change made."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from placement.frames import floats
from placement.planning import previous_of
from placement.problem import Built, Previous, build_rollout, demand_rows
from placement.problem.money import slice_hours
from placement.scenario import Scenario
from placement.solving import EXACT_PAIRS, InfeasibleError, NoPlanError, Request, solve
from placement.topology import build_pairs
from placement.topology.pairs import Pairs
from solvers.rollout import rollout_cost_usd
from solvers.solution import Certificate, Placement

Float = NDArray[np.float64]

Say = Callable[[str], None]


@dataclass(frozen=True)
class Case:
    """A scenario, its arrays, and a plan in their numbering.

    `plans` is None where no plan keeps the hard rules (`message` empty), or none was found (`message` says why).
    """

    scenario: Scenario
    pairs: Pairs
    previous: Previous | None
    built: Built
    plans: tuple[Placement, ...] | None
    certificates: tuple[Certificate | None, ...] = ()
    message: str = ""

    @property
    def infeasible(self) -> bool:
        return self.plans is None and not self.message

    @property
    def large(self) -> bool:
        """Whether branch and bound over all of it is too much to ask."""
        return sum(problem.pairs for problem in self.built.rollout.periods) > EXACT_PAIRS

    @property
    def weights(self) -> Float:
        """What each period counts in a mean, H."""
        months = self.built.rollout.months
        return np.asarray(months / months.sum(), np.float64)

    @cached_property
    def requests(self) -> tuple[Float, ...]:
        """Mean requests a month of every demand row, I, by period."""
        hours = dict(
            zip(self.built.names[0].slices, slice_hours(self.scenario, self.built.names[0].slices), strict=True)
        )
        found = []
        for names in self.built.names:
            rates = floats(demand_rows(self.scenario, names.period), "mean_requests_per_s")
            found.append(rates * 3600 * np.array([hours[row.slice] for row in names.demands]))
        return tuple(found)

    @cached_property
    def rates(self) -> tuple[Float, ...]:
        """Design rate of every demand row, requests/s, I, by period."""
        tables = (demand_rows(self.scenario, names.period) for names in self.built.names)
        return tuple(floats(table, "requests_per_s") for table in tables)

    @cached_property
    def cost_usd(self) -> float:
        """The objective, USD a month; NaN without a plan."""
        return float("nan") if self.plans is None else rollout_cost_usd(self.built.rollout, self.plans)

    @cached_property
    def served_share(self) -> float:
        """Share of the mean requests that is served, the mean over the periods by their months; 0 without a plan."""
        if self.plans is None:
            return 0.0
        asked = float(self.weights @ [float(requests.sum()) for requests in self.requests])
        left = [float(r @ plan.unserved) for r, plan in zip(self.requests, self.plans, strict=True)]
        return 1.0 - float(self.weights @ left) / asked if asked else 1.0


@dataclass(frozen=True)
class How:
    """How plans are made anew, and where it is told that one is."""

    gap: float = 1e-4
    time_limit_s: float | None = 60.0
    say: Say = lambda _: None
    resolve: bool = True  # whether what a change is worth is found by planning anew


def pose(scenario: Scenario, how: How) -> Case:
    """The scenario planned, as `plan` would, but in memory.

    Raises what the topology, the problem and the solver raise of a scenario that they cannot take.
    """
    how.say("topology")
    return solved(scenario, build_pairs(scenario).pairs, how)


def solved(scenario: Scenario, pairs: Pairs, how: How) -> Case:
    """The scenario planned over known pairs; one that cannot be satisfied is a Case without plans."""
    previous = previous_of(scenario)
    built = build_rollout(scenario, pairs, previous=previous)
    case = Case(scenario, pairs, previous, built, None)
    how.say("planning")
    try:
        request = Request("auto", how.gap, how.time_limit_s)
        found = solve(built, request, how.time_limit_s, scenario.document.seed, lambda *_: None)
    except InfeasibleError:
        return case
    except NoPlanError as error:
        return replace(case, message=str(error))
    return replace(case, plans=found.placements, certificates=found.certificates)


def again(case: Case, scenario: Scenario, how: How) -> Case:
    """The `scenario`, which differs from that of `case` by a change that leaves measurements alone, planned."""
    return solved(scenario, case.pairs, how)
