"""Published facility-location instances solved to proven optimality, beside the published values.

python -m bench.facility [--time-limit S] [--only holmberg] [--solver core] [--backend scip]

Without --solver each set is solved by what is quickest for it (`_SOLVER`): the whole model, or the core. Costs are
recomputed from the numbers of the file (`bench.tools.facility_check`). `proved` is the gap to the bound that branch and
bound proves; `by prices` the gap to what a set of prices proves by itself, recomputed without any solver.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from bench.tools.facility_check import bound_usd, checked_usd, read
from bench.tools.machine import machine
from solvers.bound import lagrangian_bound
from solvers.exact import solve_core, solve_exact
from solvers.instances.facility import published, read_facility, read_pmedian, read_tbed1
from solvers.problem import Problem
from solvers.solution import Solution

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "facility"

_SOLVERS: dict[str, Callable[..., Solution]] = {"exact": solve_exact, "core": solve_core}
_SOLVER = {"orlib_cap": "exact", "holmberg": "core", "tbed1_tb1": "exact", "orlib_capabc": "core", "pmed": "core"}
WANTED = 0.001
"""Every instance should be proved this close."""


@dataclass(frozen=True)
class Outcome:
    """One instance: gaps relative to the checked cost."""

    group: str
    proved: float
    by_prices: float
    seconds: float
    reached: bool
    broken: str


def main(argv: list[str] | None = None) -> int:
    """Print a line an instance and one a set; 2 without the reference data, 5 where a plan does not hold."""
    told = _options(argv)
    if not _DATA.is_dir():
        print("reference data ../shared/data is not beside this checkout", file=sys.stderr)
        return 2
    print(machine())
    print(
        f"{'instance':18}{'sources':>8}{'published':>15}{'found, checked':>16}{'proved':>10}{'by prices':>11}"
        f"{'s':>7}  reached"
    )
    found = [_run(told, *instance) for instance in _instances(told.only)]
    print()
    for group in dict.fromkeys(outcome.group for outcome in found):
        mine = [outcome for outcome in found if outcome.group == group]
        close = sum(outcome.proved <= WANTED and not outcome.broken for outcome in mine)
        worst, slowest = max(outcome.proved for outcome in mine), max(outcome.seconds for outcome in mine)
        print(
            f"{group:20}{close} of {len(mine)} proved within {100 * WANTED:g} %, worst {_percent(worst)}; "
            f"{sum(outcome.reached for outcome in mine)} reach the published value; slowest {slowest:.1f} s"
        )
    return 5 if any(outcome.broken for outcome in found) else 0


def _run(told: argparse.Namespace, path: Path, single_source: bool, problem: Problem) -> Outcome:
    solver = told.solver or _SOLVER[path.parent.name]
    begun = time.perf_counter()
    found = _SOLVERS[solver](problem, backend=told.backend, time_limit_s=told.time_limit, gap=1e-6)
    spent = time.perf_counter() - begun
    instance = read(path, single_source=single_source)
    usd, broken = np.nan, "no plan"
    if found.placement is not None:
        # Pairs are customer by customer, facilities in order.
        share = found.placement.share.reshape(problem.demands, problem.sites).T
        usd, broken = checked_usd(instance, found.placement.open, share)
    prices = lagrangian_bound(problem, sweeps=1500).certificate if found.certificate is None else found.certificate
    by_prices = bound_usd(instance, prices.multipliers.demand_usd)
    known = _published(path, single_source)
    # Published values are cut or rounded to two or three decimals.
    reached = abs(usd - known) <= max(0.011, 1e-6 * known)
    sources = "single" if single_source else "multi"
    outcome = Outcome(
        f"{path.parent.name} {sources}", (usd - found.bound_usd) / usd, (usd - by_prices) / usd, spent, reached, broken
    )
    print(
        f"{path.parent.name + '/' + path.name:18}{sources:>8}{known:15.3f}{usd:16.3f}{_percent(outcome.proved):>10}"
        f"{_percent(outcome.by_prices):>11}{spent:7.1f}  {'yes' if reached else 'no'}{'  ' + broken if broken else ''}",
        flush=True,
    )
    return outcome


def _percent(value: float) -> str:
    return f"{100 * max(value, 0.0):.4f} %" if np.isfinite(value) else "-"


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench.facility", description=__doc__)
    parser.add_argument("--time-limit", type=float, default=300.0, help="seconds for each instance")
    parser.add_argument("--only", default="", help="instances whose folder/name holds this")
    parser.add_argument("--solver", choices=sorted(_SOLVERS), help="instead of the quickest for each set")
    parser.add_argument("--backend", choices=("highs", "scip"), default="highs")
    return parser.parse_args(argv)


def _instances(only: str) -> Iterator[tuple[Path, bool, Problem]]:
    capacitated = (
        ("orlib_cap", read_facility, (False, True)),
        ("holmberg", read_facility, (True,)),
        ("tbed1_tb1", read_tbed1, (False,)),
        ("orlib_capabc", read_facility, (False, True)),
    )
    kinds: list[tuple[str, Callable[[Path], Problem], bool]] = [
        (folder, partial(reader, single_source=ss), ss) for folder, reader, both in capacitated for ss in both
    ]
    for folder, reader, single_source in [*kinds, ("pmed", read_pmedian, False)]:
        for path in sorted((_DATA / folder).glob("p*[0-9]*"), key=_number):
            if only in f"{folder}/{path.name}":
                yield path, single_source, reader(path)


def _number(path: Path) -> int:
    return int("".join(filter(str.isdigit, path.name)))


def _published(path: Path, single_source: bool) -> float:
    try:
        return published(path, single_source=single_source)
    except KeyError:
        return np.nan


if __name__ == "__main__":
    sys.exit(main())
