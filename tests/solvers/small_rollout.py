"""Small roll-outs, to be varied by tests, and the smallest one for every family of rows between periods."""

from dataclasses import replace
from typing import Any

import numpy as np
import scipy.sparse as sp
from small import one_of_each

from solvers.problem import Problem
from solvers.rollout import Rollout


def periods(*problems: Problem, **changes: Any) -> Rollout:
    """A roll-out of `problems`, a month each, whose offers may all be given back; `changes` replace fields."""
    offers, count = problems[0].offers, len(problems)
    off = np.full(count, np.inf)
    rollout = Rollout(
        problems,
        np.ones(count),
        np.zeros(offers, np.bool_),
        np.ones(offers, np.bool_),
        np.full(offers, 100.0),
        off,
        off,
    )
    return replace(rollout, **changes)


def loads(*load: float, **changes: Any) -> tuple[Problem, ...]:
    """`one_of_each` with a row that fills so many replicas in each period."""
    return tuple(one_of_each(pair_load=np.array([value]), **changes) for value in load)


def buy_or_rent(*load: float, **changes: Any) -> tuple[Problem, ...]:
    """The same with two offers of the server: bought for 5 a month, rented for 8."""
    both: dict[str, Any] = {
        "offer_site": np.array([0, 0]),
        "offer_server": np.array([0, 0]),
        "offer_max": np.array([3, 3]),
        "offer_usd": np.array([5.0, 8.0]),
        "limit_matrix": sp.csr_matrix((0, 2)),
    }
    return loads(*load, **(both | changes))


BOUGHT = np.array([True])
BOUGHT_OR_RENTED = np.array([True, False])

ROLLOUT_SMALLEST: dict[str, Rollout] = {
    "stays": periods(*loads(1.0, 1.0), stays=BOUGHT),
    "grown": periods(*buy_or_rent(1.0, 1.0), stays=BOUGHT_OR_RENTED, installs=np.array([np.inf, 0.0])),
    "installs": periods(*loads(2.0, 2.0), stays=BOUGHT, installs=np.array([1.0, 1.0])),
    "capex": periods(*loads(2.0, 2.0), stays=BOUGHT, capex_most=np.array([100.0, 100.0])),
}
