"""The optimum of a tiny problem with rules by trying every whole-number plan; it shares nothing with `solvers.exact`.

`enumeration` does the daily rules, in other words; here are jobs, moves, pins, transit, spread, totals and replicas
that follow the slices as well.

For every count of servers and replicas and every option of the jobs that the rules allow, the shares are one small
linear program (scipy), or, single source, one more enumeration. Which sites a row uses (spread) and which slices are
not counted (95/5) are tried one by one, too. Plans are taken in the order of their fixed cost, up to where that alone
is no better than the best plan so far, which loses nothing because shares cost nothing below zero; for the same
reason the patterns of sites and slices are tried only where the shares without either would be better.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from ruled_flow import Given, flow_usd, free_usd

from solvers.problem import Problem

SLACK = 1e-9


@dataclass(frozen=True)
class _Servers:
    usd: float
    count: tuple[int, ...]
    opened: tuple[bool, ...]


def optimum_usd(problem: Problem) -> float:
    """The least cost in USD a month, inf when no plan keeps the hard rules."""
    best, floor = np.inf, _flow_floor(problem)
    least: dict[Given, float] = {}
    known: dict[Given, float] = {}
    rules = problem.rules
    replica_plans = [plan for plan in _counts(problem.block_max) if _allowed(problem, plan)]
    for servers, options in sorted(_fixed_plans(problem), key=lambda plan: plan[0].usd + _job_usd(problem, plan[1])):
        usd = servers.usd + _job_usd(problem, options)
        if usd + floor >= best:
            break
        fitting = [plan for plan in replica_plans if _fits(problem, servers.count, options, plan)]
        if rules.moves is None and rules.pins is None:
            fitting = [a for a in fitting if not any(a != b and _covers(b, a) for b in fitting)]
        for replicas in fitting:
            added = _added(problem, replicas)
            fixed = usd + (0.0 if rules.moves is None else float(rules.moves.usd @ added))
            if fixed + floor >= best:
                continue
            given = Given(
                replicas,
                servers.opened,
                round(problem.monthly_budget_usd - fixed, 9),
                tuple(round(room, 9) for room in _rooms(problem, servers, options, added)),
            )
            if given not in least:
                least[given] = free_usd(problem, given)
            if fixed + least[given] >= best:
                continue
            if given not in known:
                known[given] = flow_usd(problem, given, least[given])
            best = min(best, fixed + known[given])
    return best


def _counts(most: np.ndarray) -> list[tuple[int, ...]]:
    return list(itertools.product(*(range(int(upper) + 1) for upper in most)))


def _covers(larger: tuple[int, ...], smaller: tuple[int, ...]) -> bool:
    return all(x <= y for x, y in zip(smaller, larger, strict=True))


def _flow_floor(problem: Problem) -> float:
    """What the shares cost at least: every row at its cheapest."""
    total = 0.0
    for row in range(problem.demands):
        total += min([problem.unserved_usd[row], *problem.pair_usd[problem.pair_demand == row]])
    return total


def _fixed_plans(problem: Problem) -> Iterator[tuple[_Servers, tuple[int, ...]]]:
    """Every stock of servers with every choice of job options that fits on them."""
    jobs = problem.rules.jobs
    choices: list[tuple[int, ...]] = [()]
    if jobs is not None:
        choices = list(itertools.product(*(np.flatnonzero(jobs.option_job == j).tolist() for j in range(jobs.jobs))))
    nothing = (0,) * problem.blocks
    for servers in _server_plans(problem):
        for options in choices:
            if _fits(problem, servers.count, options, nothing):
                yield servers, options


def _job_usd(problem: Problem, options: tuple[int, ...]) -> float:
    jobs = problem.rules.jobs
    return 0.0 if jobs is None else sum(float(jobs.option_usd[option]) for option in options)


def _server_plans(problem: Problem) -> list[_Servers]:
    """Every stock of servers that rules 7, 8, 10–12 allow, with its cost and the sites that it opens."""
    plans = []
    limits = problem.limit_matrix.toarray()
    for servers in _counts(problem.offer_max):
        count = np.array(servers, float)
        opened = tuple(bool(count[problem.offer_site == site].any()) for site in range(problem.sites))
        if (limits @ count > problem.limit_rhs + SLACK).any():
            continue
        fits = True
        for site in range(problem.sites):
            here = problem.offer_site == site
            use = count[here] @ problem.server_use[problem.offer_server[here]]
            fits &= bool((use <= problem.site_limit[site] + SLACK).all())
        if fits:
            fixed = float(problem.open_usd @ np.array(opened, float) + problem.offer_usd @ count)
            plans.append(_Servers(fixed, servers, opened))
    return plans


def _slices(problem: Problem) -> int:
    jobs = problem.rules.jobs
    return max(1, problem.slices, 0 if jobs is None else jobs.option_slices.shape[1])


def _stands(problem: Problem, block: int, when: int) -> bool:
    return problem.block_slice is None or int(problem.block_slice[block]) in (-1, when)


def _allowed(problem: Problem, replicas: tuple[int, ...]) -> bool:
    """Operating points (6), moves and pins (14)."""
    used = [int(c) for c, count in zip(problem.block_choice, replicas, strict=True) if c >= 0 and count > 0]
    if len(used) != len(set(used)):
        return False
    moves, pins = problem.rules.moves, problem.rules.pins
    for when in range(_slices(problem)):
        here = [block for block in range(problem.blocks) if _stands(problem, block, when)]
        if moves is not None and sum(_added(problem, replicas)[block] for block in here) > moves.most:
            return False
        if pins is not None:
            for pin in range(len(pins.least)):
                members = [int(b) for q, b in zip(pins.entry_pin, pins.entry_block, strict=True) if q == pin]
                total = sum(replicas[block] for block in members if block in here)
                if not pins.least[pin] <= total <= pins.most[pin]:
                    return False
    return True


def _added(problem: Problem, replicas: tuple[int, ...]) -> np.ndarray:
    moves = problem.rules.moves
    if moves is None:
        return np.zeros(problem.blocks)
    return np.array([max(0, now - int(then)) for now, then in zip(replicas, moves.before, strict=True)], float)


def _fits(problem: Problem, servers: tuple[int, ...], options: tuple[int, ...], replicas: tuple[int, ...]) -> bool:
    """Equation 6 in every slice, by placing every replica and gang: the largest first, on the smallest server left.

    A gang beyond eight GPUs takes whole servers of eight. The counts of equation 6 are not used.
    """
    return all(_packs(problem, servers, options, replicas, when) for when in range(_slices(problem)))


def _packs(
    problem: Problem, servers: tuple[int, ...], options: tuple[int, ...], replicas: tuple[int, ...], when: int
) -> bool:
    bins: dict[tuple[int, int], list[int]] = {}
    for offer, count in enumerate(servers):
        server = int(problem.offer_server[offer])
        place = (int(problem.offer_site[offer]), int(problem.server_gpu[server]))
        bins.setdefault(place, []).extend([4 * int(problem.server_gpus[server])] * count)
    items: list[tuple[int, tuple[int, int]]] = []
    for block, count in enumerate(replicas):
        shape = int(problem.block_shape[block])
        if count and _stands(problem, block, when):
            place = (int(problem.block_site[block]), int(problem.shape_gpu[shape]))
            items.extend([(int(problem.shape_quarters[shape]), place)] * count)
    jobs = problem.rules.jobs
    for option in options:
        if jobs is not None and jobs.option_slices[option, when]:
            quarters, place = (
                int(jobs.option_quarters[option]),
                (int(jobs.option_site[option]), int(jobs.option_gpu[option])),
            )
            items.extend([(min(quarters, 32), place)] * max(quarters // 32, 1))
    for size, place in sorted(items, reverse=True):
        room = [k for k, left in enumerate(bins.get(place, [])) if left >= size]
        if not room:
            return False
        best = min(room, key=lambda k: bins[place][k])
        bins[place][best] -= size
    return True


def _rooms(problem: Problem, servers: _Servers, options: tuple[int, ...], added: np.ndarray) -> Iterator[float]:
    """What the whole numbers leave of every total."""
    for total in problem.rules.totals:
        left = total.most
        if total.open is not None:
            left -= float(total.open @ np.array(servers.opened, float))
        if total.offer is not None:
            left -= float(total.offer @ np.array(servers.count, float))
        if total.job is not None:
            left -= sum(float(total.job[option]) for option in options)
        if total.added is not None:
            left -= float(total.added @ added)
        yield left
