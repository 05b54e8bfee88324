"""Random problems small enough to enumerate, with the rules of `solvers.rules` that are asked for."""

from collections.abc import Callable, Collection
from dataclasses import replace

import numpy as np
import scipy.sparse as sp

from solvers.instances.tiny import random_tiny
from solvers.problem import Int, Problem
from solvers.rules import Jobs, Moves, Pins, Spread, Total, Transit

_OFFERS, _BLOCKS = 3, 3


def random_ruled(seed: int, names: Collection[str], *, single_source: bool = False) -> Problem:
    """`random_tiny` cut to a few offers and blocks, over up to three slices, with the rules in `names`.

    Names are those of `RULES`: "following", "jobs", "moves", "pins", "transit", "spread", "totals", "budget".
    Raises KeyError for any other. The same seed and names give the same problem; some are infeasible.
    """
    problem = _smaller(random_tiny(seed, single_source=single_source))
    draw = np.random.default_rng([seed, 7])
    slices = int(draw.integers(1, 4))
    problem = replace(problem, demand_slice=np.resize(np.arange(slices), problem.demands))
    for name, add in RULES.items():
        if name in names:
            problem = add(problem, np.random.default_rng([seed, *name.encode()]))
    if unknown := set(names) - set(RULES):
        raise KeyError(f"no such rules: {', '.join(sorted(unknown))}")
    return problem


def _smaller(problem: Problem) -> Problem:
    """The first offers and blocks, and one or two of each."""
    pairs = np.flatnonzero(problem.pair_block < _BLOCKS)
    return replace(
        problem,
        offer_site=problem.offer_site[:_OFFERS],
        offer_server=problem.offer_server[:_OFFERS],
        offer_max=np.clip(problem.offer_max[:_OFFERS], 1, 2),
        offer_usd=problem.offer_usd[:_OFFERS],
        limit_matrix=sp.csr_matrix(problem.limit_matrix.toarray()[:, :_OFFERS]),
        block_site=problem.block_site[:_BLOCKS],
        block_shape=problem.block_shape[:_BLOCKS],
        block_max=np.clip(problem.block_max[:_BLOCKS], 1, 2),
        block_choice=problem.block_choice[:_BLOCKS],
        pair_demand=problem.pair_demand[pairs],
        pair_block=problem.pair_block[pairs],
        pair_load=problem.pair_load[pairs],
        pair_usd=problem.pair_usd[pairs],
    )


def with_rule(problem: Problem, **rule: object) -> Problem:
    """`problem` with one more of its rules; the others stay."""
    return replace(problem, rules=replace(problem.rules, **rule))  # type: ignore[arg-type]


def following(problem: Problem, which: np.ndarray | None = None) -> Problem:
    """`problem` with the blocks of `which` (B; all if None) split into one for every slice."""
    slices = max(problem.slices, 1)
    split = np.ones(problem.blocks, np.bool_) if which is None else which
    width = np.where(split, slices, 1)
    first = np.cumsum(width) - width
    block = np.repeat(np.arange(problem.blocks), width)
    number = np.where(split[block], np.arange(len(block)) - first[block], -1)
    at = first[problem.pair_block] + np.where(split[problem.pair_block], problem.demand_slice[problem.pair_demand], 0)
    choice = problem.block_choice[block] * (slices + 1) + number + 1
    return replace(
        problem,
        block_site=problem.block_site[block],
        block_shape=problem.block_shape[block],
        block_max=problem.block_max[block],
        block_choice=np.where(problem.block_choice[block] >= 0, choice, -1),
        block_slice=number,
        replica_usd=None if problem.replica_usd is None else problem.replica_usd[block],
        pair_block=at,
    )


def _following(problem: Problem, draw: np.random.Generator) -> Problem:
    if draw.random() < 0.7:
        return following(problem)
    some = replace(problem, block_choice=np.full(problem.blocks, -1))
    return following(some, draw.random(problem.blocks) < 0.6)


