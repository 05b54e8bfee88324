"""A plan's folder as a Case: its names put back into the numbers of the arrays."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from placement.explain.case import Case, How
from placement.pinning import parse_pin, pinned
from placement.plan.certificate import guiding_usd
from placement.plan.document import BILLION, PlanDocument
from placement.plan.numbers import numbers
from placement.plan.reading import PlanReadError, check_fresh, read_document
from placement.planning import previous_of
from placement.problem import Names, build_rollout
from placement.problem.tenants import owners
from placement.scenario import Scenario
from placement.topology import build_pairs
from solvers.problem import Problem
from solvers.solution import Certificate, Multipliers, Placement

Int = NDArray[np.int64]
Key = tuple[str, ...]


@dataclass(frozen=True)
class _Rows:
    """What a plan says of one period."""

    document: PlanDocument
    routes: list[dict[str, Any]]
    period: str


def read_case(folder: Path, scenario: Scenario, how: How) -> Case:
    """The plan of a folder over its scenario, with the pins it was made with.

    Raises:
        PlanReadError: no plan is there, or it names what the scenario's problem does not have.
        StalePlanError: the inputs are others than those that the plan records.
    """
    document = read_document(folder).document
    try:
        table = pq.read_table(folder / "routes.parquet")
        routes = table.filter(table["failure"].is_null()).to_pylist()
    except (OSError, ValueError, KeyError) as error:
        raise PlanReadError(f"{folder}: {error}") from error
    check_fresh(document, scenario)
    wishes = tuple(parse_pin(text) for text in document.provenance.parameters.get("pins", ()))
    scenario = pinned(scenario, wishes) if wishes else scenario
    how.say("topology")
    pairs = build_pairs(scenario).pairs
    how.say("problem")
    previous = previous_of(scenario)
    built = build_rollout(scenario, pairs, previous=previous)
    owner = owners(scenario).of_service
    plans = tuple(
        _Reader(problem, names, owner).placement(_Rows(document, routes, names.period))
        for problem, names in zip(built.rollout.periods, built.names, strict=True)
    )
    return Case(scenario, pairs, previous, built, plans, _certificates(folder, built.names))


class _Reader:
    """Names of one period to the numbers of its problem."""

    def __init__(self, problem: Problem, names: Names, owner: dict[str, str]) -> None:
        self.problem, self.names, self.owner = problem, names, owner
        known = numbers(problem, names)
        self.block, self.offer, self.demand = known.block, known.offer, known.demand

    def placement(self, rows: _Rows) -> Placement:
        """The period of the plan, backup routes left aside."""
        problem = self.problem
        servers, replicas = self._servers(rows), self._replicas(rows)
        share = self._shares(rows)
        served = np.bincount(problem.pair_demand, share, problem.demands)
        opened = np.bincount(problem.offer_site, servers, problem.sites) > 0
        return Placement(opened, servers, replicas, share, np.maximum(1.0 - served, 0.0), self._jobs(rows))

    def _servers(self, rows: _Rows) -> Int:
        servers = np.zeros(self.problem.offers, np.int64)
        for row in rows.document.servers:
            if (row.period or "") == rows.period:
                parts = {"fleet": row.count - row.new, "buy": row.new - row.rented, "rent": row.rented}
                for way, count in parts.items():
                    if count:
                        servers[self._found(self.offer, (row.site, row.server, way, row.tenant or ""))] += count
        return servers

    def _replicas(self, rows: _Rows) -> Int:
        replicas = np.zeros(self.problem.blocks, np.int64)
        for row in rows.document.replicas:
            if (row.period or "") == rows.period:
                key = (row.site, row.shape, row.tenant or "", row.slice or "")
                replicas[self._found(self.block, key)] += row.count
        return replicas

    def _shares(self, rows: _Rows) -> NDArray[np.float64]:
        problem = self.problem
        key = problem.pair_demand.astype(np.int64) * max(problem.blocks, 1) + problem.pair_block
        share = np.zeros(problem.pairs)
        for row in rows.routes:
            if (row["period"] or "") != rows.period:
                continue
            t = row["slice"] or ""
            i = self._found(self.demand, (row["region"], row["model"], row["service"], t))
            place = (row["site"], row["shape"], self.owner[row["service"]])
            stands = self.block.get((*place, t)) or self._found(self.block, (*place, ""))
            wanted = i * max(problem.blocks, 1) + stands[0]
            n = int(np.searchsorted(key, wanted))
            if n == len(key) or key[n] != wanted:
                raise PlanReadError(f"the plan has a route that the scenario does not admit: {row}")
            share[n] += row["share_ppb"] / BILLION
        return share

    def _jobs(self, rows: _Rows) -> Int:
        option = {(o.job, o.site, o.slices): a for a, o in enumerate(self.names.job_options)}
        chosen = [
            self._found(option, (row.job, row.site, row.slices))
            for row in rows.document.jobs
            if (row.period or "") == rows.period
        ]
        return np.array(sorted(chosen), np.int64)

    @staticmethod
    def _found(table: Any, key: tuple[Any, ...]) -> Any:
        if key not in table:
            raise PlanReadError(f"the plan names {key}, which the scenario's problem does not have; plan again")
        return table[key]


def _certificates(folder: Path, names: tuple[Names, ...]) -> tuple[Certificate | None, ...]:
    """The prices of every period, in the problem's numbering; none where the plan has no certificate."""
    path = folder / "certificate.npz"
    if not path.exists():
        return ()
    with np.load(path, allow_pickle=False) as arrays:
        return tuple(_certificate(arrays, f"p{h}_", period) for h, period in enumerate(names))


def _certificate(arrays: Any, prefix: str, names: Names) -> Certificate:
    """What is told of worth: prices of demand, wires, limits and the budget; cuts, backups and groups stay behind."""
    kinds = ("region", "model", "service", "slice")
    classes = list(zip(*(arrays[f"{prefix}demand_{kind}"].tolist() for kind in kinds), strict=True))
    own = {name.removeprefix(prefix): arrays[name] for name in arrays.files if name.startswith(prefix)}
    usd = dict(zip(classes, guiding_usd(own, failures=True).tolist(), strict=True))
    limit = dict(zip(arrays[f"{prefix}limit"].tolist(), arrays[f"{prefix}limit_usd"].tolist(), strict=True))
    site = [arrays["site"].tolist().index(name) for name in names.sites]
    slices = [arrays["slice"].tolist().index(name) for name in names.slices]
    prices = Multipliers(
        np.array([usd[d.region, d.model, d.service, d.slice] for d in names.demands]),
        arrays[f"{prefix}uplink_usd"][np.ix_(site, slices)],
        arrays[f"{prefix}downlink_usd"][np.ix_(site, slices)],
        np.array([limit[name] for name in names.limits]),
        float(arrays[f"{prefix}budget"]),
    )
    return Certificate(prices)
