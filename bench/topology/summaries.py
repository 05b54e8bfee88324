"""Summaries of 1, 10 and 100 million records in Parquet by day: seconds, memory, and whether they are right.

    python -m bench.topology.summaries [--millions 1 10 100] [--pairs 100000] [--days 30] [--scratch /tmp]

Each run is a process of its own; memory is the largest resident set of all of it. Beside the first run, which reads all
records, the second one, which finds the states of all days in the cache, and one after a day was added. Counts and
minima of all pairs are compared with what was generated, percentiles of some with numpy's over all their samples.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from bench.tools.machine import machine
from bench.tools.process import run_alone
from bench.topology.records import PICKED, Truth, write_day

SEED = 7
_RUN = """
import json, sys, time
began = time.perf_counter()
from pathlib import Path
from placement.topology.summaries import days_of_folder
with days_of_folder(Path(sys.argv[1]), cache=Path(sys.argv[2])) as days:
    gathered = time.perf_counter()
    frame = days.summaries().frame
cpu_s = time.process_time()
# Of this program alone: what `wait4` tells of a child is at least what its parent held when it began.
kib = next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmHWM"))
s = time.perf_counter() - began
print(json.dumps({"gathered_s": gathered - began, "s": s, "cpu_s": cpu_s, "peak_gb": 1024 * kib / 1e9}))
if len(sys.argv) > 3:
    frame.to_parquet(sys.argv[3])
"""


class Timed(NamedTuple):
    """One run; `peak_gb` is that of the whole process."""

    seconds: float
    gathered_s: float
    cpu_s: float
    peak_gb: float


def main(argv: Sequence[str] | None = None) -> int:
    """Print a line a run; 5 where a figure is wrong or too much memory was needed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--millions", type=float, nargs="+", default=[1, 10, 100])
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--scratch", type=Path, default=None)
    told = parser.parse_args(argv)
    print(machine())
    print(
        f"{'rows':>12}{'run':>12}{'s':>9}{'states s':>10}{'CPU s':>8}{'CPU ns/row':>13}{'peak GB':>9}{'cache MB':>10}"
    )
    sound = True
    for millions in told.millions:
        with tempfile.TemporaryDirectory(dir=told.scratch) as scratch:
            sound &= _measure(Path(scratch), round(millions * 1e6), told.pairs, told.days)
    return 0 if sound else 5


def _measure(scratch: Path, rows: int, pairs: int, days: int) -> bool:
    folder, cache = scratch / "measurements", scratch / "cache"
    truth = Truth(pairs)
    for day in range(days):
        write_day(folder, truth, day, rows // days, SEED)
    first = _run(folder, cache, scratch / "first.parquet")
    errors = truth.errors(pd.read_parquet(scratch / "first.parquet"))
    sound = errors.exact and errors.percentile < 0.01 and first.peak_gb < 1.0
    told = f"counts and minima {'exact' if errors.exact else 'WRONG'}, percentiles of {PICKED} pairs within "
    print(_line(truth.rows, "first", first, cache) + f"{told}{100 * errors.percentile:.3f} %", flush=True)
    again = _run(folder, cache, scratch / "again.parquet")
    same = (scratch / "first.parquet").read_bytes() == (scratch / "again.parquet").read_bytes()
    print(_line(truth.rows, "again", again, cache) + ("the same bytes" if same else "DIFFERENT"), flush=True)
    before = truth.rows
    write_day(folder, truth, days, rows // days, SEED)
    new = _run(folder, cache, scratch / "new.parquet")
    right = truth.errors(pd.read_parquet(scratch / "new.parquet")).exact
    print(_line(truth.rows, "one new day", new, cache) + f"of {truth.rows - before:,} rows", flush=True)
    return sound and same and right


def _run(folder: Path, cache: Path, out: Path) -> Timed:
    ran = run_alone([sys.executable, "-c", _RUN, str(folder), str(cache), str(out)])
    if ran.code:
        raise SystemExit(f"the run failed: {ran.complained}")
    said = json.loads(ran.said.splitlines()[-1])
    return Timed(said["s"], said["gathered_s"], said["cpu_s"], said["peak_gb"])


def _line(rows: int, name: str, run: Timed, cache: Path) -> str:
    size = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file()) / 1e6
    told = f"{run.seconds:>9.1f}{run.gathered_s:>10.1f}{run.cpu_s:>8.1f}{1e9 * run.cpu_s / rows:>13.0f}"
    return f"{rows:>12,}{name:>12}{told}{run.peak_gb:>9.2f}{size:>10.0f}  "


if __name__ == "__main__":
    sys.exit(main())
