"""SIGTERM to a real `nearserve nightly`: before there is a plan it publishes nothing, after that all that it found."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import night_world
from night_world import World

PATIENCE_S = 300
STARTED = "import sys; from placement.cli import main; sys.exit(main(sys.argv[1:]))"


def signalled(world: World, event: str, **wanted: str) -> tuple[int, dict[str, object]]:
    """Exit code and report of a night that gets SIGTERM as soon as its log says so."""
    words = [
        "nightly",
        str(world.config),
        "--as-of",
        night_world.NIGHT.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "--format",
        "json",
    ]
    night = subprocess.Popen(
        [sys.executable, "-c", STARTED, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert night.stderr is not None
        for line in night.stderr:
            told = json.loads(line)
            if told["event"] == event and wanted.items() <= told.items():
                night.send_signal(signal.SIGTERM)
                break
        out, _ = night.communicate(timeout=PATIENCE_S)
    finally:
        night.kill()
        night.wait()
    return night.returncode, json.loads(out)


def test_before_there_is_a_plan_it_ends_with_seven_and_the_next_goes_on(tmp_path: Path) -> None:
    world = night_world.made(tmp_path / "w")
    code, told = signalled(world, "stage_begins", stage="check")
    assert (code, told["exit_code"], told["reason"]) == (7, 7, "interrupted")
    assert world.number() is None
    assert world.metric("failed", stage=str(told["stage"]), reason="interrupted") == 1
    told = world.night()
    assert told["published"] == {"generation": 1, "new": True}
    assert [stage["again"] for stage in told["stages"] if stage["stage"] == "check"] == [True]


def test_once_there_is_a_plan_it_publishes_a_whole_generation(tmp_path: Path) -> None:
    world = night_world.made(tmp_path / "w")
    code, told = signalled(world, "stage", stage="plan")
    assert (code, told["published"]) == (0, {"generation": 1, "new": True})
    assert world.number() == 1
    assert world.metric("exit_code") == 0
