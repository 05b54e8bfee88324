"""Plans at full scale and what they prove: verified bound, net gap, seconds, memory; each run in its own process.

python -m bench.scale [--kind core|edge|full] [--scales S M L] [--seeds 0 1 2 3 4] [--gap G] [--time-limit S] [--peers]

core: the reference arrays with every admissible pair, verified by `bench.verify_arrays`; USD a day.
edge, full: `nearserve init --from edge` (edge-full) and `nearserve plan`, verified by its audit; USD a month; seconds
and memory are those of the whole command. Plan and bound are told net of what nobody can serve.
The gap splits into plan error and bound error by `bench/best_known.csv`; `--remember` writes what is better into it.
"""

import argparse
import csv
import json
import math
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from statistics import median

from bench.arrays.instance import GENERATOR
from bench.peers.registry import PEERS, Peer
from bench.tools import best_known
from bench.tools.core_run import peer_rows, planned_core
from bench.tools.machine import machine
from bench.tools.product_run import planned_product
from bench.tools.row import Row

SIZES = {"S": (50, 60, 3), "M": (300, 250, 8), "L": (1000, 500, 12), "XL": (4400, 1000, 20), "XXL": (4400, 4000, 20)}
SECONDS = {"S": 60.0, "M": 120.0, "L": 300.0, "XL": 900.0, "XXL": 3600.0}
ASKED = {
    "core": {"S": 0.01, "M": 0.04, "L": 0.07, "XL": 0.10, "XXL": 0.18},
    "edge": {"S": 0.01, "M": 0.04, "L": 0.07, "XL": 0.10, "XXL": 0.18},
    "full": {"S": 0.03, "M": 0.08, "L": 0.12, "XL": 0.15, "XXL": 0.25},
}
"""Net gaps that a plan should reach in `SECONDS`."""
HEAD = (
    f"{'instance':15}{'by':15}{'plan net':>12}{'bound net':>12}{'gap':>8}"
    f"{'plan err':>9}{'bound err':>10}{'s':>7}{'GB':>6}"
)


def main(argv: list[str] | None = None) -> int:
    """Print a line a run as it ends, medians over the seeds, and how time grows; 5 where anything fails to verify."""
    told = _options(argv)
    if told.kind == "core" and not GENERATOR.is_file():
        print("../shared/instances is not beside this checkout", file=sys.stderr)
        return 2
    print(machine())
    print(f"{HEAD}   ({'USD a day' if told.kind == 'core' else 'USD a month'}, net of what nobody can serve)")
    known = best_known.read()
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as scratch:
        for row in _runs(told, Path(scratch)):
            rows.append(row)
            _remember(known, row)
            print(row.line(known.get(row.instance)), flush=True)
    _medians(rows, told.kind, known)
    _growth(rows)
    if told.out is not None:
        _write(rows, known, told.out)
    if told.remember:
        best_known.write(known)
    return 5 if any(row.broken for row in rows) else 0


def _remember(known: dict[str, best_known.Best], row: Row) -> None:
    """Count a run among what is known: verified plans of all, verified bounds of ours, and what a peer claims."""
    name = row.instance
    if row.proved:
        known[name] = best_known.better(
            known.get(name), name, row.plan_usd, row.bound_usd, row.constant_usd, "nearserve"
        )
    elif name in known:
        claimed = min(row.claimed_usd, known[name].plan_usd, row.plan_usd)
        known[name] = best_known.better(
            known[name], name, row.plan_usd, claimed, row.constant_usd, f"{row.by} (bound claimed)"
        )


def _options(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench.scale", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kind", choices=sorted(ASKED), default="core")
    parser.add_argument("--scales", nargs="+", default=["S"], help="S M L XL XXL, or sites,regions,models")
    parser.add_argument("--seeds", nargs="+", type=int, default=[0])
    parser.add_argument("--gap", type=float, default=0.0, help="stop when the plan is proved this close, net")
    parser.add_argument("--time-limit", type=float, help="seconds of each run; else 60, 120, 300, 900, 3600 by scale")
    parser.add_argument("--peers", nargs="*", help=f"beside it: all, or of {', '.join(peer.name for peer in PEERS)}")
    parser.add_argument("--peer-scales", nargs="+", help="only at these scales")
    parser.add_argument("--matrix", action="store_true", help="core: hold plans against the generator's matrix too")
    parser.add_argument("--out", type=Path, help="a .json or .csv of all figures")
    parser.add_argument("--remember", action="store_true", help="write better plans and bounds to best_known.csv")
    return parser.parse_args(argv)


