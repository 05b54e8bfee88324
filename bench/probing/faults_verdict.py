"""What `bench.probing.faults` found: every check that must hold, with its figures."""

import json
import math
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from bench.probing.faults_world import LOSS, World
from bench.tools.machine import machine

CLOSE_MS = 0.5
"""How far the least round trip may lie above the lab's: lateness of a machine with two cores that everything shares."""

ROUND_S = 2.0
"""How long a round's probes may be under way after it began."""


def verdict(world: World, happened: Sequence[tuple[str, float, float]], drained: bool, codes: Sequence[int]) -> bool:
    """Print the checks; whether all held."""
    files = sorted((world.folder / "collector" / "disk" / "measurements").glob("day=*/[!._]*.parquet"))
    rows = [row for path in files for row in pq.read_table(path).to_pylist()]
    stored = Counter((row["agent"], row["boot_id"], row["seq"]) for row in rows)
    log = world.folder / "collector" / "acknowledged.jsonl"
    acknowledged = {tuple(json.loads(line)) for line in log.read_text().splitlines()}
    kinds = Counter(what.split(" ", 1)[1] for what, _, _ in happened)
    meddled = json.loads((world.folder / "collector" / "meddled.json").read_text())
    checks = [
        ("the spools emptied", drained, f"{world.waiting()} records wait"),
        ("all programs ended well", not any(codes), f"exit codes {codes}"),
        ("acknowledged and not in the store", not acknowledged - stored.keys(),
         f"{len(acknowledged - stored.keys())} of {len(acknowledged):,}"),
        ("in the store more than once", max(stored.values(), default=0) <= 1,
         f"{sum(count > 1 for count in stored.values())} of {len(stored):,}"),
        ("in the store and never acknowledged", not stored.keys() - acknowledged,
         f"{len(stored.keys() - acknowledged)} of {len(stored):,}"),
        ("numbers missing within a start", True, _gaps(acknowledged)),
        *_figures(world, _undisturbed(rows, happened)),
    ]  # fmt: skip
    print(f"\n{machine()}")
    print(f"{len(rows):,} records in {len(files)} files; {len(happened)} faults:",
          ", ".join(f"{count} × {what}" for what, count in sorted(kinds.items())))  # fmt: skip
    print("starts:", ", ".join(f"{name} {program.starts}" for name, program in world.agents.items()),
          f"collector {world.collector.starts}; batches:",
          ", ".join(f"{what} {count}" for what, count in sorted(meddled.items())))  # fmt: skip
    for what, held, figure in checks:
        print(f"{'ok  ' if held else 'FAIL'}  {what}: {figure}")
    return all(held for _, held, _ in checks)


def _gaps(acknowledged: set[tuple[Any, ...]]) -> str:
    """Numbers that a start gave and nobody acknowledged: rounds that a kill or a full disk took."""
    starts: dict[tuple[str, str], list[int]] = {}
    for agent, boot, seq in acknowledged:
        starts.setdefault((agent, boot), []).append(seq)
    missing = sum(max(seqs) + 1 - len(seqs) for seqs in starts.values())
    return f"{missing:,} in {len(starts)} starts"


def _undisturbed(rows: Sequence[dict[str, Any]], happened: Sequence[tuple[str, float, float]]) -> list[dict[str, Any]]:
    """The rows but those of rounds that an agent began while its link was down, or was about to be."""
    to_wall = time.time() - time.monotonic()
    cut = [
        (what.split(" ", 1)[0], began + to_wall - ROUND_S, ended + to_wall)
        for what, began, ended in happened
        if what.endswith(" link down")
    ]
    return [
        row
        for row in rows
        if not any(
            row["agent"] == name and began < row["observed_at"].timestamp() < ended for name, began, ended in cut
        )
    ]


def _figures(world: World, rows: Sequence[dict[str, Any]]) -> list[tuple[str, bool, str]]:
    """The matrix of least round trips and the loss, against the links of the lab."""
    samples: dict[tuple[str, str], list[float]] = {}
    sent = received = 0
    for row in rows:
        samples.setdefault((row["source"], row["target"]), []).extend(row["rtt_ms"] or ())
        sent, received = sent + (row["sent"] or 0), received + (row["received"] or 0)
    pairs = [(agent, pop.name) for agent in world.agents for pop in world.lab.network.pops]
    truth = np.array([world.lab.link(*pair).round_trip_ms for pair in pairs])
    least = np.array([min(samples.get(pair, [math.nan])) for pair in pairs])
    median = np.array([np.median(samples.get(pair, [math.nan])) for pair in pairs])
    over = least - truth
    expected = 1 - (1 - LOSS) ** 2
    seen, sigma = 1 - received / max(sent, 1), math.sqrt(expected / max(sent, 1))
    return [
        ("pairs measured", not np.isnan(least).any(), f"{np.isfinite(least).sum()} of {len(pairs)}"),
        (f"least round trip 0 to {CLOSE_MS} ms above the link's",
         bool(np.nanmin(over) > -0.005 and np.nanmax(over) < CLOSE_MS),
         f"{np.nanmin(over):.4f} to {np.nanmax(over):.4f} ms, median {np.nanmedian(over):.4f} ms"),
        ("median round trip above the link's", bool(np.nanmax(median - truth) < 2.0),
         f"p50 {np.nanmedian(median - truth):.3f}, worst {np.nanmax(median - truth):.3f} ms"),
        ("loss of the links, five standard deviations", abs(seen - expected) < 5 * sigma,
         f"{100 * seen:.3f} % of {sent:,} against {100 * expected:.3f} %"),
    ]  # fmt: skip
