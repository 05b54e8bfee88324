"""SIGKILL before every single change to the disk, and what makes a power cut no worse than that."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from placement.publish.store import Store
from tests.publish.store_crash import Steps, forked, live
from tests.publish.store_world import at_rest

SEQUENCE = [None, "a", "b", "c", "b", "c"]
"""What readers are led to, one switch after the other."""


@pytest.fixture(scope="module")
def trials(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("crash")
    done = subprocess.run(
        [sys.executable, "-m", "tests.publish.store_crash", str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_change_to_the_disk_was_the_last_once(trials: list[dict[str, Any]]) -> None:
    assert len(trials) > 150
    assert [trial["code"] for trial in trials[:-1]] == [-9] * (len(trials) - 1)
    assert trials[-1]["code"] == 0 and trials[-1]["acknowledged"] == SEQUENCE[1:]


def test_readers_find_what_was_acknowledged_last_or_what_was_about_to_be(trials: list[dict[str, Any]]) -> None:
    for trial in trials:
        acknowledged = len(trial["acknowledged"])
        assert trial["found"] in SEQUENCE[acknowledged : acknowledged + 2], trial


def test_the_next_writer_mends_alone_and_switches_nothing(trials: list[dict[str, Any]]) -> None:
    for trial in trials:
        assert trial["after"] == trial["found"], trial
        assert trial["again"] == [] and trial["next"] == "next", trial
    told = " ".join(line for trial in trials for line in trial["mended"])
    for kind in ("cut a torn line", "committed generation", "abandoned generation", "took away"):
        assert kind in told


def test_each_step_is_on_the_disk_before_the_next_begins(tmp_path: Path) -> None:
    """So a power cut leaves what a kill leaves: at most one step is not on the disk, and it is all of it or nothing.

    The exceptions are what nobody was led to yet, and the last line of the ledger, which may be torn.
    """
    root, traced = tmp_path / "store", tmp_path / "trace.json"

    def work() -> None:
        steps = Steps(0)
        live(root, lambda _: None)
        traced.write_text(json.dumps(steps.trace))

    assert forked(work) == 0
    trace = [(what, path) for what, path in json.loads(traced.read_text()) if path != str(traced)]
    switched = named = written = 0
    for j, (what, path) in enumerate(trace):
        place = Path(path)
        if what == "write" and trace[j + 1][0] != "write":
            written += 1
            assert trace[j + 1] == ("fsync", str(root / "ledger.jsonl"))
        if what == "os.rename":
            assert trace[j + 1] == ("fsync", str(place.parent)), path
            if place == root / "current":
                switched += 1
                assert trace[j - 2][0] in ("fsync", "os.remove"), "the ledger's intent was on the disk before"
            if place.parent == root / "generations" and not place.name.startswith("."):
                named += 1
                assert [what for what, _ in trace[j - 2 : j]] == ["syncfs", "fsync"]
    assert (switched, named) == (5, 4)
    assert written == 2 * 5 + 2  # intent and committed of each switch, and what was pruned
    assert at_rest(root) == "c"


def test_what_was_torn_off_a_ledger_is_cut_and_nothing_else_is_taken_for_torn(tmp_path: Path) -> None:
    root = tmp_path / "store"
    live(root, lambda _: None)
    whole = (root / "ledger.jsonl").read_bytes()
    line = whole.splitlines(keepends=True)[-1]
    for torn in (line[:-1], line[: len(line) // 2], b"\0" * 200, b"\0" * 199 + b"\n", b"{"):
        (root / "ledger.jsonl").write_bytes(whole + torn)
        with Store(root).writing() as writer:
            assert writer.mended == (f"cut a torn line of {len(torn)} bytes off the ledger",)
        assert (root / "ledger.jsonl").read_bytes() == whole
        assert at_rest(root) == "c"
