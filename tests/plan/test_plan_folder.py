"""A plan's folder appears whole or not at all."""

from pathlib import Path

import pytest

from placement.plan.folder import PlanExistsError, atomic_folder


def test_a_plan_that_fails_half_way_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic_folder(tmp_path / "plan", replace=False) as folder:
        (folder / "plan.json").write_text("{}")
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_plan_that_fails_half_way_leaves_the_old_one_standing(tmp_path: Path) -> None:
    old = tmp_path / "plan"
    old.mkdir()
    (old / "plan.json").write_text("old")
    with pytest.raises(KeyboardInterrupt), atomic_folder(old, replace=True) as folder:
        (folder / "plan.json").write_text("new")
        raise KeyboardInterrupt
    assert (old / "plan.json").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["plan"]


def test_a_plan_replaces_another_only_when_told_to(tmp_path: Path) -> None:
    target = tmp_path / "plan"
    with atomic_folder(target, replace=False) as folder:
        (folder / "plan.json").write_text("one")
    with pytest.raises(PlanExistsError, match="exists"), atomic_folder(target, replace=False):
        pytest.fail("the block must not be entered")
    with atomic_folder(target, replace=True) as folder:
        (folder / "plan.json").write_text("two")
    assert (target / "plan.json").read_text() == "two"
    assert [path.name for path in tmp_path.iterdir()] == ["plan"]


def test_a_folder_that_is_no_plan_is_never_replaced(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("years")
    with pytest.raises(PlanExistsError, match="holds no plan"), atomic_folder(precious, replace=True):
        pytest.fail("the block must not be entered")
    assert (precious / "thesis.txt").read_text() == "years"
