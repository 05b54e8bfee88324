"""From a solution in numbers to a plan in names: shares in parts per billion, counts in integers, money to the cent.

Everything is put in the order of its names, so that the numbering of the arrays leaves no trace in the bytes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from importlib.metadata import version
from typing import Any

import numpy as np

from placement.plan.backup import Backup, backups
from placement.plan.budget_met import budget_met
from placement.plan.carbon import Emitted, carbon_usd, emitted, mean_carbon
from placement.plan.certificate import certificate_arrays, shadow_prices
from placement.plan.document import Goal, Move, Period, PlanDocument, Provenance
from placement.plan.exact import cents, exact, exact_or_zero, total
from placement.plan.folder import PlanFiles
from placement.plan.latency import Ways, percentiles, waiting_ms
from placement.plan.ledger import Bill, asked_and_left, bill, mean_cost, served_share
from placement.plan.month import Month, read_month
from placement.plan.prices import read_prices
from placement.plan.reasons import Holdings, Reasons
from placement.plan.rows import (
    job_rows,
    move_rows,
    reliability,
    replica_counts,
    replica_rows,
    routes_table,
    server_rows,
    unserved_rows,
)
from placement.plan.shares import name_ranks
from placement.plan.worth import economics, newly_bought
from placement.problem.moves import Previous
from placement.problem.names import Built, Names
from placement.scenario import Scenario
from placement.topology.pairs import Pairs
from solvers.problem import Problem
from solvers.rollout import RolloutSolution
from solvers.solution import Placement


@dataclass(frozen=True)
class Solved:
    """Everything that a plan is told from. `reliability_price_usd_month`: what N-1 adds to the cost, where known."""

    scenario: Scenario
    pairs: Pairs
    built: Built
    solution: RolloutSolution
    previous: Previous | None = None
    reliability_price_usd_month: float | None = None


@dataclass(frozen=True)
class Told:
    """One period, told: its arrays and names, its month in whole numbers, what that costs and emits."""

    problem: Problem
    names: Names
    placement: Placement
    month: Month
    ways: Ways
    backup: Backup
    bill: Bill
    emitted: Emitted

    @property
    def holdings(self) -> Holdings:
        """What the period's plan holds, to say why it holds no more."""
        return Holdings(self.problem, self.names, self.placement)

    @property
    def asked_left(self) -> tuple[Fraction, tuple[Fraction, Fraction]]:
        """Months, and mean requests a month asked for and left unserved."""
        return self.month.months, asked_and_left(self.ways.prices, self.month)


def build_plan(solved: Solved, parameters: dict[str, Any]) -> PlanFiles:
    """The plan of a solution that has placements; the verified bound is left for the auditor to fill in.

    Raises:
        ValueError: the solution has no placements.
    """
    solution, built = solved.solution, solved.built
    if solution.placements is None:
        raise ValueError("a solution without a placement makes no plan")
    told = [_told(solved, h, placement) for h, placement in enumerate(solution.placements)]
    reasons = Reasons(solved.scenario, solved.pairs)
    cost = mean_cost([(part.month.months, part.bill) for part in told])
    document = PlanDocument(
        schema="nearserve-plan-3",
        scenario=solved.scenario.document.name,
        status="OPTIMAL" if solution.status == "OPTIMAL" else "FEASIBLE",
        objective_usd_month=cost.total,
        bound_claimed_usd_month=float(round(solution.bound_usd, 2)) if np.isfinite(solution.bound_usd) else None,
        bound_verified_usd_month=None,
        gap=None,
        cost=cost,
        latency=percentiles(told[0].ways, [part.month for part in told]),
        budget_met=budget_met([(part.ways, part.month) for part in told]),
        served_share=float(served_share(part.asked_left for part in told)),
        servers=tuple(row for part in told for row in server_rows(part.month)),
        replicas=tuple(row for part in told for row in replica_rows(part.problem, part.names, part.placement)),
        jobs=tuple(row for part in told for row in job_rows(part.ways.prices, part.month)),
        moves=_moves(solved, told[0]),
        reliability=reliability(
            [(part.problem, part.month, part.backup) for part in told],
            [part.names for part in told],
            told[0].ways.prices,
            solved.reliability_price_usd_month,
        ),
        carbon=mean_carbon([(part.month.months, part.emitted) for part in told]),
        goals=_goals(solved, told),
        periods=_periods(told) if built.names[0].period else (),
        economics=economics(told[0].ways.prices, [(part.month, part.bill) for part in told]),
        unserved=tuple(row for part in told for row in unserved_rows(reasons, part.month, part.holdings)),
        shadow_prices=shadow_prices(solution.certificates, built.names),
        provenance=_provenance(solved, parameters),
    )
    routes = routes_table([(part.problem, part.month, part.backup, part.names) for part in told])
    certificate = certificate_arrays(solution.certificates, built.names, built.rollout.periods)
    return PlanFiles(document, routes, certificate)


