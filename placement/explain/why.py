"""Why a class goes where it goes, and why a model stands where it stands: by arithmetic from the plan."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from placement.explain.case import Case
from placement.explain.reach import Atlas, Reach, state_name
from placement.explain.reliefs import keyed_pins
from placement.frames import texts
from placement.problem.names import DemandRow
from placement.scenario.findings import nearest
from solvers.problem import Problem
from solvers.solution import Placement

Float = NDArray[np.float64]


class UnknownNameError(ValueError):
    """A region, model, service, slice, period or site that the scenario does not have."""


@dataclass(frozen=True)
class Choice:
    """One site as a class sees it; None where a figure is unknown or means nothing."""

    site: str
    country: str
    state: str
    rtt_ms: float | None
    planned_ms: float | None
    kept_out: tuple[str, ...]  # rules, in the order of their numbers; none: admissible
    usd_per_1000: float | None  # what serving it here adds, servers left aside
    spare_requests_per_s: float | None  # on the replicas that stand
    share: float


@dataclass(frozen=True)
class Class:
    """A demand row of a period."""

    h: int
    i: int
    row: DemandRow
    period: str
    requests_per_month: float
    unserved: float
    residency: str
    budget_ms: float


@dataclass(frozen=True)
class Server:
    """What a model serves at a site: one class in one slice of a period."""

    cls: Class
    share: float  # of the class
    requests_per_s: float


@dataclass(frozen=True)
class Standing:
    """A model at a site in one period: `busy` is the share of its replicas that its busiest slice uses."""

    period: str
    replicas: int
    gpus: float
    busy: float
    serves: tuple[Server, ...]


@dataclass(frozen=True)
class ClassAnswer:
    """Why classes go where they go: all that were asked for with their places, and the largest against every site."""

    question = "class"
    classes: tuple[tuple[Class, tuple[tuple[str, float], ...]], ...]
    chosen: Class
    choices: tuple[Choice, ...]


def explain_class(
    case: Case,
    region: str | None = None,
    model: str | None = None,
    service: str | None = None,
    slice_: str | None = None,
    period: str | None = None,
) -> ClassAnswer:
    """Where the classes of a region go, and every site for the largest of them.

    Raises:
        UnknownNameError: nobody asks for that.
    """
    found = classes(case, region=region, model=model, service=service, slice=slice_, period=period)
    listed = tuple((cls, tuple(where(case, cls))) for cls in found)
    return ClassAnswer(listed, found[0], tuple(choices(case, found[0])))


def classes(case: Case, **wanted: str | None) -> list[Class]:
    """The demand rows whose region, model, service, slice and period are those `wanted` (None: any), the largest first.

    Raises:
        UnknownNameError: a name that no demand row has.
    """
    rows = [
        (h, i, row, names.period) for h, names in enumerate(case.built.names) for i, row in enumerate(names.demands)
    ]
    for what, name in wanted.items():
        if name is not None:
            known = sorted({_field(row, period, what) for _, _, row, period in rows})
            if name not in known:
                raise UnknownNameError(f"no {what} of the demand is called {name!r}. {nearest(name, known)}")
            rows = [entry for entry in rows if _field(entry[2], entry[3], what) == name]
    if not rows:
        asked = ", ".join(f"{what} {name}" for what, name in wanted.items() if name is not None)
        raise UnknownNameError(f"nobody asks for this: no row of demand has {asked}")
    atlas = Atlas(case)
    found = [_class(case, atlas, *entry) for entry in rows]
    return sorted(
        found, key=lambda c: (-c.requests_per_month, c.period, c.row.slice, c.row.region, c.row.model, c.row.service)
    )


def known_site(case: Case, site: str) -> int:
    """The number of a site.

    Raises:
        UnknownNameError: there is none of that name.
    """
    sites = case.built.names[0].sites
    if site not in sites:
        raise UnknownNameError(f"no site is called {site!r}. {nearest(site, sites)}")
    return sites.index(site)


def choices(case: Case, cls: Class) -> list[Choice]:
    """Every site for a class, by planned latency, unknown ones last."""
    atlas = Atlas(case)
    reach = atlas.of_class(cls.row.region, cls.row.model, cls.row.service, cls.residency)
    by_site, pins = _by_site(case, cls), keyed_pins(case.scenario)
    found = [_choice(reach, p, cls, by_site, pins) for p in range(len(reach.sites))]
    return sorted(found, key=lambda c: (c.planned_ms is None, c.planned_ms or 0.0, c.rtt_ms or 0.0, c.site))


def standing(case: Case, model: str, site: str) -> list[Standing]:
    """What a model does at a site, period by period; none where it does not stand.

    Raises:
        UnknownNameError: no such model or site.
    """
    p, models = known_site(case, site), sorted(set(texts(case.scenario.table("shapes"), "model")))
    if model not in models:
        raise UnknownNameError(f"no model is called {model!r}. {nearest(model, models)}")
    atlas, found = Atlas(case), []
    for h, plan in enumerate(case.plans or ()):
        one = _standing(case, atlas, h, plan, _blocks(case, h, model, p))
        if one.replicas:
            found.append(one)
    return found


def where(case: Case, cls: Class) -> list[tuple[str, float]]:
    """The sites that serve a class with their shares, the largest first."""
    share = _by_site(case, cls)[0]
    sites = case.built.names[0].sites
    return sorted(((sites[p], float(share[p])) for p in np.flatnonzero(share > 0)), key=lambda s: (-s[1], s[0]))


def _field(row: DemandRow, period: str, what: str) -> str:
    return period if what == "period" else str(getattr(row, what))


def _class(case: Case, atlas: Atlas, h: int, i: int, row: DemandRow, period: str) -> Class:
    unserved = 1.0 if case.plans is None else float(case.plans[h].unserved[i])
    budget = float(atlas.services[row.service]["latency_budget_ms"])
    return Class(h, i, row, period, float(case.requests[h][i]), unserved, atlas.residency_of(period, row), budget)


def _ban(pins: dict[tuple[str, str], tuple[float, float]], model: str, site: str) -> tuple[str, ...]:
    """The pin that bans a model from a site, if there is one."""
    banned = (model, site) in pins and pins[model, site][1] == 0
    return (f"14 a pin bans {model}",) if banned else ()


def _choice(
    reach: Reach,
    p: int,
    cls: Class,
    by_site: tuple[Float, Float, Float],
    pins: dict[tuple[str, str], tuple[float, float]],
) -> Choice:
    share, usd, spare = by_site
    planned = float(reach.planned_ms[p])
    kept_out = (*(str(barrier) for barrier in reach.barriers(p)), *_ban(pins, cls.row.model, reach.sites[p]))
    admissible = bool(np.isfinite(usd[p]))
    return Choice(
        site=reach.sites[p],
        country=reach.site_country[p],
        state=state_name(int(reach.state[p])),
        rtt_ms=_known(reach.rtt_ms[p]),
        planned_ms=_known(planned),
        kept_out=kept_out,
        usd_per_1000=1000 * float(usd[p]) / cls.requests_per_month if admissible and cls.requests_per_month else None,
        spare_requests_per_s=float(spare[p]) if admissible else None,
        share=float(share[p]),
    )


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _by_site(case: Case, cls: Class) -> tuple[Float, Float, Float]:
    """Of a class by site, P each: the share served there, the least USD a month for all of it (inf: not admissible),
    requests/s that the standing replicas could still take."""
    problem = case.built.rollout.periods[cls.h]
    first, last = np.searchsorted(problem.pair_demand, [cls.i, cls.i + 1])
    pair = np.arange(first, last)
    site = problem.pair_site[pair]
    share, usd, spare = np.zeros(problem.sites), np.full(problem.sites, np.inf), np.zeros(problem.sites)
    np.minimum.at(usd, site, problem.pair_usd[pair])
    if case.plans is not None:
        plan = case.plans[cls.h]
        np.add.at(share, site, plan.share[pair])
        block = problem.pair_block[pair]
        left = problem.capacity_factor * plan.replicas[block] - _load(problem, plan, block, cls)
        rate = case.rates[cls.h][cls.i]
        with np.errstate(divide="ignore", invalid="ignore"):
            more = np.where(problem.pair_load[pair] > 0, left / problem.pair_load[pair] * rate, 0.0)
        np.maximum.at(spare, site, np.maximum(more, 0.0))
    return share, usd, spare


def _load(problem: Problem, plan: Placement, block: NDArray[np.int64], cls: Class) -> Float:
    """Replicas that the plan keeps busy on each block in the slice of the class."""
    same = problem.demand_slice[problem.pair_demand] == problem.demand_slice[cls.i]
    total = np.bincount(problem.pair_block[same], (problem.pair_load * plan.share)[same], problem.blocks)
    return np.asarray(total[block], np.float64)


def _blocks(case: Case, h: int, model: str, site: int) -> NDArray[np.int64]:
    problem, names = case.built.rollout.periods[h], case.built.names[h]
    shapes = case.scenario.table("shapes")
    mine = set(shapes.loc[shapes["model"] == model, "shape"])
    of_model = np.array([shape.shape in mine for shape in names.shapes], np.bool_)
    return np.flatnonzero((problem.block_site == site) & of_model[problem.block_shape])


def _standing(case: Case, atlas: Atlas, h: int, plan: Placement, blocks: NDArray[np.int64]) -> Standing:
    problem, names = case.built.rollout.periods[h], case.built.names[h]
    mine = np.zeros(problem.blocks, np.bool_)
    mine[blocks] = True
    pair = np.flatnonzero(mine[problem.pair_block] & (plan.share > 0))
    load = np.bincount(problem.demand_slice[problem.pair_demand[pair]], (problem.pair_load * plan.share)[pair])
    stands = np.full(problem.blocks, -1) if problem.block_slice is None else problem.block_slice
    counts: dict[int, int] = defaultdict(int)
    quarters: dict[int, float] = defaultdict(float)
    for b in blocks.tolist():
        counts[int(stands[b])] += int(plan.replicas[b])
        quarters[int(stands[b])] += float(plan.replicas[b] * problem.shape_quarters[problem.block_shape[b]])
    always, always_quarters = counts.pop(-1, 0), quarters.pop(-1, 0.0)
    busy = max(
        (float(used) / have for t, used in enumerate(load) if (have := always + counts.get(t, 0)) > 0), default=0.0
    )
    return Standing(
        period=names.period,
        replicas=always + max(counts.values(), default=0),
        gpus=(always_quarters + max(quarters.values(), default=0.0)) / 4,
        busy=busy,
        serves=tuple(_serves(case, atlas, h, plan, pair)),
    )


def _serves(case: Case, atlas: Atlas, h: int, plan: Placement, pair: NDArray[np.int64]) -> Iterator[Server]:
    problem, names = case.built.rollout.periods[h], case.built.names[h]
    share: dict[int, float] = defaultdict(float)
    for n in pair.tolist():
        share[int(problem.pair_demand[n])] += float(plan.share[n])
    found = []
    for i, part in share.items():
        cls = _class(case, atlas, h, i, names.demands[i], names.period)
        found.append(Server(cls, part, part * float(case.rates[h][i])))
    yield from sorted(found, key=lambda s: (-s.requests_per_s, s.cls.row.region, s.cls.row.service, s.cls.row.slice))
