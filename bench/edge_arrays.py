"""The reference instances `../shared/instances/edge_arrays.py`: plan, bound and net gap of the search.

python -m bench.edge_arrays [--scales S M] [--seeds 0] [--time-limit S]
"""

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from solvers.instances.edge_arrays import read_edge_arrays
from solvers.search import net_gap, solve_scale

_GENERATOR = Path(__file__).resolve().parents[2] / "shared" / "instances" / "edge_arrays.py"
_CANDIDATES = {"S": ("near", 20), "M": ("near", 20), "L": ("mix", 24), "XL": ("mix", 24)}


def main(argv: list[str] | None = None) -> int:
    """Print a line per instance; 2 when the generator is not beside the checkout."""
    parser = argparse.ArgumentParser(prog="bench.edge_arrays", description=__doc__)
    parser.add_argument("--scales", nargs="*", choices=sorted(_CANDIDATES), default=["S", "M"])
    parser.add_argument("--seeds", nargs="*", type=int, default=[0])
    parser.add_argument("--time-limit", type=float, default=60.0, help="seconds of search")
    options = parser.parse_args(argv)
    if not _GENERATOR.is_file():
        print("../shared/instances is not beside this checkout", file=sys.stderr)
        return 2
    print("instance  plan net  bound net  net gap  seconds   (USD a day)")
    for scale in options.scales:
        for seed in options.seeds:
            _run(scale, seed, options.time_limit)
    return 0


def _run(scale: str, seed: int, time_limit_s: float) -> None:
    candidates, keep = _CANDIDATES[scale]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "instance.npz"
        asked = [scale, "--seed", str(seed), "--candidates", candidates, "--keep", str(keep), "--out", str(out)]
        subprocess.run([sys.executable, str(_GENERATOR), *asked], check=True, stdout=subprocess.DEVNULL)
        problem = read_edge_arrays(out)
    began = time.perf_counter()
    found = solve_scale(problem, time_limit_s=time_limit_s)
    seconds = time.perf_counter() - began
    constant = problem.constant_usd
    gap = net_gap(found.objective_usd, found.bound_usd, constant)
    if found.placement is None:
        print(f"{scale + str(seed):8}no plan: {found.message}")
        return
    print(
        f"{scale + str(seed):8}{found.objective_usd - constant:10.1f}{found.bound_usd - constant:11.1f}"
        f"{100 * gap:8.2f} %{seconds:9.1f}",
        flush=True,
    )


if __name__ == "__main__":
    raise SystemExit(main())
