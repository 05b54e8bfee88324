"""Nights that go well: what is published, and when nothing is."""

import json
from datetime import timedelta
from pathlib import Path

import night_world
import pytest
import tiny
from night_world import World

from placement.audit import audit
from placement.scenario import load
from placement.topology import build_pairs

DAY = timedelta(days=1)
AFTER_PUBLISH = ["ingest", "inputs", "check", "topology", "plan", "diff", "publish"]


@pytest.fixture(scope="module")
def after_one(tmp_path_factory: pytest.TempPathFactory) -> World:
    """The world after its first night, which is copied by whoever changes it."""
    world = night_world.made(tmp_path_factory.mktemp("nights") / "first")
    told = world.night()
    assert told["exit_code"] == 0, told["message"]
    return world


@pytest.fixture
def world(after_one: World, tmp_path: Path) -> World:
    return night_world.copied(after_one, tmp_path / "world")


def test_the_first_night_publishes_an_audited_plan_with_its_report(after_one: World) -> None:
    generation = after_one.published()
    assert generation is not None
    assert generation.number == 1
    inputs = after_one.runs()[0] / "inputs" / "scenario"
    scenario = load(inputs)
    assert audit(generation.folder / "plan", scenario, build_pairs(scenario).pairs).passed
    assert after_one.plan()["cost"]["total"] == tiny.TOTAL
    report = json.loads((generation.folder / "report" / "report.json").read_bytes())
    assert report["figures"]["cost_usd_month"] == tiny.TOTAL
    assert [stage["stage"] for stage in report["stages"]] == AFTER_PUBLISH[:-1]
    assert "published" in (generation.folder / "report" / "report.txt").read_text()


def test_its_metrics_tell_of_success(after_one: World) -> None:
    assert after_one.metric("last_success_timestamp_seconds") == night_world.NIGHT.timestamp()
    assert after_one.metric("exit_code") == 0
    assert after_one.metric("running") == 0
    assert after_one.metric("cost_usd_month") == tiny.TOTAL
    assert after_one.metric("served_share") == 1
    assert after_one.metric("generation") == 1
    assert after_one.metric("age_hours") == 26
    assert (after_one.metric("stage_duration_seconds", stage="plan") or 0) > 0
    assert not any(line.startswith("nearserve_nightly_failed{") for line in metrics_of(after_one))


def metrics_of(world: World) -> list[str]:
    return (world.folder / "nearserve.prom").read_text().splitlines()


def test_unchanged_inputs_publish_nothing_and_plan_nothing(world: World) -> None:
    before = sorted(path.name for path in (world.folder / "published" / "generations").iterdir())
    told = world.night(DAY)
    assert (told["exit_code"], told["unchanged"]) == (0, True)
    assert "plan" not in [stage["stage"] for stage in told["stages"]]
    assert sorted(path.name for path in (world.folder / "published" / "generations").iterdir()) == before
    assert world.metric("last_success_timestamp_seconds") == (night_world.NIGHT + DAY).timestamp()


def test_more_demand_is_planned_anew_from_the_published_plan_and_published(world: World) -> None:
    world.demand(30)
    told = world.night(DAY)
    assert told["exit_code"] == 0, told["message"]
    assert world.number() == 2
    assert told["change"]["steps"]["short_waves"] == world.metric("short_waves") == 0
    waves = json.loads((world.runs()[-1] / "diff" / "diff.json").read_bytes())["steps"]["waves"]
    assert sum(row["count"] for wave in waves for row in wave["add"]) == 2
    assert told["change"]["counts"]["added_replicas"] == world.metric("added_replicas") == 2  # 3.0 + 0.6 of 4, not of 2
    assert [stage["facts"]["warm"] for stage in told["stages"] if stage["stage"] == "plan"] == [True]


def test_records_that_change_nothing_publish_nothing_but_are_looked_at(world: World) -> None:
    more = "observed_at,source,target,method,sent,received,rtt_ms\n2026-01-01T00:00:00Z,paris,beta,icmp,3,3,30;30;30\n"
    (world.folder / "scenario" / "measurements" / "more.csv").write_text(more)
    told = world.night(DAY)
    assert (told["exit_code"], told["unchanged"], told["published"]) == (0, False, {"generation": 1, "new": False})
    assert world.metric("age_hours") == 26  # of the new record


def test_a_dry_run_says_what_it_would_publish_and_does_not(world: World) -> None:
    world.demand(30)
    told = world.night(DAY, dry_run=True)
    assert (told["exit_code"], told["change"]["counts"]["added_replicas"]) == (0, 2)
    assert world.number() == 1
    assert world.metric("last_success_timestamp_seconds") == night_world.NIGHT.timestamp()
    assert world.night(DAY)["published"] == {"generation": 2, "new": True}


