"""A full disk, a disk that only reads, a clock that went back: nothing is switched, and it is said."""

import json
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from placement.publish.errors import CannotWriteError, ClockError
from placement.publish.store import Store
from tests.publish.store_world import NIGHT, at_rest, filling

NEW_MOUNTS = ["unshare", "--mount", *(() if os.geteuid() == 0 else ("--user", "--map-root-user"))]


def test_wherever_the_disk_fills_up_readers_keep_what_they_had_and_the_next_writer_recovers(tmp_path: Path) -> None:
    done = subprocess.run(
        [*NEW_MOUNTS, sys.executable, "-m", "tests.publish.store_full", str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    trials = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(trials) == 14 + 22 + 1
    for trial in trials:
        told = "No space left on device" if trial["what"] != "nothing" else "Read-only file system"
        if trial["end"] == "published":
            assert trial["found"] == "b" and trial["what"] != "nothing"
        else:
            so = "nothing was published" if trial["found"] == "a" else "readers are led to generation 2"
            assert f"cannot be written ({told}); {so}" in trial["end"], trial
            assert trial["found"] == "a" or trial["mended"][-1].startswith("committed generation 2"), trial
        assert trial["after"] == trial["found"] and trial["last"] == "c", trial
    for what in ("pages", "inodes"):
        ends = [trial["end"] == "published" for trial in trials if trial["what"] == what]
        assert not ends[0] and ends[-1], "the amounts go from too little to enough"


def test_a_clock_that_went_back_publishes_nothing_until_somebody_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path)
    with store.writing(lambda: NIGHT) as writer:
        writer.publish(filling("a"), {}, "a")
    with store.writing(lambda: NIGHT - timedelta(minutes=4)) as writer:
        assert writer.publish(filling("b"), {}, "b").number == 2  # clocks are set right by so much
    with store.writing(lambda: NIGHT - timedelta(days=2)) as writer:
        with pytest.raises(ClockError, match=r"2021-11-20T03:00.* written at 2021-11-22T02:56"):
            writer.publish(filling("c"), {}, "c")
        with pytest.raises(ClockError):
            writer.rollback()
        assert at_rest(tmp_path) == "b"
        assert writer.publish(filling("c"), {}, "c", accept_clock=True).number == 3
    assert at_rest(tmp_path) == "c"
    with pytest.raises(ValueError, match="no time zone"), store.writing(lambda: NIGHT.replace(tzinfo=None)):
        pass


def test_a_place_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    store = Store(tmp_path / "file" / "store")
    with pytest.raises(CannotWriteError, match="file/store: cannot be written"), store.writing():
        pass


def test_what_the_filler_cannot_read_is_its_own_error(tmp_path: Path) -> None:
    def fill(folder: Path) -> None:
        (folder / "a").write_bytes((tmp_path / "nowhere").read_bytes())

    with Store(tmp_path / "store").writing(lambda: NIGHT) as writer, pytest.raises(FileNotFoundError):
        writer.publish(fill, {}, "a")
    assert at_rest(tmp_path / "store") is None
