"""`python -m bench`: what is listed, and what becomes of a benchmark's end."""

from pathlib import Path

import pytest

from bench.__main__ import FOLDER, PARTS, benchmarks, main


def test_whatever_has_a_main_is_listed_or_said_to_be_a_part() -> None:
    listed = {path for _, path in benchmarks()} | {FOLDER / "__main__.py", FOLDER / "inference" / "run.py"}
    programs = {path for path in FOLDER.rglob("*.py") if "\ndef main(" in path.read_text("utf-8")}
    others = {".".join(path.relative_to(FOLDER).with_suffix("").parts) for path in programs - listed}
    assert all(name.startswith(PARTS) for name in others), others


def test_those_of_all_folders_are_told_with_what_they_measure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    told = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    wanted = ("atlas", "closed_loop", "diff.orders", "feeds.rendered", "nightly.kills", "publish.scale", "telemetry.xl")
    assert set(wanted) <= set(told)
    assert all(len(text) > 20 for text in told.values())
    here = [name for name in told if (FOLDER / f"{name}.py").is_file()]
    assert list(told)[: len(here)] == here
    assert not any(Path(name).name.startswith("ours") for name in told)


def test_the_worst_end_of_a_benchmark_is_the_end() -> None:
    assert main(["feeds.crds"]) == 2  # it wants a folder


def test_a_name_that_is_none_is_told_with_those_there_are() -> None:
    with pytest.raises(SystemExit, match=r"no benchmark is called nobody; there are: atlas, .*telemetry\.quality"):
        main(["nobody"])
