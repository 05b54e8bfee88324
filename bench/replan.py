"""A plan made anew the next day: 1 % of the demand, ten round-trip times and one site have changed.

python -m bench.replan [SCENARIO ...] [--time-limit S] [--seed N]

For each scenario, a bundled name or a folder (default: atlas-2025 and a generated edge of 300 sites), three plans:
yesterday's tables in S seconds; today's, which have changed, from nothing in S seconds; today's from yesterday's plan
until the gap is proven that the second run ended with. Every plan is audited, and gaps are the auditor's.
"""

import argparse
import csv
import shutil
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from placement.datasets import dataset
from placement.plan.document import PlanDocument
from placement.planning import Planned, Progress, plan_scenario
from placement.scenario import load
from placement.solving import Request
from placement.worlds import edge

ROWS = 0.01
TIMES = (0.8, 1.25)
"""What a changed row of demand is multiplied by, at least and at most."""
RTTS = 10
SLOWER = 1.3
POWER_LEFT = 0.7
"""What is left of the power of the site that changes."""


@dataclass(frozen=True)
class Run:
    """One plan and how it came to be."""

    planned: Planned
    searched_s: float  # from the built problem to the end of the search
    cpu_s: float  # of the whole run, all threads

    @property
    def gap(self) -> float:
        assert self.planned.document.gap is not None
        return self.planned.document.gap


def main(argv: list[str] | None = None) -> int:
    """Print a row for each run."""
    parser = argparse.ArgumentParser(prog="bench.replan", description=__doc__)
    parser.add_argument("scenarios", nargs="*", metavar="SCENARIO", help="bundled names or folders")
    parser.add_argument("--time-limit", type=float, default=120.0, help="seconds of the plans from nothing")
    parser.add_argument("--seed", type=int, default=0, help="what changes")
    options = parser.parse_args(argv)
    heads = f"{'scenario':12} {'run':10} {'s':>7} {'of search':>10} {'CPU s':>7} {'plan USD':>14} {'gap %':>7}"
    print(f"{heads} {'replicas':>9} {'moved':>6}")
    with tempfile.TemporaryDirectory() as scratch:
        for number, name in enumerate(options.scenarios or ["atlas-2025", ""]):
            folder = Path(scratch) / str(number)
            _copied(name, folder / "then")
            _compared(name or "edge 300", folder, options)
    return 0


def _copied(name: str, folder: Path) -> None:
    if not name:
        edge.generate(folder, sites=300, regions=250, models=8, seed=0)
        return
    shutil.copytree(Path(name) if Path(name).is_dir() else dataset(name), folder)


def _compared(name: str, folder: Path, options: argparse.Namespace) -> None:
    """Plan, change, plan from nothing, plan again."""
    limit_s = options.time_limit
    then = _run(folder / "then", folder / "yesterday", Request(gap=0.0, time_limit_s=limit_s))
    _print(name, "yesterday", then, None)
    shutil.copytree(folder / "then", folder / "now")
    change(folder / "now", then.planned.document, options.seed)
    anew = _run(folder / "now", folder / "anew", Request(gap=0.0, time_limit_s=limit_s))
    _print(name, "anew", anew, then)
    request = Request(gap=anew.gap, time_limit_s=limit_s, start=folder / "yesterday")
    _print(name, "again", _run(folder / "now", folder / "again", request), then)


def _run(scenario: Path, target: Path, request: Request) -> Run:
    began_s, ended_s = [], []

    def tell(now: Progress) -> None:
        if now.stage == "problem":
            began_s.append(now.seconds)
        if now.stage == "plan":
            ended_s.append(now.seconds)

    before_s = process_time()
    planned = plan_scenario(load(scenario), target, request, progress=tell)
    return Run(planned, ended_s[0] - began_s[0], process_time() - before_s)


def _print(name: str, what: str, run: Run, before: Run | None) -> None:
    document = run.planned.document
    moved = "" if before is None else f"{moves(before.planned.document, document):,}"
    replicas = sum(row.count for row in document.replicas)
    print(
        f"{name[-12:]:12} {what:10} {run.planned.seconds:7.1f} {run.searched_s:10.1f} {run.cpu_s:7.1f} "
        f"{document.objective_usd_month:14,.0f} {100 * run.gap:7.2f} {replicas:9,} {moved:>6}",
        flush=True,
    )


def moves(then: PlanDocument, now: PlanDocument) -> int:
    """Replicas that are added, by site, shape, tenant, slice and period."""
    count: dict[tuple[str | None, ...], int] = {}
    for document, sign in ((then, -1), (now, 1)):
        for row in document.replicas:
            key = (row.site, row.shape, row.tenant, row.slice, row.period)
            count[key] = count.get(key, 0) + sign * row.count
    return sum(more for more in count.values() if more > 0)


def change(folder: Path, document: PlanDocument, seed: int) -> None:
    """1 % of the rows of demand, ten measured pairs, and the power of one site that the plan uses."""
    rng = np.random.default_rng(seed)

    def more_or_less(rows: list[dict[str, str]]) -> None:
        for at in rng.choice(len(rows), max(1, round(ROWS * len(rows))), replace=False).tolist():
            times = float(rng.uniform(*TIMES))
            for column in ("requests_per_s", "mean_requests_per_s"):
                if rows[at].get(column):
                    rows[at][column] = repr(float(rows[at][column]) * times)

    def less_power(rows: list[dict[str, str]]) -> None:
        used = sorted({row.site for row in document.servers})
        site = used[int(rng.integers(len(used)))]
        for row in rows:
            if row["site"] == site:
                row["power_kw"] = repr(float(row["power_kw"]) * POWER_LEFT)

    _edited(folder / "demand.csv", more_or_less)
    _edited(folder / "sites.csv", less_power)
    _slower(sorted((folder / "measurements").rglob("*.*")), rng)


def _slower(files: list[Path], rng: np.random.Generator) -> None:
    """Ten rows of the measurements, of the first file that has as many, take longer."""

    def slower(rows: list[dict[str, Any]]) -> None:
        for at in rng.choice(len(rows), RTTS, replace=False).tolist():
            for column in (name for name in rows[at] if name.startswith("rtt_") and name.endswith("_ms")):
                if isinstance(rows[at][column], float) or rows[at][column]:
                    rows[at][column] = type(rows[at][column])(SLOWER * float(rows[at][column]))

    for path in files:
        if path.suffix == ".csv":
            _edited(path, slower)
            return
        table = pq.read_table(path)
        if table.num_rows >= RTTS:
            rows = table.to_pylist()
            slower(rows)
            pq.write_table(pa.Table.from_pylist(rows, schema=table.schema), path)
            return


def _edited(path: Path, change_rows: Callable[[list[dict[str, str]]], None]) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    change_rows(rows)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    raise SystemExit(main())
