"""How soon plans are as good as with full information, by what is measured first.

    python -m bench.closed_loop [--matrix planetlab|ripe] [--seeds 20] [--first 0] [--strategies prices,random]
                                [--out FILE.jsonl]

Prints the gap to the plan of full information after 0, 2, 5 and 10 % of the pairs (median and quartiles over the
seeds), and how often the plan's prices lead to the cheaper plan, seed by seed. Seeds below 100 are for reporting:
whoever tunes the ranking takes others.
"""

import argparse
import json
import sys
from pathlib import Path

import numpy as np

from bench.closed_loop.loop import PERCENT, Outcome, run
from bench.closed_loop.matrices import MATRICES
from bench.closed_loop.strategies import STRATEGIES

EVEN = 1e-4
"""Gaps that differ by no more are even."""


def main(argv: list[str] | None = None) -> int:
    """Run the seeds and print the tables."""
    parser = argparse.ArgumentParser(prog="bench.closed_loop", description=__doc__)
    parser.add_argument("--matrix", choices=sorted(MATRICES), default="planetlab")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--out", type=Path)
    told = parser.parse_args(argv)
    strategies = tuple(told.strategies.split(","))
    outcomes = []
    for seed in range(told.first, told.first + told.seeds):
        outcomes.append(run(told.matrix, seed, strategies))
        if told.out is not None:
            with told.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(outcomes[-1].plain()) + "\n")
        gaps = " ".join(f"{name} {_percent(outcomes[-1].gaps(name))}" for name in strategies)
        print(f"seed {seed}: {gaps} ({outcomes[-1].seconds:.0f} s)", file=sys.stderr, flush=True)
    _show(outcomes, strategies)
    return 0


def _show(outcomes: list[Outcome], strategies: tuple[str, ...]) -> None:
    proven = [1 - outcome.bound_usd / outcome.full_usd for outcome in outcomes]
    print(
        f"{outcomes[0].matrix}: {len(outcomes)} seeds, {outcomes[0].pairs:,} pairs; full information is proven within "
        f"{100 * np.median(proven):.2f} % (median, at most {100 * max(proven):.2f} %)\n"
    )
    head = "".join(f"{f'{percent} %':>22}" for percent in PERCENT)
    print(f"{'gap, %: median (quartiles)':28}{head}{'choosing, s':>14}")
    for name in strategies:
        gaps = 100 * np.array([outcome.gaps(name) for outcome in outcomes])
        low, mid, high = np.percentile(gaps, [25, 50, 75], axis=0)
        cells = "".join(f"{f'{m:.1f} ({a:.1f}–{b:.1f})':>22}" for a, m, b in zip(low, mid, high, strict=True))
        took = np.median([outcome.courses[name].rank_s for outcome in outcomes])
        print(f"{name:28}{cells}{took:14.1f}")
    others = [name for name in strategies if name != "prices"]
    if "prices" in strategies and others:
        print(f"\n{'wins / even / losses':28}" + "".join(f"{f'{percent} %':>22}" for percent in PERCENT[1:]))
        for name in others:
            print(f"{'prices against ' + name:28}" + "".join(f"{cell:>22}" for cell in _wins(outcomes, name)))


def _wins(outcomes: list[Outcome], other: str) -> list[str]:
    less = np.array([outcome.gaps(other) for outcome in outcomes]) - [outcome.gaps("prices") for outcome in outcomes]
    counts = ((less > EVEN).sum(axis=0), (np.abs(less) <= EVEN).sum(axis=0), (less < -EVEN).sum(axis=0))
    return [f"{won} / {even} / {lost}" for won, even, lost in zip(*counts, strict=True)][1:]


def _percent(gaps: list[float]) -> str:
    return "/".join(f"{100 * gap:.1f}" for gap in gaps)


if __name__ == "__main__":
    sys.exit(main())
