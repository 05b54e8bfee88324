"""A solution drawn by hand, in names: what stands, what flows where. Only what a plan is told from is filled in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import tiny

from placement.plan.build import Solved
from placement.problem.names import Built, DemandRow, GoalSpec, JobOption, Names, Offer, ShapeName
from placement.scenario import Scenario, load
from placement.topology import build_pairs
from solvers.problem import Problem
from solvers.rollout import Reached, Rollout, RolloutSolution
from solvers.rules import Moves, Policy, Reserve, Rules
from solvers.solution import Certificate, Placement, Status

Block = tuple[str, str, str, str]  # site, shape, tenant, slice ("": all)


def rows(scenario: Scenario, period: str = "") -> list[DemandRow]:
    table = scenario.table("demand")
    table = table[table["period"] == period]
    columns = (table[name] for name in ("region", "model", "service", "slice"))
    return [DemandRow(*row) for row in zip(*columns, strict=True)]


@dataclass(frozen=True)
class Sketch:
    """One period. `routes`: share by (region, slice, block) of the only class of a region; the rest is unserved."""

    servers: Mapping[Offer, int]
    replicas: Mapping[Block, int]
    routes: Mapping[tuple[str, str, Block], float]
    penalty_usd: Mapping[tuple[str, str], float] = field(default_factory=dict)
    jobs: Sequence[JobOption] = ()
    domains: Mapping[str, Sequence[str]] = field(default_factory=dict)
    backup: Mapping[tuple[str, str, str, Block], float] = field(default_factory=dict)  # domain, region, slice, block
    policy: Policy = "planned"
    before: Mapping[Block, int] | None = None
    period: str = ""
    months: float = 1.0


def solved(
    folder: Path,
    sketches: Sequence[Sketch],
    changed: Mapping[str, str | None] | None = None,
    *,
    backwards: bool = False,
    certificates: tuple[Certificate | None, ...] = (),
    goals: tuple[GoalSpec, ...] = (),
) -> Solved:
    """What `build_plan` takes; `backwards`: with all names numbered in reverse."""
    scenario = load(tiny.write(folder, dict(changed or {})))
    sign = -1 if backwards else 1
    drawn = [_period(scenario, sketch, sign) for sketch in sketches]
    problems = tuple(problem for problem, _, _ in drawn)
    offers = problems[0].offers
    none = np.zeros(offers, np.bool_)
    off = np.full(len(drawn), np.inf)
    months = np.array([sketch.months for sketch in sketches])
    rollout = Rollout(problems, months, none, none, np.zeros(offers), off, off)
    solution = RolloutSolution(
        Status.FEASIBLE,
        tuple(placement for _, _, placement in drawn),
        0.0,
        -np.inf,
        certificates,
        goals=tuple(Reached(goal.name, 0.0, 0.0, 0.0) for goal in goals),
    )
    built = Built(rollout, tuple(names for _, names, _ in drawn), goals)
    return Solved(scenario, build_pairs(scenario).pairs, built, solution)


def _period(scenario: Scenario, sketch: Sketch, sign: int) -> tuple[Problem, Names, Placement]:
    demands = rows(scenario, sketch.period)[::sign]
    sites = [str(site) for site in scenario.table("sites")["site"]][::sign]
    slices = sorted({row.slice for row in demands})
    shapes = sorted({block[1:3] for block in [*sketch.replicas, *(sketch.before or {})]})[::sign]
    known = {*sketch.replicas, *(block for *_, block in sketch.routes), *(block for *_, block in sketch.backup)}
    blocks = sorted(known, key=lambda b: (sites.index(b[0]), shapes.index(b[1:3]), b[3]))
    offers = sorted(sketch.servers, key=lambda o: (sites.index(o.site), sign * len(o.way), o.server))
    pairs = sorted(
        (i, blocks.index(block), share)
        for (region, slice_name, block), share in sketch.routes.items()
        for i, row in enumerate(demands)
        if (row.region, row.slice) == (region, slice_name)
    )
    share = np.array([share for *_, share in pairs])
    pair_demand = np.array([i for i, *_ in pairs], np.int64)
    penalty = np.array([sketch.penalty_usd.get((row.region, row.slice), 0.0) for row in demands])
    count = len(demands), len(sites), len(offers), len(blocks)
    reserve, backup = _reserve(sketch, demands, sites, blocks)
    before = sketch.before
    moves = None if before is None else Moves(np.array([before.get(b, 0) for b in blocks]), np.zeros(count[3]))
    problem = Problem(
        open_usd=np.zeros(count[1]),
        uplink_mbps=np.full(count[1], np.inf),
        downlink_mbps=np.full(count[1], np.inf),
        site_limit=np.zeros((count[1], 0)),
        server_gpu=np.zeros(1, np.int64),
        server_gpus=np.ones(1, np.int64),
        server_use=np.zeros((1, 0)),
        offer_site=np.array([sites.index(o.site) for o in offers], np.int64),
        offer_server=np.zeros(count[2], np.int64),
        offer_max=np.full(count[2], 99),
        offer_usd=np.zeros(count[2]),
        shape_gpu=np.zeros(len(shapes), np.int64),
        shape_quarters=np.full(len(shapes), 4),
        shape_model=np.zeros(len(shapes), np.int64),
        block_site=np.array([sites.index(b[0]) for b in blocks], np.int64),
        block_shape=np.array([shapes.index(b[1:3]) for b in blocks], np.int64),
        block_max=np.full(count[3], 99),
        block_choice=np.full(count[3], -1),
        demand_model=np.zeros(count[0], np.int64),
        demand_slice=np.array([slices.index(row.slice) for row in demands], np.int64),
        unserved_usd=penalty,
        out_mbps=np.zeros(count[0]),
        in_mbps=np.zeros(count[0]),
        pair_demand=pair_demand,
        pair_block=np.array([b for _, b, _ in pairs], np.int64),
        pair_load=np.zeros(len(pairs)),
        pair_usd=np.zeros(len(pairs)),
        limit_matrix=sp.csr_matrix((0, count[2])),
        limit_rhs=np.zeros(0),
        block_slice=np.array([slices.index(b[3]) if b[3] else -1 for b in blocks], np.int64),
        rules=Rules(reserve=reserve, moves=moves),
    )
    names = Names(
        period=sketch.period,
        sites=tuple(sites),
        slices=tuple(slices),
        shapes=tuple(ShapeName(*shape) for shape in shapes),
        offers=tuple(offers),
        demands=tuple(demands),
        limits=(),
        domains=tuple(list(sketch.domains)[::sign]),
        job_options=tuple(sketch.jobs),
    )
    left = 1 - np.bincount(pair_demand, share, count[0])
    placement = Placement(
        open=np.ones(count[1], np.bool_),
        servers=np.array([sketch.servers[offer] for offer in offers], np.int64),
        replicas=np.array([sketch.replicas.get(block, 0) for block in blocks], np.int64),
        share=share,
        unserved=np.where(left > 1e-12, left, 0.0),
        jobs=np.arange(len(sketch.jobs)),
        backup=backup,
    )
    return problem, names, placement


def _reserve(
    sketch: Sketch, demands: list[DemandRow], sites: list[str], blocks: list[Block]
) -> tuple[Reserve | None, sp.csr_matrix | None]:
    if not sketch.domains:
        return None, None
    domains = list(sketch.domains)[:: 1 if sites == sorted(sites) else -1]
    place = {(row.region, row.slice): i for i, row in enumerate(demands)}
    pairs = sorted({(place[region, name], blocks.index(block)) for _, region, name, block in sketch.backup})
    reserve = Reserve(
        np.array([[site in sketch.domains[domain] for site in sites] for domain in domains]),
        np.array([i for i, _ in pairs], np.int64),
        np.array([b for _, b in pairs], np.int64),
        np.zeros(len(pairs)),
        sketch.policy,
    )
    share = np.zeros((len(domains), len(pairs)))
    for (domain, region, name, block), value in sketch.backup.items():
        share[domains.index(domain), pairs.index((place[region, name], blocks.index(block)))] = value
    return reserve, sp.csr_matrix(share)
