"""What nothing needs any more is taken away, the dearest servers first."""

import numpy as np

from solvers.complete.draft import Draft
from solvers.complete.pins import with_least
from solvers.complete.servers import trim
from solvers.problem import Int

FULL = 5e-10
"""Of a replica, that a load may be over whole ones; less than what the check allows."""


def drop_idle(draft: Draft) -> None:
    """Take away replicas that the primaries do not need, and the servers under them."""
    needed = needed_replicas(draft)
    for block in np.flatnonzero(draft.replicas > needed).tolist():
        draft.add(block, int(needed[block] - draft.replicas[block]))
    trim(draft)


def needed_replicas(draft: Draft) -> Int:
    """Replicas that loads and pins ask for, never more than stand, B."""
    problem = draft.problem
    used = np.flatnonzero(draft.share > 0)
    busy = np.zeros(problem.blocks, np.bool_)
    busy[problem.pair_block[used]] = True
    load = np.zeros((problem.blocks, max(problem.slices, 1)))
    row = problem.pair_demand[used]
    np.add.at(load, (problem.pair_block[used], problem.demand_slice[row]), problem.pair_load[used] * draft.share[used])
    need = np.ceil(load.max(axis=1, initial=0.0) / problem.capacity_factor - FULL).astype(np.int64)
    need = np.minimum(np.maximum(need, busy), draft.replicas)
    return with_least(draft, need)
