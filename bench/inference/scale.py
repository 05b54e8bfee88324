"""Inference at 1,000 regions × 4,400 sites from 16 measured pairs a site: seconds and peak memory, and the errors.

python -m bench.inference.scale [--regions 1000] [--sites 4400] [--partners 16] [--seed 0]

The world is made: places around 60 metros, detours between metros, last miles, noise. The fit runs in a process of its
own, twice in it: the second time is without compilation and imports.
"""

import argparse
import resource
import sys
import time

import numpy as np

from bench.inference.matrix import Float, Matrix
from bench.inference.protocol import Amount, Estimate, figures, given, known_of
from bench.tools.machine import machine
from bench.tools.process import run_alone
from placement.geo import fibre_floor_ms, great_circle_km

METROS = 60


def main(argv: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="bench.inference.scale", description=__doc__)
    parser.add_argument("--regions", type=int, default=1000)
    parser.add_argument("--sites", type=int, default=4400)
    parser.add_argument("--partners", type=float, default=16, help="known regions a site on average")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--here", action="store_true", help="in this process")
    options = parser.parse_args(argv)
    if options.here:
        _measure(options.regions, options.sites, options.partners, options.seed)
        return 0
    print(machine(), flush=True)
    arguments = [f"--{name}={getattr(options, name)}" for name in ("regions", "sites", "partners", "seed")]
    ran = run_alone([sys.executable, "-m", "bench.inference.scale", "--here", *arguments])
    print(ran.said.rstrip() if ran.code == 0 else ran.complained)
    print(f"process {ran.seconds:.1f} s, peak {ran.peak_gb:.2f} GB")
    return ran.code


def world(rows: int, columns: int, seed: int) -> Matrix:
    """Round trips between made places: light times a detour of its own for each two metros, two last miles, noise."""
    random = np.random.default_rng([seed, 4])
    metro = np.degrees(np.column_stack([np.arcsin(random.uniform(-0.7, 0.9, METROS)), random.uniform(-3, 3, METROS)]))
    at, of, mile_ms = [], [], []
    for count in (rows, columns):
        nearest = random.choice(METROS, count, p=random.dirichlet(np.ones(METROS)))
        at.append(metro[nearest] + random.normal(0, 2.0, (count, 2)))
        of.append(nearest)
        mile_ms.append(random.lognormal(1.0, 0.8, count))
    detour = random.lognormal(np.log(1.6), 0.25, (METROS, METROS))
    km = great_circle_km(at[0][:, None, 0], at[0][:, None, 1], at[1][None, :, 0], at[1][None, :, 1])
    light_ms = fibre_floor_ms(km)
    rtt_ms: Float = light_ms * np.maximum(detour[np.ix_(of[0], of[1])], 1.0)
    rtt_ms = (rtt_ms + mile_ms[0][:, None] + mile_ms[1][None]) * random.lognormal(0, 0.04, km.shape)
    return Matrix("made", np.maximum(rtt_ms, light_ms + 0.05), square=False, km=km, floor_ms=light_ms)


def _measure(rows: int, columns: int, partners: float, seed: int) -> None:
    from placement.inference import infer  # noqa: PLC0415  heavy; its memory and time are what is measured

    matrix = world(rows, columns, seed)
    mask = known_of(matrix, Amount(partners=partners), seed)
    known = given(matrix, mask)
    print(f"{rows:,} × {columns:,}, {int(mask.sum()):,} pairs known; {_resident_gb():.2f} GB before")
    for turn in ("first", "again"):
        began, worked = time.perf_counter(), time.process_time()
        found = infer(known, seed)
        spent = f"{time.perf_counter() - began:.1f} s, {time.process_time() - worked:.1f} CPU-seconds"
        print(f"{turn}: {spent}, peak {_resident_gb():.2f} GB", flush=True)
    f = figures(matrix, mask, Estimate(found.mid_ms, found.lower_ms, found.upper_ms))
    print(f"median {f.median:.4f}, p90 {f.p90:.3f}, covered {100 * f.covered:.1f} %, mean width {f.width:.2f}")


def _resident_gb() -> float:
    """The most this process held so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    raise SystemExit(main())
