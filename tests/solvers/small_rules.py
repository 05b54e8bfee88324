"""The smallest problem that shows each family of rows beyond the daily ones, and each other form of a family."""

from dataclasses import replace

import numpy as np
from small import one_of_each, two_sites, two_slices

from solvers.problem import Problem
from solvers.rules import Jobs, Moves, Pins, Rules, Spread, Total, Transit

JOBS = Jobs(
    jobs=1,
    option_job=np.array([0, 0]),
    option_site=np.array([0, 1]),
    option_gpu=np.array([0, 0]),
    option_quarters=np.array([8, 4]),
    option_slices=np.array([[False, True], [True, True]]),
    option_usd=np.array([6.0, 4.0]),
)
"""A job that takes two GPUs in the second slice at the first site, or one in both at the second."""

AT_HOME = replace(JOBS, option_site=np.zeros(2, np.int64))
"""The same job with both options at the first site."""

PEAK = Transit(np.array([3.0]), np.array([0.0]), np.array([0.75, 0.25]))
"""3 USD for each Mbit/s of the busiest slice."""


def pin(least: int, most: int) -> Pins:
    """A pin of the only block."""
    return Pins(np.array([least]), np.array([most]), np.array([0]), np.array([0]))


def only(**rule: object) -> Rules:
    """One rule and no other."""
    return replace(Rules(), **rule)  # type: ignore[arg-type]


RULES_SMALLEST: dict[str, Problem] = {
    "used_sites": two_sites(rules=only(spread=Spread(np.array([0.25]), np.array([0])))),
    "least_share": two_sites(rules=only(spread=Spread(np.array([0.4]), np.array([2])))),
    "most_sites": two_sites(rules=only(spread=Spread(np.array([0.0]), np.array([1])))),
    "peak": two_slices(rules=only(transit=PEAK)),
    # 95/5: either of the two short slices may be left out of the peak, not both, and not the long one.
    "left_out": two_slices(
        rules=only(transit=Transit(np.array([3.0]), np.array([0.05]), np.array([0.04, 0.03, 0.93])))
    ),
    "added": one_of_each(pair_load=np.array([1.5]), rules=only(moves=Moves(np.array([1]), np.array([7.0])))),
    # Three replicas could be added in the first slice, two in the second: the second has no row that binds.
    "most_added": two_slices(
        block_slice=np.array([0, 1]),
        pair_load=np.array([2.5, 1.5]),
        rules=only(moves=Moves(np.array([0, 0]), np.array([7.0, 7.0]), 2.0)),
    ),
    "least_pinned": one_of_each(rules=only(pins=pin(2, 3))),
    "most_pinned": one_of_each(pair_load=np.array([2.5]), rules=only(pins=pin(0, 2))),
    "one_option": two_sites(rules=only(jobs=JOBS)),
    "job_site": one_of_each(rules=only(jobs=AT_HOME)),
    "totals": one_of_each(
        rules=only(totals=(Total("carbon", offer=np.array([2.5]), most=6.0), Total("served", unserved=np.array([4.0]))))
    ),
}

RULES_FORMS: dict[str, tuple[str, Problem]] = {
    # One row of (6) in every slice: the replicas of each stand in theirs alone.
    "gpus_following": ("gpus", two_slices(block_slice=np.array([0, 1]), pair_load=np.array([2.5, 1.5]))),
    # A job beside replicas that stand around the clock: the second slice says all, but the job is not in the first.
    "gpus_jobs": ("gpus", two_slices(rules=only(jobs=AT_HOME))),
    "least_pinned_following": (
        "least_pinned",
        two_slices(
            block_slice=np.array([0, 1]),
            rules=only(pins=Pins(np.array([1]), np.array([3]), np.array([0, 0]), np.array([0, 1]))),
        ),
    ),
    "monthly_budget_rules": (
        "monthly_budget",
        two_slices(
            monthly_budget_usd=60.0,
            rules=Rules(transit=PEAK, moves=Moves(np.array([0]), np.array([7.0])), jobs=AT_HOME),
        ),
    ),
}
"""Another form of a family: its name, and the smallest problem that shows the form."""
