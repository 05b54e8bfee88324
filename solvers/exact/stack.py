"""The models of all periods as one program: block by block, with the rows that tie a period to the one before.

Symbols are those of `solvers.rollout`. Every period's objective counts by its months.
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
import scipy.sparse as sp

from solvers.check.rules import total_value
from solvers.exact.bounds import Most, most
from solvers.exact.columns import given_up
from solvers.exact.model import Model, Program, build_model, row_block
from solvers.exact.rows import Rows, total_vector
from solvers.exact.rows.base import at_most
from solvers.exact.ties import Ties
from solvers.exact.values import vector
from solvers.problem import Float, Int, Problem
from solvers.rollout import Rollout
from solvers.rules import Total
from solvers.solution import Placement


@dataclass(frozen=True)
class Ceiling:
    """A row over the whole roll-out: the mean by months of a total of every period (None: of the cost) ≤ most."""

    name: str
    totals: tuple[Total, ...] | None
    most: float


@dataclass(frozen=True, kw_only=True)
class Stack(Program):
    """The program of a roll-out: the columns of every period, then those that say by how much offers have grown."""

    problems: tuple[Problem, ...]
    parts: tuple[Model, ...]  # each with the objective of a month of its own
    grown: tuple[Int, Int]  # period and offer of every such column
    ties: tuple[Rows, ...]

    def of(self, period: int) -> slice:
        """Where the columns of a period stand."""
        first = sum(len(part.cost) for part in self.parts[:period])
        return slice(first, first + len(self.parts[period].cost))

    def row_names(self) -> Iterator[str]:
        """Names of the rows: those of the periods after h0_, h1_, …, then the ties."""
        for h, part in enumerate(self.parts):
            yield from (f"h{h}_{name}" for name in part.row_names())
        for rows in self.ties:
            yield from (rows.name(number) for number in range(rows.count))

    def column_names(self) -> Iterator[str]:
        """Names of the columns: those of the periods after h0_, h1_, …"""
        for h, part in enumerate(self.parts):
            yield from (f"h{h}_{name}" for name in part.column_names())
        yield from (f"h{h}_grown_{offer}" for h, offer in zip(*self.grown, strict=True))

    def vector(self, placements: tuple[Placement, ...]) -> Float:
        """A plan as a value of every column."""
        values = [
            vector(part, problem, plan)
            for part, problem, plan in zip(self.parts, self.problems, placements, strict=True)
        ]
        servers = np.stack([v[part.columns.of("servers")] for v, part in zip(values, self.parts, strict=True)])
        period, offer = self.grown
        grown = np.maximum(servers[period, offer] - servers[period - 1, offer], 0.0)
        return np.concatenate([*values, grown])


def build_stack(
    rollout: Rollout,
    *,
    aim: tuple[Total, ...] | None = None,
    ceilings: tuple[Ceiling, ...] = (),
    within: Rollout | None = None,
) -> Stack:
    """The program that makes the mean of `aim` over the periods small (None: of the cost) and keeps every ceiling.

    `within` is the same roll-out with looser limits, whose bounds the columns get: for programs whose rows give way.
    """
    weights = rollout.months / rollout.months.sum()
    problems = tuple(_counting(problem, h, aim, ceilings) for h, problem in enumerate(rollout.periods))
    bounds = _bounds(rollout, problems) if within is None else _bounds(within, within.periods)
    models = tuple(build_model(problem, bound) for problem, bound in zip(problems, bounds, strict=True))
    first = np.concatenate([[0], np.cumsum([len(model.cost) for model in models])]).tolist()
    servers = np.array([at + model.columns.of("servers").start for at, model in zip(first, models, strict=False)])
    ties = Ties(
        rollout,
        servers[:, None] + np.arange(len(rollout.stays)),
        np.stack([bound.servers for bound in bounds]),
        first[-1],
    )
    rows = (*ties.rows(), *(_ceiling(ceiling, models, weights, first) for ceiling in ceilings))
    if aim is not None:
        models = tuple(_aimed(*of_period) for of_period in zip(problems, models, aim, strict=True))
    return _stacked(problems, models, weights, ties, rows)


def mean_total(
    rollout: Rollout, totals: tuple[Total, ...], plans: tuple[Placement, ...], *, signed: bool = True
) -> float:
    """The mean by months of what `totals` come to, or of the sum of what was added, signs left out."""
    number = 0 if signed else 1
    of_period = zip(rollout.periods, totals, plans, strict=True)
    values = [total_value(problem, plan, total)[number] for problem, total, plan in of_period]
    return float(np.asarray(values) @ rollout.months / rollout.months.sum())


def largest_coefficient(totals: tuple[Total, ...]) -> float:
    """The largest coefficient of any of them, signs left out."""
    parts = [getattr(total, part.name) for total in totals for part in fields(total)]
    return max((float(np.abs(part).max(initial=0.0)) for part in parts if isinstance(part, np.ndarray)), default=0.0)


def _counting(problem: Problem, h: int, aim: tuple[Total, ...] | None, ceilings: tuple[Ceiling, ...]) -> Problem:
    """The problem of a period that knows of the totals that count, so that its model has the columns they need."""
    asked = [totals for totals in (aim, *(ceiling.totals for ceiling in ceilings)) if totals is not None]
    if not asked:
        return problem
    totals = tuple(replace(of_period[h], most=np.inf) for of_period in asked)
    return replace(problem, rules=replace(problem.rules, totals=problem.rules.totals + totals))


def _bounds(rollout: Rollout, problems: tuple[Problem, ...]) -> list[Most]:
    """What each period can use; of servers that tie periods what any of them can, for they may come early or stay."""
    found = [most(problem) for problem in problems]
    tied = rollout.stays | (rollout.installed & np.isfinite(rollout.installs).any())
    tied |= (rollout.capex_usd > 0) & np.isfinite(rollout.capex_most).any()
    ever = np.stack([bound.servers for bound in found]).max(axis=0)
    return [
        replace(bound, servers=np.where(tied, np.minimum(ever, problem.offer_max), bound.servers).astype(np.int64))
        for bound, problem in zip(found, problems, strict=True)
    ]


def _aimed(problem: Problem, model: Model, total: Total) -> Model:
    """The model that makes `total` small; what rows that nobody can serve add to it is an offset, as with the cost."""
    cost = total_vector(model.columns, total)
    lost = model.columns.at("unserved", np.flatnonzero(given_up(problem)))
    offset = float(cost[lost].sum())
    cost[lost] = 0.0
    return replace(model, cost=cost, offset_usd=offset)


def _ceiling(ceiling: Ceiling, models: tuple[Model, ...], weights: Float, first: list[int]) -> Rows:
    """(16) A goal that is reached stays so: Σ_h weight_h·total_h ≤ most."""
    parts, right = [], ceiling.most
    for h, (model, weight) in enumerate(zip(models, weights.tolist(), strict=True)):
        value = model.cost if ceiling.totals is None else total_vector(model.columns, ceiling.totals[h])
        if ceiling.totals is None:
            right -= weight * model.offset_usd
        column = np.flatnonzero(value)
        parts.append((np.zeros(len(column), np.int64), first[h] + column, weight * value[column]))
    return at_most("16", f"goal_{ceiling.name}", (("", np.full(1, -1)),), tuple(parts), right)


def _stacked(
    problems: tuple[Problem, ...], parts: tuple[Model, ...], weights: Float, ties: Ties, rows: tuple[Rows, ...]
) -> Stack:
    grown = ties.growing()
    more = np.zeros(len(grown[0]))
    block = row_block(rows, ties.columns + len(more))
    own = sp.csr_matrix(sp.block_diag([part.matrix for part in parts], format="csr"))
    shape = (own.shape[0], block.matrix.shape[1])
    diagonal = sp.csr_matrix((own.data, own.indices, own.indptr), shape=shape)
    return Stack(
        cost=np.concatenate([*(weight * part.cost for weight, part in zip(weights, parts, strict=True)), more]),
        lower=np.concatenate([*(part.lower for part in parts), more]),
        upper=np.concatenate([*(part.upper for part in parts), ties.most[grown].astype(np.float64)]),
        integer=np.concatenate([*(part.integer for part in parts), more > 0]),
        matrix=sp.csr_matrix(sp.vstack([diagonal, block.matrix], format="csr")),
        row_lower=np.concatenate([*(part.row_lower for part in parts), block.lower]),
        row_upper=np.concatenate([*(part.row_upper for part in parts), block.upper]),
        row_scale=np.concatenate([*(part.row_scale for part in parts), block.scale]),
        offset_usd=float(sum(weight * part.offset_usd for weight, part in zip(weights, parts, strict=True))),
        problems=problems,
        parts=parts,
        grown=grown,
        ties=rows,
    )
