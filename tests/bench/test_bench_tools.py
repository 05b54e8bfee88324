"""Processes of their own, rows of a table, what is known best, and random worlds."""

import math
import sys
from pathlib import Path

import pytest

from bench.tools import best_known
from bench.tools.mixed_world import write
from bench.tools.process import run_alone
from bench.tools.row import Row
from placement.scenario import load


def row(plan: float, bound: float, by: str = "nearserve") -> Row:
    return Row("core", "S", 0, by, 716, plan, bound, bound, 100.0, 60.0, 0.3, "")


def test_memory_and_end_of_a_process_are_its_own() -> None:
    held = bytearray(b"1") * 700_000_000  # by the parent, who is no part of it
    ran = run_alone([sys.executable, "-c", "x = bytearray(300_000_000); print('done')"])
    del held
    assert (ran.code, ran.said.strip(), ran.stopped) == (0, "done", False)
    assert 0.3 <= ran.peak_gb < 0.6
    failed = run_alone([sys.executable, "-c", "raise ValueError('no plan')"])
    assert (failed.code, failed.reason) == (1, "ValueError: no plan")


def test_a_process_beyond_its_limit_is_stopped() -> None:
    ran = run_alone([sys.executable, "-c", "import time; time.sleep(60)"], limit_s=0.5)
    assert ran.stopped
    assert ran.seconds < 20
    assert "stopped after" in ran.reason


def test_the_gap_is_net_and_falls_into_plan_bound_and_unknown() -> None:
    """Plan 300, bound 180, of which 100 nobody can serve: 60 %. Known are 280 and 200: 10, 10 and 40 of it."""
    found = row(300.0, 180.0)
    best = best_known.Best("core S 0", 280.0, 200.0, 100.0, "x", "y", "2026-11-22")
    assert found.gap == pytest.approx(0.6)
    parts = found.parts(best)
    assert [parts[name] for name in ("plan_error", "bound_error", "unknown")] == pytest.approx([0.1, 0.1, 0.4])
    assert math.isinf(row(math.inf, 180.0).gap)
    assert row(180.0, 180.0).gap == 0.0


def test_what_is_known_only_gets_better_and_outlives_a_file(tmp_path: Path) -> None:
    first = best_known.better(None, "core S 0", 300.0, 180.0, 100.0, "nearserve")
    worse = best_known.better(first, "core S 0", 310.0, 170.0, 100.0, "other")
    assert worse == first
    second = best_known.better(first, "core S 0", 290.0, 170.0, 100.0, "other")
    assert (second.plan_usd, second.plan_by, second.bound_usd, second.bound_by) == (290.0, "other", 180.0, "nearserve")
    best_known.write({"core S 0": second}, tmp_path / "known.csv")
    assert best_known.read(tmp_path / "known.csv") == {"core S 0": second}
    assert best_known.read(tmp_path / "none.csv") == {}


def test_random_worlds_load_and_are_the_same_again(tmp_path: Path) -> None:
    for seed in range(4):
        first, second = write(tmp_path / f"a{seed}", seed), write(tmp_path / f"b{seed}", seed)
        files = sorted(path.relative_to(first.folder) for path in first.folder.rglob("*.*"))
        for path in files:
            assert (first.folder / path).read_bytes() == (second.folder / path).read_bytes()
        assert load(first.folder).document.seed == seed
