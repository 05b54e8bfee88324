"""A run may be ended at any moment: what is written then is a plan that passed its audit, or nothing."""

import signal
from pathlib import Path

import pytest
import tiny

from placement.audit import audit
from placement.cli.plan_progress import COLUMNS, line, told
from placement.interrupting import ONE_PRESS_S, SIGNALS, AbortedError, Stop, stop_on_signals, unless_interrupted
from placement.plan.folder import atomic_folder
from placement.planning import Planned, Progress, plan_scenario
from placement.scenario import load
from placement.solving import NoPlanError, Request
from placement.topology import build_pairs
from placement.worlds import edge


@pytest.fixture
def scenario(tmp_path: Path) -> Path:
    return tiny.write(tmp_path / "scenario")


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A scenario whose plan is not proved at once."""
    folder = tmp_path_factory.mktemp("wide") / "scenario"
    edge.generate(folder, sites=24, regions=20, models=2, seed=3)
    return folder


class Listener:
    """Hears a run's progress, and from the first row of a stage on asks it to end."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.heard: list[Progress] = []

    def __call__(self, progress: Progress) -> None:
        self.heard.append(progress)

    def interrupted(self) -> bool:
        return any(progress.stage == self.stage for progress in self.heard)


def plan(scenario: Path, target: Path, listener: Listener, **how: object) -> Planned:
    request = Request(**{"method": "scale", "gap": 0.0, "time_limit_s": 60.0} | how)  # type: ignore[arg-type]
    return plan_scenario(load(scenario), target, request, progress=listener, interrupted=listener.interrupted)


@pytest.mark.parametrize("stage", ["bound", "search", "audit"])
def test_a_run_that_is_interrupted_ends_with_an_audited_plan(wide: Path, tmp_path: Path, stage: str) -> None:
    listener = Listener(stage)
    planned = plan(wide, tmp_path / "plan", listener, work=12, sweeps=60, branchings=0)
    assert planned.interrupted
    assert (planned.document.provenance.work < 12) == (stage != "audit")
    loaded = load(wide)
    report = audit(tmp_path / "plan", loaded, build_pairs(loaded).pairs)
    assert report.passed
    assert report.gap_verified == planned.document.gap


@pytest.mark.parametrize("stage", ["topology", "problem"])
def test_interrupted_before_there_is_a_plan_nothing_is_written(scenario: Path, tmp_path: Path, stage: str) -> None:
    with pytest.raises(NoPlanError, match="interrupted before any plan"):
        plan(scenario, tmp_path / "plan", Listener(stage))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["scenario"]


@pytest.mark.parametrize("stage", ["problem", "construct", "plan", "audit"])
def test_a_run_that_is_aborted_leaves_the_plan_that_stood_there(scenario: Path, tmp_path: Path, stage: str) -> None:
    (tmp_path / "plan").mkdir()
    (tmp_path / "plan" / "plan.json").write_text("of yesterday")

    def abort(progress: Progress) -> None:
        if progress.stage == stage:
            raise AbortedError(signal.SIGINT)

    with pytest.raises(AbortedError, match="SIGINT"):
        plan_scenario(load(scenario), tmp_path / "plan", Request("scale", work=2), overwrite=True, progress=abort)
    assert (tmp_path / "plan" / "plan.json").read_text() == "of yesterday"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["plan", "scenario"]


def test_a_plan_that_cannot_take_its_place_gives_it_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "plan"
    target.mkdir()
    (target / "plan.json").write_text("of yesterday")
    rename = Path.rename

    def broken_off(self: Path, other: Path) -> Path:
        if other == target and not self.name.endswith(".old"):
            raise AbortedError(signal.SIGTERM)
        return rename(self, other)

    monkeypatch.setattr(Path, "rename", broken_off)
    with pytest.raises(AbortedError), atomic_folder(target, replace=True) as folder:
        (folder / "plan.json").write_text("of today")
    assert (target / "plan.json").read_text() == "of yesterday"
    assert [path.name for path in tmp_path.iterdir()] == ["plan"]


def test_the_second_signal_aborts_unless_it_follows_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [100.0]
    monkeypatch.setattr("placement.interrupting.monotonic", lambda: now_s[0])
    stop = Stop()
    assert not stop()
    stop.on_signal(signal.SIGINT, None)
    assert stop()
    now_s[0] += 0.9 * ONE_PRESS_S  # a wrapper passes on what the terminal sent to both
    stop.on_signal(signal.SIGINT, None)
    now_s[0] += ONE_PRESS_S
    with pytest.raises(AbortedError, match="SIGTERM"):
        stop.on_signal(signal.SIGTERM, None)


def test_signals_are_taken_within_the_block_only() -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with stop_on_signals() as stop:
        signal.raise_signal(signal.SIGTERM)
        assert stop()
        assert [signal.getsignal(number) for number in SIGNALS] != before
    assert [signal.getsignal(number) for number in SIGNALS] == before


def test_what_cannot_be_stopped_is_left_behind() -> None:
    import threading  # noqa: PLC0415

    free = threading.Event()
    assert unless_interrupted(lambda: False, lambda: 7) == 7
    assert unless_interrupted(lambda: True, free.wait) is None
    free.set()
    with pytest.raises(ZeroDivisionError):
        unless_interrupted(lambda: False, lambda: 1 // 0)


def test_the_trace_has_a_row_for_every_change(tmp_path: Path) -> None:
    moves = [
        Progress("problem", 0.5),
        Progress("search", 1.0, 330.0, 300.0, 0.1),
        Progress("search", 1.5, 330.0, 300.0, 0.1),
        Progress("search", 2.0, 320.0, 300.0, 0.0625),
    ]
    with told(tmp_path / "trace.csv", 9.0) as tell:
        for progress in moves:
            tell(progress)
    assert (tmp_path / "trace.csv").read_text().splitlines() == [
        ",".join(COLUMNS),
        "0.50,problem,,,",
        "1.00,search,330.00,300.00,0.100000",
        "2.00,search,320.00,300.00,0.062500",
    ]
    assert line(moves[-1], 9.0) == "    2 of 9 s  search  plan 320 USD/month  bound 300  net gap 6.25 %"


def test_a_run_that_was_cut_off_is_repeated_by_what_its_provenance_records(wide: Path, tmp_path: Path) -> None:
    planned = plan(wide, tmp_path / "cut", Listener("search"), sweeps=60)
    recorded = planned.document.provenance
    done = {name: recorded.parameters[name] for name in ("sweeps", "polish", "branchings")}
    assert recorded.work > 0
    plan_scenario(load(wide), tmp_path / "again", Request("scale", 0.0, work=recorded.work, **done))
    for name in ("routes.parquet", "certificate.npz"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
