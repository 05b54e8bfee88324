"""The parts of a night by themselves: configuration, deadline, journal, edits of a document, the command."""

import errno
import json
import time
from datetime import UTC, datetime, timedelta
from email.message import Message
from pathlib import Path
from urllib.error import HTTPError, URLError

import night_world
import pytest
import tiny
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from placement.cli import main
from placement.nightly import deadline, journal, telemetry
from placement.nightly.config import Deadline, Gates, Nightly, load
from placement.nightly.faults import CODES
from placement.nightly.gates import of_change
from placement.nightly.report import lines
from placement.nightly.toml_edit import with_value, without
from placement.scenario.document import parse
from placement.telemetry.errors import TelemetryError
from placement.worlds import edge
from probes.document import DocumentError

PAGE = Path(__file__).parents[2] / "docs" / "nightly.md"


@pytest.mark.parametrize(("now", "hours"), [("02:00", 3.5), ("05:29", 1 / 60), ("05:30", 24), ("06:00", 23.5)])
def test_a_deadline_is_the_next_time_that_the_clock_shows_it(now: str, hours: float) -> None:
    at = datetime.fromisoformat(f"2026-03-01T{now}:00+00:00")
    assert deadline.ends(Deadline(utc="05:30"), at).seconds == pytest.approx(hours * 3600)


def test_what_follows_the_plan_is_kept_free_of_the_search() -> None:
    end = deadline.Ends(time.monotonic(), 1000.0)
    assert deadline.search_s(300.0, end, 100.0) == (300.0, False)
    seconds, shortened = deadline.search_s(3000.0, end, 100.0)
    assert shortened and seconds == pytest.approx(900, abs=5)
    assert deadline.search_s(None, deadline.Ends(0.0, None), 100.0) == (None, False)


def test_the_closing_stages_take_what_they_took_before_and_half_as_much_again(tmp_path: Path) -> None:
    assert deadline.closing_s(tmp_path, 20.0) == 60  # no night yet: three times what reading took
    for hour, seconds in enumerate((10.0, 40.0, 20.0)):
        run = tmp_path / "runs" / f"20260101T0{hour}0000.000000Z"
        run.mkdir(parents=True)
        for stage in ("audit", "diff", "feeds", "publish"):
            journal.append(run / "journal.jsonl", {"event": "stage", "stage": stage, "seconds": seconds / 4})
    assert deadline.closing_s(tmp_path, 20.0) == 60  # 1.5 · 40


