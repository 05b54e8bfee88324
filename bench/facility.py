"""Published facility-location instances solved to proven optimality, beside the published values.

python -m bench facility [--time-limit S] [--only holmberg] [--backend scip]
"""

import argparse
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from solvers.exact import BACKENDS, solve_exact
from solvers.instances.facility import published, read_facility, read_pmedian, read_tbed1
from solvers.problem import Problem

_DATA = Path(__file__).resolve().parents[2] / "shared" / "data" / "facility"


def main(argv: list[str] | None = None) -> int:
    """Print one line per instance; 2 when the reference data is not beside the checkout."""
    options = _options(argv)
    if not _DATA.is_dir():
        print("reference data ../shared/data is not beside this checkout", file=sys.stderr)
        return 2
    print(f"{'instance':22}{'sources':>9}{'status':>12}{'found':>18}{'bound':>18}{'published':>18}{'seconds':>9}")
    for path, single_source, problem in _instances(options.only):
        begun = time.perf_counter()
        found = solve_exact(problem, backend=options.backend, time_limit_s=options.time_limit, gap=1e-6)
        spent = time.perf_counter() - begun
        name, sources = f"{path.parent.name}/{path.name}", "single" if single_source else "multi"
        known = _published(path, single_source)
        print(
            f"{name:22}{sources:>9}{found.status:>12}{found.objective_usd:18.3f}{found.bound_usd:18.3f}"
            f"{known:18.3f}{spent:9.1f}",
            flush=True,
        )
    return 0


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench facility", description=__doc__)
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds for each instance")
    parser.add_argument("--only", default="", help="instances whose folder/name holds this")
    parser.add_argument("--backend", choices=BACKENDS, default="highs")
    return parser.parse_args(argv)


def _instances(only: str) -> Iterator[tuple[Path, bool, Problem]]:
    capacitated = (
        ("orlib_cap", read_facility, (False, True)),
        ("holmberg", read_facility, (True,)),
        ("tbed1_tb1", read_tbed1, (False,)),
        ("orlib_capabc", read_facility, (False,)),
    )
    kinds = [(folder, partial(read, single_source=ss), ss) for folder, read, both in capacitated for ss in both]
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
