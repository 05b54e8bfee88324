"""Kernels are compiled once, before a plan needs them."""

import os
import subprocess
import sys
from pathlib import Path
from time import monotonic

import pytest
import tiny

from placement.compiling import compile_kernels
from placement.interrupting import Interrupted
from placement.planning import plan_scenario
from placement.scenario import load
from placement.solving import Request

PLAN = """
import sys
from numba.core import event
from placement import compiling
from placement.cli import main
for part in compiling.PARTS:
    compiling.main(part)
assert compiling.are_compiled()
world, out = sys.argv[1:]
for kind in ("edge-full", "edge"):
    made = f"init {world}-{kind} --from {kind} --sites 16 --regions 14 --models 2 --seed 3"
    main(made.split(), standalone_mode=False)
    with event.install_recorder("numba:compile") as recorder:
        main(f"plan {world}-{kind} -o {out}-{kind} --method scale --work 3".split(), standalone_mode=False)
    compiled = [str(each.data["dispatcher"]) for _, each in recorder.buffer if each.is_start]
    assert not compiled, compiled
"""


def test_a_plan_after_it_compiles_nothing(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", PLAN, str(tmp_path / "world"), str(tmp_path / "out")], check=True)


def test_an_empty_cache_holds_no_kernels(tmp_path: Path) -> None:
    asked = [sys.executable, "-c", "from placement.compiling import are_compiled; print(are_compiled())"]
    found = subprocess.run(asked, check=True, capture_output=True, text=True,
                           env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)})  # fmt: skip
    assert found.stdout.strip() == "False"


def test_compiling_ends_when_it_is_interrupted() -> None:
    began = monotonic()
    compile_kernels(interrupted=lambda: True)
    assert monotonic() - began < 5


def test_what_a_process_said_is_told_where_it_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("placement.compiling.PARTS", {"unknown": ()})
    with pytest.raises(subprocess.CalledProcessError) as failed:
        compile_kernels()
    assert "KeyError: 'unknown'" in failed.value.stderr


def test_a_plan_that_finds_nothing_compiled_compiles_first_and_goes_on_where_that_fails(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stages: list[str] = []

    def failing(_: Interrupted) -> None:
        stages.append("tried")
        raise subprocess.CalledProcessError(1, "compiling")

    monkeypatch.setattr("placement.planning.are_compiled", lambda: False)
    monkeypatch.setattr("placement.planning.compile_kernels", failing)
    scenario = load(tiny.write(tmp_path / "scenario"))
    planned = plan_scenario(scenario, tmp_path / "plan", Request(work=1), progress=lambda now: stages.append(now.stage))
    at = stages.index("tried")
    assert stages[at - 1] == "compiling, once on this machine" and "audit" in stages[at:]
    assert planned.report.passed