def test_an_input_that_changes_under_the_night_changes_nothing_of_it(world: World) -> None:
    """The scenario gets another demand right before the plan is made; the plan is of the one that was checked."""
    world.demand(30)

    def meddle(stage: str) -> None:
        if stage == "plan":
            world.demand(80)

    assert world.night(DAY, tell=meddle)["published"]["new"]
    assert sum(row["count"] for row in world.plan()["replicas"]) == 4  # (30 + 6) / 10, and not (80 + 6) / 10
    assert world.night(2 * DAY)["change"]["counts"]["added_replicas"] == 5


def test_files_are_ingested_once_and_stay_known(world: World) -> None:
    incoming = world.folder / "incoming"
    incoming.mkdir()
    row = "2026-01-01T01:00:00Z,paris,alpha,icmp,3,3,10;10;10"
    header = "observed_at,source,target,method,sent,received,rtt_ms\n"
    (incoming / "a.csv").write_text(header + row + "\n")
    world.configure('[[ingest]]\nfiles = ["incoming/*.csv"]\nformat = "native"\n')
    told = world.night(DAY)
    ingested = {stage["stage"]: stage["facts"] for stage in told["stages"]}["ingest"]
    assert (told["exit_code"], ingested["new_files"], ingested["records"]) == (0, 1, 1)
    assert world.metric("age_hours") == 25
    again = {stage["stage"]: stage["facts"] for stage in world.night(2 * DAY)["stages"]}["ingest"]
    assert (again["files"], again["new_files"], again["records"]) == (1, 0, 0)
    kept = list((world.folder / "nightly-state" / "measurements").rglob("*.parquet"))
    assert len(kept) == 1
    linked = next((world.runs()[-1] / "inputs" / "scenario" / "measurements" / "ingested").rglob("*.parquet"))
    assert linked.stat().st_ino == kept[0].stat().st_ino  # what the store never changes is not copied


def test_moves_are_counted_from_the_published_plan(tmp_path: Path) -> None:
    """One replica may be added: from 2 that is 3, though 4 are wanted. The first night adds to nothing."""
    world = night_world.made(tmp_path / "w", tiny.document_with("[stability]\nmax_moves = 1 # a night\n"))
    world.config.write_text(world.config.read_text().replace('method = "scale"', 'method = "exact"'))
    assert world.night()["exit_code"] == 0
    assert sum(row["count"] for row in world.plan()["replicas"]) == 2
    world.demand(30)
    told = world.night(DAY)
    assert (told["exit_code"], told["change"]["counts"]["added_replicas"]) == (0, 1), told["message"]
    assert world.plan()["provenance"]["previous_plan"] == "../previous"
    assert world.night(2 * DAY)["unchanged"]  # though what moves are counted from is another plan by now


def test_the_day_that_is_planned_for_can_be_that_of_the_night(world: World) -> None:
    world.config.write_text(world.config.read_text().replace("[plan]", '[plan]\ndate = "tonight"'))
    assert world.night(30 * DAY)["exit_code"] == 0
    written = (world.runs()[-1] / "inputs" / "scenario" / "scenario.toml").read_text()
    assert written.splitlines()[0] == "planning_date = 2026-01-31"
    assert "2026-01-01" not in written


def test_demand_can_come_from_telemetry(world: World) -> None:
    """Both classes asked for twice what the table says, every hour of three weeks, and so they are planned for."""
    began = night_world.NIGHT - timedelta(days=21)
    hours = [began + timedelta(hours=hour) for hour in range(21 * 24)]
    rows = [
        f"{at.isoformat()},{region},m8,chat,{rate}" for at in hours for region, rate in (("paris", 16), ("berlin", 12))
    ]
    (world.folder / "rates.csv").write_text("\n".join(["observed_at,region,model,service,value", *rows]) + "\n")
    (world.folder / "telemetry.toml").write_text(
        '[demand]\ndesign = "mean"\n[demand.files]\npaths = ["rates.csv"]\nkind = "rates"\n'
    )
    before = (world.folder / "scenario" / "demand.csv").read_bytes()
    world.configure('[demand]\nconfig = "telemetry.toml"\n')
    told = world.night()
    assert told["exit_code"] == 0, told["message"]
    assert sum(row["count"] for row in world.plan()["replicas"]) == 3  # (16 + 12) / 10
    assert (world.folder / "scenario" / "demand.csv").read_bytes() == before
