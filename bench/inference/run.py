"""Inference of unmeasured pairs beside baselines: errors, coverage and width of 90 % intervals, seconds, memory.

python -m bench.inference [--sets NAME ...] [--seeds 3] [--methods NAME ...]
python -m bench.inference --matrix FILE [--positions FILE] [--two-sided] [--partners 8 16 ...] [--shares 0.3 ...]
python -m bench.inference.scale

Every figure is the mean over the seeds; ± is half of the spread between the least and the most of them. Coverage by
deciles of what is predicted is a mean over the seeds as well: the least and the most covered decile are shown.
"""

import argparse
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bench.inference.baselines import BASELINES
from bench.inference.matrix import Matrix, MatrixError, read
from bench.inference.memory import peak_mb
from bench.inference.protocol import Amount, Estimate, Figures, figures, given, known_of, partners, shares
from bench.inference.sets import SETS, MissingSetsError, Set
from bench.tools.machine import machine
from placement.inference import infer
from placement.inference.known import Known

OURS = "nearserve"
METHODS = (OURS, *BASELINES)
HEAD = (
    f"{'':18} {'median':>12} {'p90':>13} {'≥30 ms':>6} {'p90':>6} {'covered %':>12} {'deciles %':>10} "
    f"{'width':>5} {'median':>6} {'silent':>7} {'s':>6} {'MB':>5}"
)


@dataclass(frozen=True)
class Run:
    """One method on one matrix with one seed."""

    figures: Figures
    seconds: float
    peak_mb: float


def main(argv: list[str] | None = None) -> int:
    """Print a table per set and amount known."""
    options = _options(argv)
    try:
        sets = _sets(options)
    except (MatrixError, OSError) as error:
        print(f"bench.inference: {error}")
        return 4
    print(machine())
    for name, asked in sets.items():
        for amount in asked.amounts:
            try:
                _show(name, asked.matrix, amount, options.methods, options.seeds)
            except MissingSetsError as error:
                print(f"bench.inference: {error}")
                return 4
    return 0


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.inference", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--seeds", type=int, default=3, help="how many, from 0 on")
    parser.add_argument("--matrix", type=Path, help="round trips in ms: .npy, .npz or .csv, instead of the sets")
    parser.add_argument("--positions", type=Path, help="CSV of latitude, longitude: a line per row, then per column")
    parser.add_argument("--two-sided", action="store_true", help="rows and columns of N × N are different nodes")
    parser.add_argument("--partners", nargs="+", type=float, help="known partners a node on average")
    parser.add_argument("--shares", nargs="+", type=float, help="share of pairs known, 0..1")
    return parser.parse_args(argv)


def _sets(options: argparse.Namespace) -> dict[str, Set]:
    """The sets asked for with the amounts asked for."""
    amounts = (*partners(*(options.partners or ())), *shares(*(options.shares or ())))
    if options.matrix is None:
        return {name: Set(SETS[name].matrix, amounts or SETS[name].amounts) for name in options.sets}
    matrix = read(options.matrix, options.positions, options.two_sided)
    return {matrix.name: Set(lambda _: matrix, amounts or partners(8, 16, 32))}


def _show(name: str, matrix: Callable[[int], Matrix], amount: Amount, methods: list[str], seeds: int) -> None:
    said = False
    for method in methods:
        runs = []
        for seed in range(seeds):
            truth = matrix(seed)
            runs += list(_run(method, truth, amount, seed))
            if not said:
                rows, columns = truth.rtt_ms.shape
                known = int(known_of(truth, amount, seed).sum())
                print(f"\n{name} {amount}: {rows} × {columns}, {known:,} of {int(truth.pairs.sum()):,} pairs known")
                print(HEAD)
                said = True
        if runs:
            print(line(method, runs), flush=True)


def _run(method: str, truth: Matrix, amount: Amount, seed: int) -> Iterator[Run]:
    """The figures of one run; none where the method does not apply."""
    known = known_of(truth, amount, seed)
    asked = given(truth, known)
    began = time.perf_counter()
    found, memory = peak_mb(lambda: estimate(method, asked, truth, seed))
    if found is not None:
        yield Run(figures(truth, known, found), time.perf_counter() - began, memory)


def estimate(method: str, known: Known, truth: Matrix, seed: int) -> Estimate | None:
    """What a method says of every pair; of the truth it is given the distances only."""
    if method == OURS:
        found = infer(known, seed)
        return Estimate(found.mid_ms, found.lower_ms, found.upper_ms)
    mid = BASELINES[method](known, truth.km, seed)
    return None if mid is None else Estimate(mid)


def line(method: str, runs: list[Run]) -> str:
    """One method over its seeds, within 140 columns."""

    def of(name: str) -> list[float]:
        return [float(getattr(run.figures, name)) for run in runs]

    text = f"{method:18} {_spread(of('median'), 4):>12} {_spread(of('p90'), 3):>13}"
    text += f" {_mean(of('long_median'), 4):>6} {_mean(of('long_p90'), 3):>6}"
    if np.isnan(of("covered")).all():
        text += f" {'-':>12} {'-':>10} {'-':>5} {'-':>6}"
    else:
        text += f" {_spread([100 * share for share in of('covered')], 1):>12}"
        tenths = 100 * np.nanmean([run.figures.tenths for run in runs], axis=0)
        text += f" {f'{tenths.min():.0f} … {tenths.max():.0f}':>10}"
        text += f" {_mean(of('width'), 2):>5} {_mean(of('median_width'), 2):>6}"
    seconds, memory = (np.mean([getattr(run, name) for run in runs]) for name in ("seconds", "peak_mb"))
    return f"{text} {np.mean(of('silent')):7.0f} {seconds:6.1f} {memory:5.0f}"


def _mean(value: list[float], digits: int) -> str:
    return _short(float(np.mean(value)), digits)


def _spread(value: list[float], digits: int) -> str:
    if not np.isfinite(value).all():
        return _short(max(value), digits)
    return f"{_short(float(np.mean(value)), digits)} ±{_short((max(value) - min(value)) / 2, digits)}"


def _short(value: float, digits: int) -> str:
    """Without the leading 0."""
    text = f"{value:.{digits}f}" if np.isfinite(value) else str(value)
    return text[1:] if text.startswith("0.") else text