def _runs(told: argparse.Namespace, scratch: Path) -> Iterator[Row]:
    for scale in told.scales:
        limit_s = told.time_limit or SECONDS.get(scale, 60.0)
        for seed in told.seeds:
            if told.kind != "core":
                yield planned_product(
                    told.kind, SIZES.get(scale) or _size(scale), scale, seed, told.gap, limit_s, scratch
                )
                continue
            wanted = _wanted(told, scale)
            folder = scratch / f"{scale}-{seed}"
            folder.mkdir()
            with_matrix = told.matrix or any(peer.takes_matrix for peer in wanted)
            made, row = planned_core(scale, seed, told.gap, limit_s, folder, with_matrix=with_matrix)
            yield row
            yield from peer_rows(made, wanted, limit_s, row)
            for path in folder.iterdir():
                path.unlink()


def _wanted(told: argparse.Namespace, scale: str) -> list[Peer]:
    if told.peers is None or (told.peer_scales and scale not in told.peer_scales):
        return []
    return [peer for peer in PEERS if not told.peers or peer.name in told.peers]


def _size(scale: str) -> tuple[int, int, int]:
    sites, regions, models = (int(part) for part in scale.split(","))
    return sites, regions, models


def _medians(rows: Sequence[Row], kind: str, known: dict[str, best_known.Best]) -> None:
    """Over the seeds of every scale, where there are several, beside what is asked."""
    print()
    for scale, by in dict.fromkeys((row.scale, row.by) for row in rows):
        mine = [row for row in rows if (row.scale, row.by) == (scale, by)]
        gaps = [row.gap for row in mine if row.gap < math.inf]
        if not gaps:
            continue
        splits = [
            best_known.split(row.plan_usd, row.bound_usd, row.constant_usd, known[row.instance])
            for row in mine
            if row.proved
        ]
        text = (
            f"{scale:8} {by:15}{len(gaps)} seeds  median gap {100 * median(gaps):.2f} %, worst {100 * max(gaps):.2f} %"
        )
        if splits:
            parts = (median(getattr(part, name) for part in splits) for name in ("plan", "bound", "unknown"))
            text += " = plan {:.2f} + bound {:.2f} + unknown {:.2f}".format(*(100 * part for part in parts))
        text += f"; {median(row.seconds for row in mine):.0f} s, {max(row.peak_gb for row in mine):.2f} GB"
        asked = ASKED[kind].get(scale)
        if asked is not None and by == "nearserve":
            text += f"; asked {100 * asked:g} %: {'kept' if median(gaps) <= asked else 'NOT KEPT'}"
        print(text)


def _growth(rows: Sequence[Row]) -> None:
    """The exponent of the median time in admissible pairs, by least squares over the scales."""
    mine = [row for row in rows if row.by == "nearserve" and row.pairs]
    points = []
    for scale in dict.fromkeys(row.scale for row in mine):
        of_scale = [row for row in mine if row.scale == scale]
        points.append(
            (math.log(median(row.pairs for row in of_scale)), math.log(median(row.seconds for row in of_scale)))
        )
    if len(points) < 2:
        return
    x0, y0 = (sum(values) / len(points) for values in zip(*points, strict=True))
    slope = sum((x - x0) * (y - y0) for x, y in points) / sum((x - x0) ** 2 for x, _ in points)
    print(f"seconds grow with admissible pairs to the power {slope:.2f}")


def _write(rows: Sequence[Row], known: dict[str, best_known.Best], out: Path) -> None:
    """All figures, machine-readable."""
    table = [{**asdict(row), **row.parts(known.get(row.instance))} for row in rows]
    if out.suffix == ".csv":
        with out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(table[0]) if table else [field.name for field in fields(Row)])
            writer.writeheader()
            writer.writerows(table)
        return
    finite = [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()} for row in table
    ]
    out.write_text(json.dumps({"machine": machine(), "runs": finite}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
