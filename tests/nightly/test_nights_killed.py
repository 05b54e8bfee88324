"""A night that is killed at the beginning of every stage in turn: the next goes on where it stood; readers see nothing.

Kills at random moments, a thousand of them, are in bench/nightly/kills.py.
"""

import os
import signal
import warnings
from datetime import timedelta
from pathlib import Path

import night_world
from night_world import World

DAY = timedelta(days=1)
STAGES = (
    *("published", "ingest", "inputs", "check", "topology", "data_gates"),
    *("plan", "audit", "diff", "gates", "publish"),
)


def killed_at(world: World, after: timedelta, stage: str) -> None:
    """A night in a process of its own, which dies by SIGKILL as the stage begins."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking where there are threads: it is left at once
        pid = os.fork()
    if pid == 0:
        try:
            world.night(after, tell=lambda begins: os.kill(os.getpid(), signal.SIGKILL) if begins == stage else None)
        finally:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_a_night_goes_on_wherever_it_was_killed(tmp_path: Path) -> None:
    world = night_world.made(tmp_path / "w")
    assert world.night()["exit_code"] == 0
    before = world.plan()
    world.demand(30)
    for minutes, stage in enumerate(STAGES, 1):
        killed_at(world, DAY + timedelta(minutes=minutes), stage)
        assert (world.number(), world.plan()) == (1, before)
        assert world.metric("running") == 1  # what an alert waits for
        assert world.metric("last_success_timestamp_seconds") == night_world.NIGHT.timestamp()
    told = world.night(DAY + timedelta(hours=1))
    assert (told["exit_code"], told["published"]) == (0, {"generation": 2, "new": True})
    again = [stage["stage"] for stage in told["stages"] if stage["again"]]
    assert again == ["ingest", "inputs", "check", "topology", "plan", "diff"]
    assert len(world.runs()) == 2
    assert world.metric("running") == 0


def test_a_stage_that_was_killed_half_way_is_made_again(tmp_path: Path) -> None:
    """Killed after the plan was written into its scratch folder, and before that got its name."""
    world = night_world.made(tmp_path / "w")
    killed_at(world, timedelta(0), "plan")
    run = world.runs()[0]
    (run / ".plan" / "plan").mkdir(parents=True)
    (run / ".plan" / "plan" / "plan.json").write_text("{")
    with (run / "journal.jsonl").open("a") as journal:
        journal.write('{"event": "stage", "stage": "plan", "ke')  # a line that the disk has half of
    told = world.night(timedelta(minutes=1))
    assert told["exit_code"] == 0, told["message"]
    assert {stage["stage"]: stage["again"] for stage in told["stages"]}["plan"] is False
    assert world.plan()["status"] in ("OPTIMAL", "FEASIBLE")
