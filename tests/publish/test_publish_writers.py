"""One writer at a time, and readers that nobody takes the ground from under."""

import multiprocessing
import os
import signal
import time
from datetime import timedelta
from pathlib import Path

import pytest

from placement.publish.errors import (
    ContentError,
    LockedError,
    NotAStoreError,
    UnknownGenerationError,
    WithdrawnError,
)
from placement.publish.reading import reading
from placement.publish.retention import Retention
from placement.publish.store import Store
from tests.publish.store_world import NIGHT, Clock, at_rest, current_label, entries, filling, label_of

AT_ONCE = Retention(1, 0, timedelta(0))
FORK = multiprocessing.get_context("fork")


def published(root: Path, *labels: str) -> Store:
    store = Store(root)
    with store.writing(Clock()) as writer:
        for label in labels:
            writer.publish(filling(label), {"label": label}, label)
    return store


def _race(root: Path, name: str, rounds: int, told: "multiprocessing.Queue[tuple[str, int, int]]") -> None:
    """Publishes again and again; while it holds the lock a file of its own is the only one."""
    done = refused = 0
    while done < rounds:
        try:
            with Store(root).writing() as writer:
                inside = root.with_name(f"inside-{name}")
                inside.touch()
                assert [path.name for path in root.parent.glob("inside-*")] == [inside.name]
                writer.publish(filling(f"{name}{done}"), {}, f"{name}{done}")
                assert [path.name for path in root.parent.glob("inside-*")] == [inside.name]
                inside.unlink()
            done += 1
        except LockedError:
            refused += 1
        time.sleep(0.001)
    told.put((name, done, refused))


def test_of_two_writers_one_is_refused_at_once_and_never_are_there_two(tmp_path: Path) -> None:
    root = tmp_path / "store"
    published(root, "first")
    told: multiprocessing.Queue[tuple[str, int, int]] = FORK.Queue()
    racers = [FORK.Process(target=_race, args=(root, name, 12, told)) for name in ("x", "y", "z")]
    for racer in racers:
        racer.start()
    ends = [told.get(timeout=60) for _ in racers]
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == 0
    assert sum(done for _, done, _ in ends) == 36
    at_rest(root)
    assert [entry["number"] for entry in entries(root) if entry["event"] == "committed"] == list(range(1, 38))


def test_the_lock_names_who_holds_it_and_ends_with_its_process(tmp_path: Path) -> None:
    root = tmp_path / "store"
    published(root, "a")
    ready = tmp_path / "ready"

    def hold() -> None:
        with Store(root).writing():
            ready.touch()
            time.sleep(600)

    holder = FORK.Process(target=hold)
    holder.start()
    while not ready.exists():
        time.sleep(0.01)
    with pytest.raises(LockedError, match=f"process {holder.pid} is writing"), Store(root).writing():
        pass
    os.kill(holder.pid or 0, signal.SIGKILL)
    holder.join(60)
    with Store(root).writing():
        pass


def test_a_generation_that_is_read_is_not_taken_away(tmp_path: Path) -> None:
    store = published(tmp_path, "a")
    with reading(tmp_path) as generation:
        with store.writing(Clock(NIGHT + timedelta(days=9))) as writer:
            for label in ("b", "c", "d"):
                writer.publish(filling(label), {}, label)
            assert [each.number for each in writer.prune(AT_ONCE)] == [2]
        assert label_of(generation.folder) == "a"
    with store.writing(Clock(NIGHT + timedelta(days=30))) as writer:
        assert [each.number for each in writer.prune(AT_ONCE)] == [1]
    assert at_rest(tmp_path) == "d"


