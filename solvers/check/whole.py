"""Every rule of `solvers.problem`, restated on a placement with plain numpy: the solvers' own safety net.

No solver's rows are used here, so a mistake in a model cannot hide itself. `solvers.check.rules` and
`solvers.check.reserve` hold the rules of `solvers.rules`.
"""

from collections.abc import Callable, Iterator

import numpy as np

from solvers.check import rules as beyond
from solvers.check.reserve import reserve_violations
from solvers.check.rules import all_slices, exceeded, job_misfits, running, standing
from solvers.problem import Bool, Float, Int, Problem
from solvers.solution import Placement


def violations(problem: Problem, placement: Placement, *, tolerance: float = 1e-9) -> list[str]:
    """What `placement` breaks, one line per rule, empty when it keeps them all.

    A row may exceed its limit by `tolerance` × max(1, |limit|), which is what adding floats can lose.
    """
    misfits = [*_misfits(problem, placement), *job_misfits(problem, placement)]
    if misfits:
        return misfits
    rules: tuple[Callable[[Problem, Placement, float], Iterator[str]], ...] = (
        _demand,
        _replica_capacity,
        _linking,
        _gpus,
        _choices,
        _sites,
        _network,
        _limits,
        _budget,
        beyond.job_sites,
        beyond.moves,
        beyond.pins,
        beyond.spread,
        beyond.totals,
    )
    found = [message for rule in rules for message in rule(problem, placement, tolerance)]
    return found + reserve_violations(problem, placement, tolerance)


def _misfits(problem: Problem, placement: Placement) -> Iterator[str]:
    wanted = (
        ("open", placement.open, problem.sites, "b"),
        ("servers", placement.servers, problem.offers, "i"),
        ("replicas", placement.replicas, problem.blocks, "i"),
        ("share", placement.share, problem.pairs, "f"),
        ("unserved", placement.unserved, problem.demands, "f"),
    )
    for name, values, length, kind in wanted:
        if values.shape != (length,):
            yield f"{name} has the shape {values.shape}, not ({length},)"
        elif values.dtype.kind != kind:
            yield f"{name} is of type {values.dtype}"
        elif kind == "f" and not np.isfinite(values).all():
            yield f"{name} holds a value that is not finite"
        elif kind == "i" and (values < 0).any():
            yield f"{name} holds a negative count"


def _used(placement: Placement) -> Int:
    """Pairs that serve anything: few of millions."""
    return np.flatnonzero(placement.share)


def _demand(problem: Problem, placement: Placement, tolerance: float) -> Iterator[str]:
    share, unserved = placement.share, placement.unserved
    used = share[_used(placement)]
    total = np.bincount(problem.pair_demand, share, problem.demands) + unserved
    one = np.ones(problem.demands)
    yield from exceeded("(1) served more than once", total, one, tolerance)
    yield from exceeded("(1) neither served nor counted as unserved", one, total, tolerance)
    yield from exceeded("share below 0", -used, np.zeros(len(used)), tolerance)
    yield from exceeded("share above 1", used, np.ones(len(used)), tolerance)
    yield from exceeded("unserved below 0", -unserved, np.zeros(problem.demands), tolerance)
    must = np.where(np.isinf(problem.unserved_usd), 0.0, np.inf)
    yield from exceeded("(1) a row that must be served", unserved, must, tolerance)
    if problem.single_source and (used != 1).any():
        yield "single source: a share is neither 0 nor 1"


def _replica_capacity(problem: Problem, placement: Placement, tolerance: float) -> Iterator[str]:
    used = _used(placement)
    when, block = problem.demand_slice[problem.pair_demand[used]], problem.pair_block[used]
    busy = problem.pair_load[used] * placement.share[used]
    for number in range(problem.slices):
        here = when == number
        load = np.bincount(block[here], busy[here], minlength=problem.blocks)
        room = np.asarray(problem.capacity_factor * placement.replicas, np.float64)
        yield from exceeded(f"(4) replica capacity in slice {number}", load, room, tolerance)


def _linking(problem: Problem, placement: Placement, tolerance: float) -> Iterator[str]:
    used = _used(placement)
    used = used[problem.pair_load[used] <= 1]
    replicas = placement.replicas[problem.pair_block[used]]
    yield from exceeded("(5) linking", placement.share[used], replicas, tolerance)


