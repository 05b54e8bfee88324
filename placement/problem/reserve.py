"""(13) N-1: which domains may fail, and who may stand in."""

import numpy as np
from numpy.typing import NDArray

from placement.frames import numbered, records, texts
from placement.problem.errors import UnplannableError
from placement.problem.routes import backup_budget_ms
from placement.scenario import Scenario
from solvers.rules import Reserve

Float = NDArray[np.float64]
Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

ALL = "all"


class ReserveError(UnplannableError):
    """N-1 is asked for domains that are not there."""


def failing_domains(scenario: Scenario) -> dict[str, list[int]]:
    """The domains that may fail with their sites, by name; none where N-1 is off.

    Raises:
        ReserveError: no domain is of a kind that `reliability.n_minus_1` names.
    """
    kinds = scenario.document.reliability.n_minus_1
    site = numbered(texts(scenario.table("sites"), "site"))
    found: dict[str, list[int]] = {}
    there = set()
    for row in records(scenario.table("domains")):
        if ALL in kinds or row["kind"] in kinds:
            found.setdefault(row["domain"], []).append(site[row["site"]])
            there.add(row["kind"])
    for kind in kinds:
        if not found or kind not in there | {ALL}:
            raise ReserveError(f"reliability.n_minus_1 names {kind!r}, and the table domains has none of that kind")
    return dict(sorted(found.items()))


def one_budget(scenario: Scenario) -> bool:
    """Whether every service has its backup within its own latency budget."""
    return all(backup_budget_ms(row) == row["latency_budget_ms"] for row in records(scenario.table("services")))


def reserve_rule(
    scenario: Scenario, domains: dict[str, list[int]], sites: int, pairs: tuple[Int, Int, Float]
) -> Reserve | None:
    """The rule over backup `pairs` (demand row, block, load); None where N-1 is off."""
    if not domains:
        return None
    fails = np.zeros((len(domains), sites), np.bool_)
    for e, members in enumerate(domains.values()):
        fails[e, members] = True
    demand, block, load = pairs
    return Reserve(fails, demand, block, load, scenario.document.reliability.failover)
