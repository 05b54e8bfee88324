"""One generated scenario through the product: `nearserve init`, `nearserve plan`, and what the audited plan says."""

import json
import math
import shutil
import sys
from pathlib import Path
from typing import Any

from bench.tools.core_run import SLACK_S, RunFailedError
from bench.tools.process import run_alone
from bench.tools.row import Row

DATASETS = {"edge": "edge", "full": "edge-full"}


def planned_product(
    kind: str, size: tuple[int, int, int], scale: str, seed: int, gap: float, limit_s: float, scratch: Path
) -> Row:
    """Generate, plan, read; a plan that fails its audit is never written, and the row says so."""
    nearserve = Path(sys.executable).parent / "nearserve"
    scenario, plan = scratch / "scenario", scratch / "plan"
    for folder in (scenario, plan):
        shutil.rmtree(folder, ignore_errors=True)
    counts = (
        part
        for name, value in zip(("sites", "regions", "models"), size, strict=True)
        for part in (f"--{name}", str(value))
    )
    made = run_alone([str(nearserve), "init", str(scenario), "--from", DATASETS[kind], *counts, "--seed", str(seed)])
    if made.code:
        raise RunFailedError(f"nearserve init failed: {made.reason}")
    asked = ["--gap", f"{gap:g}", "--time-limit", f"{limit_s:g}"]
    ran = run_alone([str(nearserve), "plan", str(scenario), "-o", str(plan), *asked], limit_s=limit_s + SLACK_S)
    if ran.code:
        return Row(kind, scale, seed, "nearserve", 0, math.inf, -math.inf, -math.inf, 0.0, ran.seconds, ran.peak_gb,
                   f"exit {ran.code}: {ran.reason}")  # fmt: skip
    document: dict[str, Any] = json.loads((plan / "plan.json").read_text(encoding="utf-8"))
    usd, bound = document["objective_usd_month"], document["bound_verified_usd_month"]
    told_gap = document["gap"]
    # The plan tells its gap net of C0, gap = (z − L)/(z − C0), so that C0 follows.
    constant = usd - (usd - bound) / told_gap if bound is not None and told_gap else 0.0
    return Row(
        kind, scale, seed, "nearserve", 0, usd, -math.inf if bound is None else bound,
        document["bound_claimed_usd_month"] or -math.inf, constant, ran.seconds, ran.peak_gb, "",
        f"served {100 * document['served_share']:.2f} %",
    )  # fmt: skip