def _jobs(problem: Problem, draw: np.random.Generator) -> Problem:
    jobs, slices = int(draw.integers(1, 3)), max(problem.slices, 1)
    job = np.repeat(np.arange(jobs), draw.integers(1, 4, jobs))
    offer = draw.integers(0, problem.offers, len(job))  # where a server stands, so that most options are possible
    site = problem.offer_site[offer]
    order = np.lexsort((site, job))
    runs: np.ndarray = draw.random((len(job), slices)) < 0.6
    runs[~runs.any(axis=1), 0] = True
    gang = draw.choice([4, 8, 16, 32, 64], len(job), p=[0.5, 0.2, 0.1, 0.1, 0.1])
    held = 4 * problem.server_gpus[problem.offer_server[offer]]
    gang = np.where(draw.random(len(job)) < 0.8, np.minimum(gang, held), gang)  # few that fit no server at all
    return with_rule(
        problem,
        jobs=Jobs(
            jobs=jobs,
            option_job=job[order],
            option_site=site[order],
            option_gpu=problem.server_gpu[problem.offer_server[offer]][order],
            option_quarters=_integers(gang[order]),
            option_slices=runs,
            option_usd=draw.uniform(0, 6, len(job)).round(2),
        ),
    )


def _moves(problem: Problem, draw: np.random.Generator) -> Problem:
    before = draw.integers(0, 3, problem.blocks)
    most = float(draw.choice([np.inf, 0, 1, 2]))
    return with_rule(problem, moves=Moves(before, draw.uniform(0, 4, problem.blocks).round(2), most))


def _pins(problem: Problem, draw: np.random.Generator) -> Problem:
    pins = int(draw.integers(1, 3))
    entry_pin, entry_block = np.nonzero(draw.random((pins, problem.blocks)) < 0.5)
    least = _integers(draw.random(pins) < 0.3)
    return with_rule(problem, pins=Pins(least, least + draw.integers(0, 3, pins), entry_pin, _integers(entry_block)))


def _transit(problem: Problem, draw: np.random.Generator) -> Problem:
    slices = max(problem.slices, 1)
    weight = draw.integers(1, 6, slices)
    usd = (draw.uniform(0.5, 4, problem.sites) * (draw.random(problem.sites) < 0.8)).round(2)
    free = np.where(draw.random(problem.sites) < 0.6, draw.choice([0.2, 0.35, 0.6], problem.sites), 0.0)
    return with_rule(problem, transit=Transit(usd, free, weight / weight.sum()))


def _spread(problem: Problem, draw: np.random.Generator) -> Problem:
    least = draw.choice([0.0, 0.25, 0.5, 0.7], problem.demands)
    return with_rule(problem, spread=Spread(least, draw.choice([0, 1, 2], problem.demands).astype(np.int64)))


def _totals(problem: Problem, draw: np.random.Generator) -> Problem:
    jobs = problem.rules.jobs
    everything = Total(
        "carbon",
        open=draw.uniform(0, 1, problem.sites).round(2),
        offer=draw.uniform(0, 2, problem.offers).round(2),
        pair=draw.uniform(0, 2, problem.pairs).round(2),
        job=None if jobs is None else draw.uniform(0, 2, jobs.options).round(2),
        added=draw.uniform(0, 1, problem.blocks).round(2),
        peak=draw.uniform(0, 1, problem.sites).round(2),
        most=round(float(draw.uniform(1.5, 14)), 2),
    )
    weight = draw.uniform(0.5, 2, problem.demands).round(2)
    most = float(weight[problem.unservable].sum() + draw.uniform(0.6, 1.1) * weight[~problem.unservable].sum())
    return with_rule(problem, totals=(everything, Total("served", unserved=weight, most=most)))


def _budget(problem: Problem, draw: np.random.Generator) -> Problem:
    return replace(problem, monthly_budget_usd=round(float(draw.uniform(4, 25)), 1))


def _integers(values: np.ndarray) -> Int:
    return np.asarray(values, np.int64)


RULES: dict[str, Callable[[Problem, np.random.Generator], Problem]] = {
    "following": _following,
    "jobs": _jobs,
    "moves": _moves,
    "pins": _pins,
    "transit": _transit,
    "spread": _spread,
    "totals": _totals,
    "budget": _budget,
}
"""Every rule, in the order in which they are added: those that name blocks come after those that split them."""
