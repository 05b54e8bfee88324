"""Approvals: bound to what was looked at, and stale as soon as any of it is another."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from placement.diff.approval import BadApprovalError, StaleApprovalError, approve, check_approval
from placement.diff.changes import changes
from placement.scenario import Scenario, load
from tests.diff.diff_world import SHARES, scenario, write_plan

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
EAST = ("east", "small", "chat")


@pytest.fixture
def three(tmp_path: Path) -> Scenario:
    return scenario(tmp_path / "three")


def plan_at(site: str, folder: Path, of: Scenario) -> Path:
    return write_plan(folder, of, {(site, "s2"): 1}, {(site, "small-1"): 1}, {EAST: {(site, "small-1"): SHARES}})


@pytest.fixture
def approved(three: Scenario, tmp_path: Path) -> tuple[Path, Path, Path]:
    """The approval, the old plan, the new one."""
    old, new = plan_at("alpha", tmp_path / "old", three), plan_at("beta", tmp_path / "new", three)
    file = tmp_path / "approval.json"
    file.write_bytes(approve(changes(old, new, three), "Ada", NOON, timedelta(hours=8)))
    return file, old, new


def test_it_holds_for_the_same_change_until_it_expires(approved: tuple[Path, Path, Path], three: Scenario) -> None:
    file, old, new = approved
    said = check_approval(file, old, new, three, NOON + timedelta(hours=7))
    assert (said.by, said.summary.added_replicas, said.summary.moved) == ("Ada", 1, 1)
    with pytest.raises(StaleApprovalError, match="has expired at 2026-11-22T20:00"):
        check_approval(file, old, new, three, NOON + timedelta(hours=8))
    with pytest.raises(StaleApprovalError, match="it is from 2026-11-22T12:00"):
        check_approval(file, old, new, three, NOON - timedelta(seconds=1))


def test_the_same_approval_has_the_same_bytes(approved: tuple[Path, Path, Path], three: Scenario) -> None:
    file, old, new = approved
    assert approve(changes(old, new, three), "Ada", NOON, timedelta(hours=8)) == file.read_bytes()


@pytest.mark.parametrize("name", ["plan.json", "routes.parquet"])
@pytest.mark.parametrize("which", [1, 2])
def test_any_other_file_of_either_plan_is_named(
    approved: tuple[Path, Path, Path], three: Scenario, which: int, name: str
) -> None:
    file = approved[which] / name
    file.write_bytes(file.read_bytes() + b"\n")
    with pytest.raises(StaleApprovalError) as told:
        check_approval(*approved, three, NOON)
    assert told.value.reasons == (f"{file} is not the one of the {('old', 'new')[which - 1]} plan that was approved",)


def test_other_inputs_are_named(approved: tuple[Path, Path, Path], three: Scenario) -> None:
    demand = three.folder / "demand.csv"
    demand.write_text(demand.read_text("utf-8").replace("east,small,chat,6,6", "east,small,chat,7,7"), "utf-8")
    with pytest.raises(StaleApprovalError) as told:
        check_approval(*approved, load(three.folder), NOON)
    assert told.value.reasons == ("demand has changed since",)


def test_nothing_is_another_old_plan(approved: tuple[Path, Path, Path], three: Scenario) -> None:
    file, _, new = approved
    with pytest.raises(StaleApprovalError, match="another as the old plan"):
        check_approval(file, None, new, three, NOON)
    file.write_bytes(approve(changes(None, new, three), "Ada", NOON))
    check_approval(file, None, new, three, NOON)
    with pytest.raises(StaleApprovalError, match="nothing stands as the old plan"):
        check_approval(file, approved[1], new, three, NOON)


def test_what_is_no_approval_is_told_with_every_fault(tmp_path: Path, three: Scenario) -> None:
    file = tmp_path / "approval.json"
    file.write_text('{"schema": "nearserve-approval-1", "by": ""}', "utf-8")
    with pytest.raises(BadApprovalError) as told:
        check_approval(file, None, tmp_path, three, NOON)
    assert all(name in str(told.value) for name in ("by:", "new:", "expires:", "inputs_sha256:"))
    with pytest.raises(BadApprovalError, match="cannot be read"):
        check_approval(tmp_path / "none.json", None, tmp_path, three, NOON)


def test_it_is_somebodys_and_at_a_time_with_a_zone(approved: tuple[Path, Path, Path], three: Scenario) -> None:
    found = changes(approved[1], approved[2], three)
    with pytest.raises(ValueError, match="by"):
        approve(found, "", NOON)
    with pytest.raises(ValueError, match="timezone"):
        approve(found, "Ada", datetime(2026, 11, 22))
