"""Random roll-outs small enough to enumerate."""

from dataclasses import replace

import numpy as np

from solvers.instances.tiny import random_tiny
from solvers.rollout import Rollout


def random_rollout(seed: int, *, periods: int = 2) -> Rollout:
    """A random roll-out; the same seed gives the same one.

    Demand grows or shrinks, prices and limits change from period to period. Some servers stay, some count as
    installs, installs and capex are sometimes limited. A few seeds are infeasible.
    """
    draw = np.random.default_rng([seed, 1])
    first = random_tiny(seed, single_source=False)
    problems = [first]
    for _ in range(1, periods):
        growth = float(draw.uniform(0.4, 2.0))
        problems.append(
            replace(
                first,
                pair_load=(first.pair_load * growth).round(3),
                pair_usd=(first.pair_usd * draw.uniform(0.5, 1.5)).round(2),
                unserved_usd=(first.unserved_usd * growth).round(1),
                offer_usd=(first.offer_usd * draw.uniform(0.7, 1.2)).round(2),
                limit_rhs=(first.limit_rhs * draw.uniform(0.8, 1.6)).round(1),
            )
        )
    counts = draw.integers(0, 4, periods).astype(np.float64)
    capex = draw.integers(1, 6, first.offers).astype(np.float64)
    return Rollout(
        tuple(problems),
        draw.integers(1, 7, periods).astype(np.float64),
        draw.random(first.offers) < 0.6,
        draw.random(first.offers) < 0.7,
        np.where(draw.random(first.offers) < 0.8, capex, 0.0),
        np.where(draw.random(periods) < 0.5, counts, np.inf),
        np.where(draw.random(periods) < 0.4, draw.integers(0, 15, periods), np.inf),
    )
