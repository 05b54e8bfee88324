"""Published facility-location instances solved to proven optimality, beside the published values.

python -m bench.facility [--time-limit S] [--only holmberg] [--solver core] [--backend scip]

Without --solver each set is solved by what is quickest for it (`_SOLVER`): the whole model, or the core.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from solvers.exact import solve_core, solve_exact
from solvers.instances.facility import published, read_facility, read_pmedian, read_tbed1
from solvers.problem import Problem
from solvers.solution import Solution

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "facility"

_SOLVERS: dict[str, Callable[..., Solution]] = {"exact": solve_exact, "core": solve_core}
_SOLVER = {"orlib_cap": "exact", "holmberg": "core", "tbed1_tb1": "exact", "orlib_capabc": "core", "pmed": "core"}


def main(argv: list[str] | None = None) -> int:
    """Print one line per instance; 2 when the reference data is not beside the checkout."""
    options = _options(argv)
    if not _DATA.is_dir():
        print("reference data ../shared/data is not beside this checkout", file=sys.stderr)
        return 2
    print(
        f"{'instance':22}{'sources':>8}{'solver':>7}{'published':>16}{'found':>16}{'bound':>16}{'status':>10}"
        f"{'seconds':>9}{'reached':>9}"
    )
    for path, single_source, problem in _instances(options.only):
        solver = options.solver or _SOLVER[path.parent.name]
        begun = time.perf_counter()
        found = _SOLVERS[solver](problem, backend=options.backend, time_limit_s=options.time_limit, gap=1e-6)
        spent = time.perf_counter() - begun
        name, sources = f"{path.parent.name}/{path.name}", "single" if single_source else "multi"
        known = _published(path, single_source)
        # Published values are cut or rounded to two or three decimals.
        reached = "yes" if abs(found.objective_usd - known) <= max(0.011, 1e-6 * known) else "no"
        print(
            f"{name:22}{sources:>8}{solver:>7}{known:16.3f}{found.objective_usd:16.3f}{found.bound_usd:16.3f}"
            f"{found.status:>10}{spent:9.1f}{reached:>9}",
            flush=True,
        )
    return 0


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
        ("orlib_capabc", read_facility, (False,)),
    )
    kinds: list[tuple[str, Callable[[Path], Problem], bool]] = [
        (folder, partial(read, single_source=ss), ss) for folder, read, both in capacitated for ss in both
    ]
    for folder, read, single_source in [*kinds, ("pmed", read_pmedian, False)]:
        for path in sorted((_DATA / folder).glob("p*[0-9]*"), key=_number):
            if only in f"{folder}/{path.name}":
                yield path, single_source, read(path)


def _number(path: Path) -> int:
    return int("".join(filter(str.isdigit, path.name)))


def _published(path: Path, single_source: bool) -> float:
    try:
        return published(path, single_source=single_source)
    except KeyError:
        return np.nan


if __name__ == "__main__":
    sys.exit(main())
