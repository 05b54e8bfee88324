"""The tiny scenario with columns and keys added: what the tests of this folder build their problems from."""

import json
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import tiny
from numpy.typing import NDArray

from placement.problem import Built, Previous, build_rollout
from placement.scenario import load
from placement.topology import build_pairs
from solvers.problem import Problem

Changes = Mapping[str, str | None]

SERVER_USD = 100 + 10 + 100 + 21.9  # capital, support, place, idle energy
STANDING_USD = 100 + 21.9
SLICES = "slice,start_utc,hours_per_day\nday,06:00,18\nnight,00:00,6\n"
SLICED = """region,model,service,slice,requests_per_s,mean_requests_per_s
paris,m8,chat,day,8,4
paris,m8,chat,night,2,1
berlin,m8,chat,day,6,6
berlin,m8,chat,night,3,3
"""


def old_plan(folder: Path, *replicas: Mapping[str, object], periods: tuple[str, ...] = ()) -> Path:
    """A folder with the plan.json that moves could be counted from."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [{"tenant": None, "slice": None, "period": None, **row} for row in replicas]
    named = [{"period": name} for name in periods]
    document = {"schema": "nearserve-plan-2", "periods": named, "servers": [], "replicas": rows}
    (folder / "plan.json").write_text(json.dumps(document), "utf-8")
    return folder


def with_column(name: str, column: str, values: tuple[object, ...], text: str | None = None) -> Changes:
    """A file of tiny (or `text`) with one more column; a value for each row."""
    head, *rows = (text or tiny.FILES[name]).strip().splitlines()
    lines = [f"{head},{column}", *(f"{row},{value}" for row, value in zip(rows, values, strict=True))]
    return {name: "\n".join(lines) + "\n"}


RENT_COLUMN = with_column("servers.csv", "rent_usd_month", (180,))


def with_keys(*lines: str) -> Changes:
    """scenario.toml with lines added at its end."""
    return {"scenario.toml": tiny.FILES["scenario.toml"] + "\n".join(lines) + "\n"}


def in_periods(*names: str, text: str | None = None) -> Changes:
    """The demand of tiny, the same in every period."""
    head, *rows = (text or tiny.FILES["demand.csv"]).strip().splitlines()
    return {"demand.csv": "\n".join([f"{head},period", *(f"{row},{name}" for name in names for row in rows)]) + "\n"}


def built(folder: Path, *changes: Changes, previous: Previous | None = None) -> Built:
    """The roll-out of the tiny scenario with the changes."""
    merged: dict[str, str | None] = {}
    for change in changes:
        merged.update(change)
    scenario = load(tiny.write(folder, merged))
    return build_rollout(scenario, build_pairs(scenario).pairs, previous=previous)


def only(found: Built) -> Problem:
    """The Problem of a roll-out that has one period."""
    (problem,) = found.rollout.periods
    return problem


def offers(found: Built) -> list[tuple[str, str, str, str]]:
    """(site, server, way, tenant) in the Problem's order."""
    return [(offer.site, offer.server, offer.way, offer.tenant) for offer in found.names[0].offers]


def blocks(found: Built, period: int = 0) -> list[tuple[str, str, str]]:
    """(site, shape, slice or "" for all) in the Problem's order."""
    problem, names = found.rollout.periods[period], found.names[period]
    stands = np.full(problem.blocks, -1) if problem.block_slice is None else problem.block_slice
    return [
        (names.sites[p], names.shapes[d].shape, names.slices[t] if t >= 0 else "")
        for p, d, t in zip(problem.block_site, problem.block_shape, stands, strict=True)
    ]


def pair(found: Built, region: str, site: str, slice_: str = "", period: int = 0) -> int:
    """The only pair of a region at a site in a slice."""
    problem, names = found.rollout.periods[period], found.names[period]
    (number,) = [
        n
        for n in range(problem.pairs)
        if (row := names.demands[problem.pair_demand[n]]).region == region
        and row.slice == slice_
        and names.sites[problem.block_site[problem.pair_block[n]]] == site
    ]
    return number


def routes(found: Built, demand: NDArray[np.int64], block: NDArray[np.int64]) -> list[tuple[str, str, str]]:
    """(region, slice, site) of pairs given by demand row and block."""
    names, problem = found.names[0], found.rollout.periods[0]
    rows = [names.demands[i] for i in demand]
    sites = [names.sites[problem.block_site[b]] for b in block]
    return [(row.region, row.slice, site) for row, site in zip(rows, sites, strict=True)]


def row_of(found: Built, name: str, period: int = 0) -> tuple[dict[tuple[str, str, str, str], float], float]:
    """A limit: coefficient by offer, and the right side."""
    problem, names = found.rollout.periods[period], found.names[period]
    number = names.limits.index(name)
    row = problem.limit_matrix[[number]].toarray()[0]
    return {offer: value for offer, value in zip(offers(found), row.tolist(), strict=True) if value}, float(
        problem.limit_rhs[number]
    )