def _told(solved: Solved, h: int, placement: Placement) -> Told:
    rollout, names = solved.built.rollout, solved.built.names[h]
    problem = rollout.periods[h]
    prices = read_prices(solved.scenario, names.slices)
    ways = Ways(prices, solved.pairs, solved.scenario.document.uncertainty.percentile)
    months = exact(float(rollout.months[h]))
    rank = name_ranks(problem, names)
    month, share_ppb = read_month(solved.scenario, prices, problem, names, placement, months, rank)
    emission = emitted(prices, month)
    paid = bill(ways, month, carbon_usd(prices, emission))
    return Told(problem, names, placement, month, ways, backups(problem, placement, share_ppb, rank), paid, emission)


def _moves(solved: Solved, first: Told) -> tuple[Move, ...]:
    """Steps from the plan before to the first period; none without one."""
    if solved.previous is None:
        return ()
    new = replica_counts(first.problem, first.names, first.placement)
    return tuple(move_rows(solved.scenario, first.ways.prices, first.month, solved.previous.replicas, new))


def _goals(solved: Solved, told: list[Told]) -> tuple[Goal, ...]:
    """Goals of a lexicographic tuple with what the plan comes to; the bounds are the solver's word."""
    unit = {goal.name: goal.unit for goal in solved.built.goals}
    return tuple(
        Goal(
            goal=reached.name,
            unit=unit[reached.name],
            value=float(_goal_value(reached.name, told)),
            bound_claimed=reached.bound if np.isfinite(reached.bound) else None,
            gap_claimed=reached.gap if np.isfinite(reached.gap) else None,
        )
        for reached in solved.solution.goals
    )


def _goal_value(name: str, told: list[Told]) -> Fraction:
    """A goal's value, mean over the periods by their months."""
    values: dict[str, Callable[[Told], Fraction]] = {
        "cost": lambda part: part.bill.total,
        "served": lambda part: part.asked_left[1][1],
        "latency": lambda part: waiting_ms(part.ways, part.month),
        "carbon": lambda part: part.emitted.total or Fraction(),
        "moves": lambda part: Fraction(part.month.added),
    }
    weighed = total(part.month.months * values[name](part) for part in told)
    return weighed / total(part.month.months for part in told)


def _periods(told: list[Told]) -> tuple[Period, ...]:
    """What each period costs, serves, buys and holds."""
    found = []
    for part, bought in zip(told, newly_bought([part.month for part in told]), strict=True):
        month, servers = part.month, part.ways.prices.servers
        capex = total(count * exact_or_zero(servers[server]["capex_usd"]) for (_, server), count in bought.items())
        found.append(
            Period(
                period=month.period,
                months=float(month.months),
                cost=mean_cost([(month.months, part.bill)]),
                served_share=float(served_share([part.asked_left])),
                capex_usd=cents(capex),
                gpus=sum(s.count * int(servers[s.server]["gpus"]) for s in month.standing),
                dpus=sum(s.count * int(servers[s.server]["dpus"]) for s in month.standing),
            )
        )
    return tuple(found)


def _provenance(solved: Solved, parameters: dict[str, Any]) -> Provenance:
    return Provenance(
        inputs_sha256=dict(solved.scenario.sha256),
        versions={name: version(name) for name in ("nearserve", "numpy", "ortools")},
        parameters=parameters,
        work=solved.solution.work,
        seed=solved.scenario.document.seed,
        previous_plan=None if solved.previous is None else solved.scenario.document.stability.previous_plan,
    )
