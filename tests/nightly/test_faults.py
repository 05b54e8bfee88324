"""Faults injected into nights: each ends in its exit code and its metric, publishes nothing, and forgets nothing."""

import json
import re
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import night_world
import pytest
import tiny
from night_world import NIGHT, World

from placement.nightly import runs
from tests.servers import free_port

DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def after_one(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world after its first night, with other demand for the next."""
    world = night_world.made(tmp_path_factory.mktemp("faults") / "first")
    assert world.night()["exit_code"] == 0
    world.demand(30)
    return world


@pytest.fixture
def world(after_one: World, tmp_path: Path) -> World:
    return night_world.copied(after_one, tmp_path / "world")


def refused(world: World, told: dict[str, Any], code: int, stage: str, reason: str, told_of: str = "") -> None:
    """The night ended so, and all else is as the last good one left it."""
    assert (told["exit_code"], told["stage"], told["reason"]) == (code, stage, reason), told["message"]
    assert told_of in told["message"]
    assert world.metric("failed", stage=stage, reason=reason) == 1
    assert world.metric("exit_code") == code
    assert world.metric("running") == 0
    assert world.metric("last_success_timestamp_seconds") == NIGHT.timestamp()
    assert world.number() == 1


def recovers(world: World, after: timedelta = DAY) -> dict[str, Any]:
    """The next night, with nothing but the fault mended, publishes."""
    told = world.night(after + timedelta(minutes=1))
    assert (told["exit_code"], told["published"]) == (0, {"generation": 2, "new": True}), told["message"]
    assert world.number() == 2
    return told


def tampering(world: World, stage: str, old: str, new: str) -> Any:
    """Changes the plan of the run right before a stage begins: what is first of `old`, as a pattern."""

    def at(begins: str) -> None:
        if begins == stage:
            plan = world.runs()[-1] / "plan" / "plan" / "plan.json"
            text = plan.read_text()
            changed = re.sub(old, new, text, count=1)
            assert changed != text
            plan.write_text(changed)

    return at


@contextmanager
def full_disk(most_bytes: int) -> Iterator[None]:
    """No file may grow beyond so many bytes, and writing further fails."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_files_that_never_came(world: World) -> None:
    world.configure('[[ingest]]\nfiles = ["incoming/*.json"]\nformat = "ripe-atlas"\n')
    refused(world, world.night(DAY), 4, "ingest", "missing_file", "incoming/*.json (ripe-atlas)")


def test_files_of_bad_records(world: World) -> None:
    (world.folder / "incoming").mkdir()
    (world.folder / "incoming" / "a.json").write_text('[{"what": "is this"}]')
    world.configure('[[ingest]]\nfiles = ["incoming/*.json"]\nformat = "ripe-atlas"\n')
    refused(world, world.night(DAY), 4, "ingest", "bad_records", "1 of 1 measurements are bad")


def test_a_scenario_that_is_wrong(world: World) -> None:
    path = world.folder / "scenario" / "sites.csv"
    path.write_text(path.read_text().replace("48.86", "148.86"))
    refused(world, world.night(DAY), 4, "check", "bad_scenario", "148.86")


def test_measurements_that_are_stale(world: World) -> None:
    world.configure("[gates]\nmax_age_hours = 36\n")
    refused(world, world.night(DAY), 6, "data_gates", "stale", "max_age_hours: 50 h, at most 36 h is allowed")
    assert world.metric("gate_holds", gate="max_age_hours") == 0
    recovers(world, timedelta(hours=9))  # it is 35 hours then


def test_a_clock_in_the_past(world: World) -> None:
    refused(world, world.night(-DAY), 6, "data_gates", "stale", "clock_ahead_s")


def test_demand_that_nobody_may_leave_unserved_and_nobody_can_serve(tmp_path: Path) -> None:
    world = night_world.made(tmp_path / "w")
    assert world.night()["exit_code"] == 0
    path = world.folder / "scenario" / "scenario.toml"
    path.write_text(path.read_text() + "[limits]\nmin_served_share = 1.0\n")
    world.demand(9000)
    world.config.write_text(world.config.read_text().replace('"scale"', '"exact"'))
    refused(world, world.night(DAY), 3, "plan", "infeasible", "nearserve explain")


def test_a_limit_that_leaves_no_time_for_a_plan(world: World) -> None:
    sound = world.config.read_text()
    world.configure("[deadline]\nseconds = 3\n")
    refused(world, world.night(DAY), 7, "plan", "deadline", "no time for a plan")
    world.config.write_text(sound)
    told = recovers(world)
    again = {stage["stage"]: stage["again"] for stage in told["stages"]}
    assert again["topology"] and not again["plan"]  # it goes on with what it had


def test_a_plan_that_is_changed_before_its_audit(world: World) -> None:
    world.config.write_text(world.config.read_text().replace("audit_again = false\n", ""))
    told = world.night(DAY, tell=tampering(world, "audit", r'("replicas": \[[^\]]*?"count": )\d+', r"\g<1>0"))
    refused(world, told, 5, "audit", "audit_failed", "4 replica capacity")
    recovers(world)


def test_a_plan_that_is_changed_after_its_audit(world: World) -> None:
    told = world.night(DAY, tell=tampering(world, "publish", '"seed": 0', '"seed": 1'))
    refused(world, told, 5, "publish", "tampered", "not what this night made")


def test_a_published_plan_that_was_tampered_with(world: World) -> None:
    plan = world.store.current().folder / "plan" / "plan.json"  # type: ignore[union-attr]
    plan.chmod(0o644)
    plan.write_bytes(plan.read_bytes().replace(b'"count": 2', b'"count": 9'))
    told = world.night(DAY)
    assert (told["exit_code"], told["stage"], told["reason"]) == (5, "published", "tampered")
    assert world.metric("failed", stage="published", reason="tampered") == 1


def test_a_link_that_leads_elsewhere(world: World) -> None:
    link = world.folder / "published" / "current"
    link.unlink()
    link.symlink_to("/etc")
    told = world.night(DAY)
    assert (told["exit_code"], told["stage"], told["reason"]) == (5, "published", "tampered"), told["message"]
    assert world.metric("failed", stage="published", reason="tampered") == 1
    assert world.metric("last_success_timestamp_seconds") == NIGHT.timestamp()


def test_a_second_night_at_once(world: World) -> None:
    before = (world.folder / "nearserve.prom").read_text()
    with runs.locked(world.folder / "nightly-state"):
        told = world.night(DAY)
    assert (told["exit_code"], told["reason"]) == (6, "locked")
    assert (world.folder / "nearserve.prom").read_text() == before  # that is the other one's
    beside = (world.folder / "nearserve-locked.prom").read_text()
    said = [line for line in beside.splitlines() if line.startswith("nearserve_nightly_locked_timestamp_seconds ")]
    assert float(said[0].split()[1]) == (NIGHT + DAY).timestamp()


@pytest.mark.parametrize(("stage", "most_bytes"), [("plan", 1000), ("publish", 1500)])
def test_a_disk_that_is_full(world: World, stage: str, most_bytes: int) -> None:
    limited: list[Any] = []

    def fill(begins: str) -> None:
        if begins == stage:
            limited.append(full_disk(most_bytes))
            limited[0].__enter__()

    try:
        told = world.night(DAY, tell=fill)
    finally:
        limited[0].__exit__(None, None, None)
    assert (told["exit_code"], told["stage"], told["reason"]) == (1, stage, "disk_full"), told["message"]
    assert world.number() == 1
    if stage == "publish":
        again = {one["stage"]: one["again"] for one in recovers(world)["stages"]}
        assert again["plan"]  # it goes on where it stood


def test_an_etcd_that_does_not_answer(world: World) -> None:
    world.configure('[publish]\nconfig = "publish.toml"\n')
    target = world.folder / "publish.toml"
    target.write_text(f'[etcd]\nendpoints = ["http://127.0.0.1:{free_port()}"]\nkey = "/nearserve"\n')
    told = world.night(DAY)
    assert (told["exit_code"], told["reason"]) == (8, "server_down"), told["message"]
    assert world.metric("failed", stage=told["stage"], reason="server_down") == 1
    assert world.store.current().number == 1  # type: ignore[union-attr]


def test_a_telemetry_that_does_not_answer(world: World) -> None:
    world.configure('[demand]\nconfig = "telemetry.toml"\n')
    (world.folder / "telemetry.toml").write_text(
        f'[demand.prometheus]\nurl = "http://127.0.0.1:{free_port()}"\ntemplate = "vllm"\n'
    )
    refused(world, world.night(DAY), 8, "demand", "server_down")


def test_a_generation_that_others_publish_meanwhile(world: World) -> None:
    def publish(begins: str) -> None:
        if begins == "publish":
            with world.store.writing(lambda: NIGHT + DAY) as writer:
                writer.publish(lambda folder: (folder / "mine").write_text("mine") and None, {}, "mine")

    told = world.night(DAY, tell=publish)
    assert (told["exit_code"], told["stage"], told["reason"]) == (6, "publish", "overtaken")
    assert world.number() == 2


def test_a_plan_that_a_rollback_took_away_does_not_come_back_by_itself(world: World) -> None:
    assert world.night(DAY)["published"]["generation"] == 2
    with world.store.writing(lambda: NIGHT + DAY) as writer:
        writer.rollback(by="somebody", reason="latency")
    told = world.night(2 * DAY)
    assert (told["exit_code"], told["reason"]) == (6, "withdrawn"), told["message"]
    assert world.number() == 1


def test_feeds_that_nobody_knows(world: World) -> None:
    world.first('feeds = "feeds.toml"\n')
    (world.folder / "feeds.toml").write_text('targets = ["pigeon"]\n')
    refused(world, world.night(DAY), 4, "data_gates", "bad_feed", "pigeon")


def test_a_program_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("placement.nightly.night.differ", None)
    refused(world, world.night(DAY), 1, "diff", "crash", "TypeError")


def test_a_signal_before_there_is_a_plan_ends_the_night(world: World) -> None:
    refused(world, world.night(DAY, interrupted=lambda: True), 7, "published", "interrupted")


def test_a_plan_that_comes_too_late_is_kept_for_the_next_night(world: World) -> None:
    sound = world.config.read_text()
    late = ["no"]

    def wait(begins: str) -> None:
        if begins == "publish":
            late[0] = "yes"

    from placement.nightly import deadline  # noqa: PLC0415

    passed = deadline.Ends.passed
    try:
        deadline.Ends.passed = property(lambda _: late[0] == "yes")  # type: ignore[assignment,method-assign]
        world.configure("[deadline]\nseconds = 900\n")
        refused(world, world.night(DAY, tell=wait), 7, "publish", "deadline", "the deadline has passed")
    finally:
        deadline.Ends.passed = passed  # type: ignore[method-assign]
    world.config.write_text(sound)
    told = recovers(world)
    assert {stage["stage"]: stage["again"] for stage in told["stages"]}["plan"]


def test_all_gates_are_told_and_an_approval_lets_those_about_change_pass(world: World) -> None:
    from placement.diff.approval import approve  # noqa: PLC0415
    from placement.diff.changes import changes  # noqa: PLC0415
    from placement.scenario import load  # noqa: PLC0415

    limits = (
        "[gates]\nmax_added_replicas = 1\nmax_cost_rise = 0.1\nmax_moved_gpu_share = 0.5\napproval = 'approval.json'\n"
    )
    world.configure(limits + "max_gap = 0.2\nmin_served_share = 0.5\n")
    told = world.night(DAY)
    refused(world, told, 6, "gates", "gates", "--approve")
    assert [(gate["gate"], gate["holds"]) for gate in told["gates"]] == [
        ("clock_ahead_s", True),
        ("min_served_share", True),
        ("max_gap", True),
        ("max_added_replicas", False),  # 2 of 1
        ("max_moved_gpu_share", False),  # 2 GPUs come, 2 stood
        ("max_cost_rise", False),
    ]
    assert world.metric("moved_gpu_share") == 1
    run = world.runs()[-1]
    scenario = load(run / "inputs" / "scenario")
    found = changes(run / "inputs" / "previous", run / "plan" / "plan", scenario)
    (world.folder / "approval.json").write_bytes(approve(found, "ada", NIGHT + DAY))
    told = recovers(world)
    assert {gate["gate"]: gate["approved_by"] for gate in told["gates"]}["max_added_replicas"] == "ada"
    world.demand(60)
    told = world.night(DAY + timedelta(hours=1))
    assert (told["exit_code"], told["stage"], told["reason"]) == (6, "gates", "approval")
    assert world.number() == 2


def test_gates_about_quality_need_no_published_plan_and_no_approval_helps(tmp_path: Path) -> None:
    world = night_world.made(tmp_path / "w", tiny.edited("sites.csv", "10,42,1000,0.05,40", "0.5,42,1000,0.05,40"))
    world.configure("[gates]\nmin_served_share = 0.9\nmax_added_replicas = 0\nmax_stale_share = 0.1\nstale_days = 1\n")
    told = world.night()
    assert (told["exit_code"], told["stage"], told["reason"]) == (6, "gates", "gates")
    refusing = [gate["gate"] for gate in told["gates"] if not gate["holds"]]
    assert refusing == [
        "min_served_share",
        "max_stale_share",
    ]  # berlin has no site; all was measured 26 h ago
    assert world.number() is None
    assert json.loads((world.runs()[-1] / "report.json").read_bytes())["exit_code"] == 6
