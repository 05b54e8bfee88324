"""A problem whose replicas follow the slices, made of one whose replicas stand around the clock."""

from dataclasses import replace

import numpy as np

from solvers.problem import Problem


def following(problem: Problem) -> Problem:
    """The same problem with a block of its own, and a choice of its own, in every slice."""
    slices = max(problem.slices, 1)
    block = np.repeat(np.arange(problem.blocks), slices)
    slice_ = np.tile(np.arange(slices), problem.blocks)
    choice = problem.block_choice[block]
    pair_block = problem.pair_block * slices + problem.demand_slice[problem.pair_demand]
    return replace(
        problem,
        block_site=problem.block_site[block],
        block_shape=problem.block_shape[block],
        block_max=problem.block_max[block],
        block_choice=np.where(choice >= 0, choice * slices + slice_, -1),
        block_slice=slice_,
        pair_block=pair_block,
    )