def test_a_line_that_a_kill_tore_is_passed_over_and_the_next_stands_alone(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    journal.append(path, {"event": "begin"})
    with path.open("ab") as file:
        file.write(b'{"event": "sta')
    journal.append(path, {"event": "end"})
    assert [line["event"] for line in journal.read(path)] == ["begin", "end"]


@given(st.lists(st.sampled_from(["[stability]", "max_moves = 3", "# note", "", "[money]", "wacc = 0.1"]), max_size=8))
def test_a_key_that_is_set_and_left_out_again_leaves_the_document_as_it_was(lines: list[str]) -> None:
    text = 'name = "x"\n' + "\n".join(lines) + "\n"
    before, wrong = parse(text)
    if wrong:  # a table or a key that stands twice, or where it may not
        return
    after, _ = parse(with_value(text, ("stability",), "previous_plan", '"../previous"'))
    assert before is not None and after is not None
    assert after.stability.previous_plan == "../previous"
    away = without(with_value(text, ("stability",), "previous_plan", '"p"'), ("stability",), "previous_plan")
    assert parse(away) == (before, [])


def test_a_document_that_cannot_be_edited_safely_is_refused(tmp_path: Path) -> None:
    world = night_world.made(tmp_path / "w", tiny.document_with("").copy())
    path = world.folder / "scenario" / "scenario.toml"
    path.write_text("stability = { usd_per_move = 1.0 }\n" + path.read_text())
    told = world.night()
    assert (told["exit_code"], told["stage"], told["reason"]) == (4, "inputs", "bad_scenario")
    assert "write each on a line of its own" in told["message"]


def test_all_faults_of_a_configuration_are_told_at_once_with_metrics(tmp_path: Path) -> None:
    world = night_world.made(tmp_path / "w")
    world.configure('[gates]\nmax_gap = 2\nmax_gapp = 1\n[deadline]\nutc = "25:00"\n')
    with pytest.raises(DocumentError) as raised:
        load(world.config)
    assert [fault.field for fault in raised.value.faults] == ["deadline.utc", "gates.max_gap", "gates.max_gapp"]
    assert "did you mean max_gap?" in str(raised.value)
    ran = CliRunner().invoke(main, ["nightly", str(world.config)])
    assert ran.exit_code == 4
    assert world.metric("failed", stage="configuration", reason="bad_configuration") == 1
    assert world.metric("exit_code") == 4


def test_files_that_a_configuration_names_must_be_there(tmp_path: Path) -> None:
    world = night_world.made(tmp_path / "w")
    world.first('feeds = "no.toml"\nmeasurements = ["nowhere"]\n')
    with pytest.raises(DocumentError) as raised:
        load(world.config)
    assert sorted(fault.field for fault in raised.value.faults) == ["feeds", "measurements"]


def test_a_best_plan_so_far_is_published_and_made_again_the_next_night(tmp_path: Path) -> None:
    """Nothing ends the search but the signal, which comes once there is a plan."""
    edge.generate(tmp_path / "scenario", sites=8, regions=4, models=1, seed=7)
    config = tmp_path / "nightly.toml"
    text = 'scenario = "scenario"\naudit_again = false\n[gates]\nclock_ahead_s = 1e9\n[plan]\nmethod = "scale"\n'
    config.write_text(text + "gap = 0.0\ntime_limit_s = 600\n")
    world = night_world.World(tmp_path)

    def there_is_a_plan() -> bool:
        return any(line.get("objective_usd_month") and line["at"] == "search" for line in world.log)

    told = world.night(interrupted=there_is_a_plan)
    assert (told["exit_code"], told["published"]) == (0, {"generation": 1, "new": True}), told["message"]
    assert world.store.current().facts["whole"] is False  # type: ignore[union-attr]
    config.write_text(text + "gap = 0.0\nwork = 1\n")
    told = world.night(timedelta(days=1))
    assert not told["unchanged"]
    assert {stage["stage"]: stage["facts"] for stage in told["stages"]}["plan"]["cut_short"] is False


def test_the_command_prints_the_report_and_takes_the_time_that_it_is_told(tmp_path: Path) -> None:
    world = night_world.made(tmp_path / "w")
    early = datetime(2025, 12, 30, tzinfo=UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    ran = CliRunner().invoke(main, ["nightly", str(world.config), "--as-of", early, "--format", "json"])
    assert ran.exit_code == 6
    told = json.loads(ran.stdout)
    assert (told["stage"], told["reason"]) == ("data_gates", "stale")
    ran = CliRunner().invoke(main, ["nightly", str(world.config), "--as-of", early])
    assert "REFUSES  clock_ahead_s: 86,400 s (limit 600 s)" in ran.stdout
    assert CliRunner().invoke(main, ["nightly", str(tmp_path / "no.toml")]).exit_code == 2


def test_gates_about_steps_refuse_short_waves_and_what_nobody_ordered() -> None:
    """An approval may let them pass: they are about change."""
    limits = Gates(safe_steps=True, max_missing_share=0.01)
    quiet = {"cost_rise": 0.0, "served_drop": 0.0, "added_replicas": 0, "moved_gpu_share": 0.0}
    cases: tuple[tuple[float | None, float | None, bool], ...] = ((0, 0.0, True), (2, 0.02, False), (None, None, False))
    for waves, missing, holds in cases:
        verdicts = of_change(limits, quiet | {"short_waves": waves, "missing_share": missing})
        assert [(one.gate, one.kind, one.holds) for one in verdicts] == [
            ("safe_steps", "change", holds),
            ("max_missing_share", "change", holds),
        ]
    with pytest.raises(ValidationError, match="steps = false"):
        Nightly(scenario="s", steps=False, gates=limits)


def test_a_disk_that_is_full_under_telemetry_is_no_bad_record() -> None:
    """As the history says it: an error of its own, from the disk's."""
    for cause, reason in (
        (OSError(errno.ENOSPC, "No space left on device"), "disk_full"),
        (HTTPError("http://127.0.0.1", 503, "", Message(), None), "server_down"),
        (HTTPError("http://127.0.0.1", 400, "", Message(), None), "bad_records"),
        (URLError("refused"), "server_down"),
        (FileNotFoundError(errno.ENOENT, "No such file"), "bad_records"),
    ):
        error = TelemetryError("history: cannot be written")
        error.__cause__ = cause
        assert telemetry.reason_of(error) == reason


def test_the_report_says_where_a_plan_had_no_time_to_search() -> None:
    facts = {"needed_s": 95.4, "time_limit_s": 60.0}
    told = {
        "stages": [{"stage": "plan", "seconds": 1.0, "again": False, "facts": facts}],
        "figures": {},
        "seconds": 1.0,
    }
    told |= {"run": "r", "published": {"generation": 1, "new": True}, "exit_code": 0}
    told |= {"unchanged": False}
    said = "\n".join(lines(told | {"dry_run": False, "change": None, "gates": [], "message": ""}))
    assert "took 95 s alone, of the 60 s" in said and "plan.time_limit_s" in said


def test_the_page_has_every_reason_with_its_exit_code() -> None:
    rows = [line.split("|")[1:3] for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    said = {reason.strip(): code.strip() for code, reasons in rows for reason in reasons.split(",")}
    assert {reason: str(code) for reason, code in CODES.items()}.items() <= said.items()