def _gpus(problem: Problem, placement: Placement, tolerance: float) -> Iterator[str]:
    yield from exceeded("replicas above block_max", placement.replicas, problem.block_max, tolerance)
    for number in range(all_slices(problem)):
        yield from _gpus_in_slice(problem, placement, number, tolerance)


def _gpus_in_slice(problem: Problem, placement: Placement, number: int, tolerance: float) -> Iterator[str]:
    quarters = problem.shape_quarters[problem.block_shape]
    gpu_of_block = problem.shape_gpu[problem.block_shape]
    held = 4 * problem.server_gpus[problem.offer_server]
    gpu_of_offer = problem.server_gpu[problem.offer_server]
    stands, option, jobs = standing(problem, number), running(problem, placement, number), problem.rules.jobs
    gpu_of_gang = np.empty(0, np.int64) if jobs is None else jobs.option_gpu[option]
    for gpu in np.unique(np.concatenate([gpu_of_block, gpu_of_gang])):
        for size in (1, 8, 16, 32):
            blocks = stands & (gpu_of_block == gpu) & (quarters >= size)
            offers = (gpu_of_offer == gpu) & (held >= size)
            taken = _per_site(problem, problem.block_site, blocks, quarters * placement.replicas)
            if jobs is not None:
                entering = (gpu_of_gang == gpu) & (jobs.option_size[option] >= size)
                taken += _per_site(problem, jobs.option_site[option], entering, jobs.option_quarters[option])
            there = _per_site(problem, problem.offer_site, offers, held * placement.servers)
            what = f"(6) GPUs of type {gpu}, size {size} quarters in slice {number}"
            yield from exceeded(what, taken, there, tolerance)


def _per_site(problem: Problem, site: Int, kept: Bool, amount: Int) -> Float:
    """Amounts summed by site, P, of the entries kept."""
    return np.bincount(site[kept], amount[kept], minlength=problem.sites).astype(np.float64)


def _choices(problem: Problem, placement: Placement, _: float) -> Iterator[str]:
    used = (problem.block_choice >= 0) & (placement.replicas > 0)
    choice, times = np.unique(problem.block_choice[used], return_counts=True)
    for number in choice[times > 1]:
        yield f"(6) choice {number} has more than one operating point"


def _sites(problem: Problem, placement: Placement, tolerance: float) -> Iterator[str]:
    opened = placement.open[problem.offer_site]
    most = np.where(opened, problem.offer_max, 0)
    yield from exceeded("(7, 8) servers above offer_max or at a closed site", placement.servers, most, tolerance)
    for resource in range(problem.site_limit.shape[1]):
        use = problem.server_use[problem.offer_server, resource] * placement.servers
        total = np.bincount(problem.offer_site, use, minlength=problem.sites)
        limit = np.where(placement.open, problem.site_limit[:, resource], 0.0)
        yield from exceeded(f"(7, 8) resource {resource}", total, limit, tolerance)


def _network(problem: Problem, placement: Placement, tolerance: float) -> Iterator[str]:
    links = (
        ("uplink", problem.out_mbps, problem.uplink_mbps),
        ("downlink", problem.in_mbps, problem.downlink_mbps),
    )
    used = _used(placement)
    row, site = problem.pair_demand[used], problem.block_site[problem.pair_block[used]]
    for name, mbps, limit in links:
        flow = mbps[row] * placement.share[used]
        for number in range(problem.slices):
            here = problem.demand_slice[row] == number
            total = np.bincount(site[here], flow[here], minlength=problem.sites)
            yield from exceeded(f"(9) {name} in slice {number}", total, np.where(placement.open, limit, 0.0), tolerance)


def _limits(problem: Problem, placement: Placement, tolerance: float) -> Iterator[str]:
    total = np.asarray(problem.limit_matrix @ placement.servers.astype(np.float64)).reshape(-1)
    yield from exceeded("(10-12) limits", total, problem.limit_rhs, tolerance)


def _budget(problem: Problem, placement: Placement, tolerance: float) -> Iterator[str]:
    spent = (
        problem.open_usd @ placement.open
        + problem.offer_usd @ placement.servers
        + problem.each_replica_usd @ placement.replicas
        + problem.pair_usd @ placement.share
    ) + beyond.spent_usd(problem, placement)
    yield from exceeded("(12) monthly budget", np.array([spent]), np.array([problem.monthly_budget_usd]), tolerance)