def test_what_is_kept(tmp_path: Path) -> None:
    """Nights are a day apart; 6 is current, 5 is what a rollback takes."""
    labels = [f"n{j}" for j in range(1, 7)]
    store = published(tmp_path, *labels)
    last = NIGHT + timedelta(days=7)

    def pruned(retention: Retention, now: timedelta) -> list[int]:
        from placement.publish.retention import expired  # noqa: PLC0415

        return [each.number for each in expired(store.state(), retention, last + now)]

    hour = timedelta(hours=1)
    assert pruned(Retention(1, 0, timedelta(0)), hour) == [1, 2, 3, 4]
    assert pruned(Retention(4, 0, timedelta(0)), hour) == [1, 2]
    assert pruned(Retention(1, 3.5, timedelta(0)), hour) == [1, 2]
    assert pruned(Retention(1, 0, timedelta(days=3)), timedelta(0)) == [1, 2]  # 2 was left when 3 came, 3 days before
    assert pruned(Retention(1, 0, timedelta(0)), -timedelta(days=30)) == []  # the clock says that nothing is old
    with pytest.raises(ValueError, match="at least one"):
        Retention(0)


def test_what_a_rollback_took_away_does_not_come_back_by_itself(tmp_path: Path) -> None:
    store = published(tmp_path, "a", "b", "c", "d")
    with store.writing(Clock(NIGHT + timedelta(days=9))) as writer:
        assert writer.rollback(2, by="ops", reason="late").number == 2
        assert current_label(tmp_path) == "b"
        assert not writer.publish(filling("b"), {}, "b").new
        for gone in ("c", "d"):
            with pytest.raises(WithdrawnError, match="--again"):
                writer.publish(filling(gone), {}, gone)
        assert writer.publish(filling("e"), {}, "e").number == 5
        assert writer.publish(filling("c"), {}, "c", again=True).number == 6
        assert writer.rollback().number == 5  # the one before, and not the one before in number
        with pytest.raises(UnknownGenerationError, match="is current already"):
            writer.rollback(5)
        with pytest.raises(UnknownGenerationError, match=r"no generation 9; there are: 1, 2, 3, 4, 5, 6"):
            writer.rollback(9)
    assert at_rest(tmp_path) == "e"


def test_without_a_key_the_files_decide_whether_there_is_anything_new(tmp_path: Path) -> None:
    with Store(tmp_path).writing(Clock()) as writer:
        assert writer.publish(filling("a"), {"n": 1}).new
        assert not writer.publish(filling("a"), {"n": 2}).new
        assert writer.publish(filling("b"), {}).number == 2
    assert at_rest(tmp_path) == "b"


def test_what_no_generation_may_hold_is_refused_by_name(tmp_path: Path) -> None:
    def link(folder: Path) -> None:
        (folder / "a").symlink_to("/etc/passwd")
        os.mkfifo(folder / "b")

    def ours(folder: Path) -> None:
        (folder / "manifest.json").write_text("{}")
        (folder / "x").write_text("")

    with Store(tmp_path).writing(Clock()) as writer:
        writer.publish(filling("a"), {}, "a")
        with pytest.raises(ContentError, match=r"(?s)a: is a link.*b: is something special"):
            writer.publish(link, {}, "l")
        with pytest.raises(ContentError, match=r"manifest\.json: this name is ours"):
            writer.publish(ours, {}, "o")
        with pytest.raises(ContentError, match="no file"):
            writer.publish(lambda _: None, {}, "n")
        with pytest.raises(ZeroDivisionError):
            writer.publish(lambda _: 1 / 0, {}, "z")  # type: ignore[arg-type,return-value]
    assert at_rest(tmp_path) == "a"


def test_a_folder_that_holds_other_things_is_no_store(tmp_path: Path) -> None:
    (tmp_path / "letters.txt").write_text("dear")
    with pytest.raises(NotAStoreError, match=r"letters\.txt"), Store(tmp_path).writing():
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["letters.txt"]
    with pytest.raises(NotAStoreError, match="no store"):
        Store(tmp_path / "nowhere").state()
    assert Store(tmp_path / "nowhere").current() is None
    with pytest.raises(UnknownGenerationError, match="nothing was published"), reading(tmp_path / "nowhere"):
        pass
