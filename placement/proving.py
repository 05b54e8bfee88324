"""A better certificate for a plan that is found: groups of sites branched at its prices (docs/certificate.md, G)."""

from dataclasses import replace

import numpy as np

from placement.clock import Clock
from placement.interrupting import Interrupted
from placement.problem import Built
from solvers.problem import Problem
from solvers.rollout import RolloutSolution
from solvers.solution import Certificate, Placement, Status, cost_usd


def falls_into_groups(built: Built) -> bool:
    """Whether a good part of every period falls into groups of sites that are small enough to be branched."""
    from solvers.bound.groups.prove import grouped_share  # noqa: PLC0415  heavy: numba
    from solvers.search.proved import GROUPED  # noqa: PLC0415

    return all(grouped_share(problem) >= GROUPED for problem in built.rollout.periods)


def with_groups(
    built: Built, found: RolloutSolution, gap: float, rounds: int | None, clock: Clock, interrupted: Interrupted
) -> RolloutSolution:
    """`found` with groups in its certificates and their bound, by so many `rounds` of branching or as long as there is.

    Every period's groups end where its plan is proved within `gap`, or nothing gains any more.
    """
    from solvers.search.proved import USUAL_ROUNDS  # noqa: PLC0415  heavy: numba

    rollout, plans = built.rollout, found.placements
    if plans is None or len(found.certificates) != len(rollout.periods):
        return found
    if rounds is None and clock.limit_s is None:
        rounds = USUAL_ROUNDS
    bounds, certificates, most = [], list(found.certificates), 0
    for h, (problem, plan) in enumerate(zip(rollout.periods, plans, strict=True)):
        known = certificates[h]
        if known is None:
            return found
        left_s = clock.part_s(1 / (len(plans) - h))
        certificates[h], bound_usd, done = _proved(problem, known, plan, gap, rounds, left_s, interrupted)
        bounds.append(bound_usd)
        most = max(most, done)
    bound_usd = max(found.bound_usd, float(np.asarray(bounds) @ rollout.months / rollout.months.sum()))
    proved = found.objective_usd <= bound_usd + 1e-9 * abs(found.objective_usd)
    status = Status.OPTIMAL if proved else found.status
    return replace(found, status=status, certificates=tuple(certificates), bound_usd=bound_usd, branchings=most)


def _proved(
    problem: Problem, known: Certificate, plan: Placement, gap: float, rounds: int | None, left_s: float | None,
    interrupted: Interrupted,
) -> tuple[Certificate, float, int]:  # fmt: skip
    """The better of the certificate with groups and the one without, its bound, and the rounds that were done."""
    from solvers.bound import evaluate  # noqa: PLC0415
    from solvers.bound.groups.prove import prove_groups  # noqa: PLC0415
    from solvers.relax import base_problem  # noqa: PLC0415

    base = base_problem(problem, counted=True)
    usd = cost_usd(problem, plan)
    enough_usd = usd - gap * max(usd - problem.constant_usd, 0.0)
    before_usd = evaluate(base, known.multipliers, known.cuts, covers=known.covers)
    if before_usd >= enough_usd:
        return known, before_usd, 0
    grown = prove_groups(base, known, time_limit_s=left_s, work=rounds, upper_usd=enough_usd, interrupted=interrupted)
    if grown.bound_usd <= before_usd:
        return known, before_usd, grown.work
    return grown.certificate, grown.bound_usd, grown.work
