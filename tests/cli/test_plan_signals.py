"""Signals to a real process: the best plan so far, audited, or nothing at all."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from placement.audit import audit
from placement.scenario import load
from placement.topology import build_pairs
from placement.worlds import edge

PATIENCE_S = 300.0


@pytest.fixture(scope="module")
def scenario(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("signals") / "scenario"
    edge.generate(folder, sites=24, regions=20, models=2, seed=3)
    return folder


def planning(scenario: Path, folder: Path) -> "subprocess.Popen[str]":
    options = [
        "--method",
        "scale",
        "--gap",
        "0",
        "--time-limit",
        "900",
        "--branchings",
        "0",
        "--sweeps",
        "40",
        "--format",
        "json",
    ]
    where = [str(scenario), "-o", str(folder / "plan"), "--trace", str(folder / "trace.csv")]
    # a shell's background jobs hand on that SIGINT is ignored
    heard = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    command = [sys.executable, "-c", f"{heard}; from placement.cli import main; main()", "plan", *where, *options]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_for(stage: str, trace: Path) -> None:
    until = time.monotonic() + PATIENCE_S
    while time.monotonic() < until:
        if trace.exists() and f",{stage}," in trace.read_text():
            return
        time.sleep(0.02)
    raise TimeoutError(f"no {stage} in {PATIENCE_S} s")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_run_with_the_best_plan_found(scenario: Path, tmp_path: Path, number: signal.Signals) -> None:
    with planning(scenario, tmp_path) as process:
        wait_for("search", tmp_path / "trace.csv")
        process.send_signal(number)
        out, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0
    assert "interrupted" in said
    assert json.loads(out) == json.loads((tmp_path / "plan" / "plan.json").read_bytes())
    loaded = load(scenario)
    assert audit(tmp_path / "plan", loaded, build_pairs(loaded).pairs).passed
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan", "trace.csv"]
