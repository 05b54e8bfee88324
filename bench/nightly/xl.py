"""A whole night at full size: seconds of every stage and peak memory, beside the planner's own budget.

    python -m bench.nightly.xl [--scenario DIR] [--from edge-full] [--time-limit 240] [--nights 2] [--sites 4400 ...]
                               [--one-audit] [--no-steps]

The first night begins from nothing; before the second the demand of every tenth row rises by a tenth, so that it plans
from the published plan and has a change to tell of. A night is good if it publishes within the time limit of the plan
and five minutes.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

BEYOND_S = 300.0
FEEDS = ("csv", "envoy", "json")


def main() -> int:
    """The nights that the command line asks for; 0 where all are good."""
    asked = _asked()
    folder = Path(mkdtemp(prefix="nightly-xl-", dir=asked.folder))
    try:
        scenario = folder / "scenario"
        if asked.scenario is not None:
            shutil.copytree(asked.scenario, scenario)
        else:
            size = ("--sites", asked.sites, "--regions", asked.regions, "--models", asked.models, "--seed", "7")
            _nearserve("init", str(scenario), "--from", asked.kind, *size)
        _configure(folder, asked)
        good = True
        for number in range(1, asked.nights + 1):
            good &= _night(folder, number, asked.time_limit)
            _more_demand(scenario / "demand.csv")
        return int(not good)
    finally:
        if not asked.keep:
            for path, _, _ in os.walk(folder):
                Path(path).chmod(0o755)
            shutil.rmtree(folder)


def _asked() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--scenario", type=Path)
    parser.add_argument("--from", dest="kind", default="edge-full")
    parser.add_argument("--sites", default="4400")
    parser.add_argument("--regions", default="1000")
    parser.add_argument("--models", default="20")
    parser.add_argument("--time-limit", type=float, default=240.0)
    parser.add_argument("--gap", type=float, default=0.02)
    parser.add_argument("--nights", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the bench works; a temporary folder by default")
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--one-audit", action="store_true", help="do not audit the plan again from the disk")
    parser.add_argument("--no-steps", action="store_true", help="do not order the steps of the move")
    return parser.parse_args()


def _configure(folder: Path, asked: argparse.Namespace) -> None:
    with (folder / "scenario" / "sites.csv").open(newline="") as file:
        sites = [row["site"] for row in csv.DictReader(file)]
    lines = [f"{site},127.{1 + j // 62500}.{j // 250 % 250}.{1 + j % 250},8000" for j, site in enumerate(sites)]
    (folder / "addresses.csv").write_text("site,host,port\n" + "\n".join(lines) + "\n")
    named = ", ".join(f'"{name}"' for name in FEEDS)
    # of thousands of domains that may fail only what concerns one class a file is made for each
    whole = "".join(f"[{name}]\nfailures = []\n" for name in FEEDS if name != "envoy")
    (folder / "feeds.toml").write_text(f'targets = [{named}]\naddresses = "addresses.csv"\n{whole}')
    (folder / "nightly.toml").write_text(
        'scenario = "scenario"\nfeeds = "feeds.toml"\n'
        f"audit_again = {str(not asked.one_audit).lower()}\nsteps = {str(not asked.no_steps).lower()}\n"
        f"[plan]\ngap = {asked.gap}\ntime_limit_s = {asked.time_limit}\n"
        f'[gates]\nclock_ahead_s = 1e9\n[metrics]\ntextfile = "nearserve.prom"\n'
    )


def _night(folder: Path, number: int, time_limit_s: float) -> bool:
    began = time.monotonic()
    done = _nearserve("nightly", str(folder / "nightly.toml"), "--format", "json", check=False)
    seconds = time.monotonic() - began
    told: dict[str, Any] = json.loads(done.stdout)
    print(f"night {number}: exit code {told['exit_code']} {told['message']}")
    for stage in told.get("stages", ()):
        print(f"  {stage['stage']:<10} {stage['seconds']:>9.1f} s")
    beyond = seconds - time_limit_s
    print(f"  in all     {seconds:>9.1f} s: {beyond:.1f} s beyond the plan's limit of {time_limit_s:.0f} s")
    if "run" in told:
        print(f"  memory     {told['peak_bytes'] / 1e9:>9.2f} GB at most; figures {json.dumps(told['figures'])}")
    return done.returncode == 0 and beyond <= BEYOND_S


def _more_demand(path: Path) -> None:
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for row in rows[::10]:
        for name in ("requests_per_s", "mean_requests_per_s"):
            row[name] = f"{float(row[name]) * 1.1:.4f}" if row.get(name) else row.get(name, "")
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def _nearserve(*words: str, check: bool = True) -> "subprocess.CompletedProcess[str]":
    code = "from placement.cli import main; main()"
    return subprocess.run([sys.executable, "-c", code, *words], stdout=subprocess.PIPE, text=True, check=check)


if __name__ == "__main__":
    sys.exit(main())
