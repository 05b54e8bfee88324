"""From a scenario and its pairs to the arrays that a solver takes.

Work that periods share is done once: the shapes, the offers with their prices, what sites could hold; and the routes,
as long as the classes of a period are those of the one before (only their rates differ then).
"""

import numpy as np

from placement.problem.assembly import Parts, assemble
from placement.problem.draft import Draft, draft
from placement.problem.goals import goal_specs
from placement.problem.ground import survey
from placement.problem.limits import capex_most_usd, capex_usd, installed
from placement.problem.moves import Previous
from placement.problem.names import Built
from placement.problem.offers import BUY
from placement.scenario import Scenario
from placement.topology.pairs import Pairs
from solvers.memory import give_back
from solvers.rollout import Rollout


def build_rollout(scenario: Scenario, pairs: Pairs, *, previous: Previous | None = None) -> Built:
    """The problems of a scenario's periods with the rows between them, the names of rows and columns, and the goals.

    They are exact: what is left out (shapes that another of the same group beats in everything, blocks that no site
    could hold, more replicas or servers than could be of use in any period) is in no best plan.

    Args:
        previous: the plan that moves are counted from (14), where the scenario limits, prices or minds them.

    Raises:
        PeriodError, TenantError, CarbonError, ReserveError, JobError, WindowError, PreviousPlanError: the tables ask
            for a rule and do not say enough of it; the message names what. All are ValueErrors.
    """
    ground = survey(scenario, pairs, previous)
    drafts: list[Draft] = []
    for period in ground.periods:
        drafts.append(draft(ground, period, drafts[-1] if drafts else None))
    need = np.max([one.useful_gpus(ground) for one in drafts], axis=0)
    offers = ground.useful(need)
    give_back()
    parts: list[Parts] = [assemble(ground, offers, one) for one in drafts]
    each = scenario.document.limits.installs_per_period
    rollout = Rollout(
        periods=tuple(part.problem for part in parts),
        months=np.array([period.months for period in ground.periods]),
        stays=offers.way == BUY,
        installed=installed(scenario, offers),
        capex_usd=capex_usd(scenario, offers),
        installs=np.full(len(parts), np.inf if each is None else float(each)),
        capex_most=np.array([capex_most_usd(scenario, period) for period in ground.periods]),
    )
    return Built(rollout, tuple(part.names for part in parts), goal_specs(scenario, tuple(part.sums for part in parts)))
