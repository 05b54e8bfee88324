"""Goals, and the plan that moves are counted from."""

import json
from pathlib import Path

import pytest
from small_scenario import DOCUMENT, findings, only, put


def add(folder: Path, text: str) -> None:
    put(folder, "scenario.toml", DOCUMENT + text + "\n")


def previous(folder: Path, text: str | bytes) -> None:
    (folder / "before").mkdir(exist_ok=True)
    content = text if isinstance(text, bytes) else text.encode()
    (folder / "before" / "plan.json").write_bytes(content)


ROW = {"site": "fra", "shape": "m8-1", "tenant": None, "slice": None, "period": None, "count": 2}


STANDING = {"site": "fra", "server": "pro-2", "tenant": "bank", "period": None, "count": 2, "new": 1, "rented": 0}


def plan(row: object = ROW, periods: object = (), server: object = STANDING) -> str:
    return json.dumps({"schema": "nearserve-plan-2", "periods": periods, "replicas": [row], "servers": [server]})


PLAN = plan()


def test_goals_each_once_with_a_gap_for_each_are_sound(folder: Path) -> None:
    add(folder, '[objective]\ngoals = ["served", "latency", "cost"]\ngoal_gaps = [0, 0.01, 0.001]')
    assert findings(folder) == ()


@pytest.mark.parametrize(
    ("text", "rule", "row", "column", "value"),
    [
        ('[objective]\ngoals = ["served", "cost", "served"]', "goals", 10, "objective.goals", "served, cost, served"),
        ("[objective]\ngoals = []", "goals", 10, "objective.goals", "[]"),
        (
            '[objective]\ngoals = ["served", "cost"]\ngoal_gaps = [0.1]',
            "goal-gaps",
            11,
            "objective.goal_gaps",
            "0.1",
        ),
        ('[objective]\ngoals = ["moves", "cost"]', "no-previous-plan", 10, "objective.goals", "moves, cost"),
        ("[stability]\nmax_moves = 0", "no-previous-plan", 10, "stability.max_moves", "0"),
        ("[stability]\nusd_per_move = 12.5", "no-previous-plan", 10, "stability.usd_per_move", "12.5"),
        ('[stability]\nprevious_plan = "gone"', "previous-plan", 10, "stability.previous_plan", "gone"),
    ],
)
def test_a_wrong_goal_or_move_is_named_with_its_line(
    folder: Path, text: str, rule: str, row: int, column: str, value: str
) -> None:
    add(folder, text)
    finding = only(folder, rule)
    place = ("scenario.toml", row, column, value, "error")
    assert (finding.file, finding.row, finding.column, finding.value, finding.severity) == place


def test_a_plan_before_lets_moves_be_limited_priced_and_a_goal(folder: Path) -> None:
    previous(folder, PLAN)
    moves = '[stability]\nmax_moves = 3\nusd_per_move = 40\nprevious_plan = "before"'
    add(folder, f'{moves}\n[objective]\ngoals = ["moves", "cost"]')
    assert findings(folder) == ()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "the folder has no plan.json"),
        ("{", "cannot be read"),
        (b"\xff\xfe\x00", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[]", "its schema is not said"),
        ('{"schema": "nearserve-plan-1", "replicas": []}', "its schema is nearserve-plan-1"),
        ('{"schema": ["nearserve-plan-2"]}', "not a plan"),
        ('{"schema": "nearserve-plan-2"}', "no sound list of replicas"),
        (plan({"site": "fra", "shape": "m8-1", "count": 2}), "no sound list of replicas"),
        (plan(ROW | {"count": 1.5}), "no sound list of replicas"),
        (plan(ROW | {"count": -1}), "no sound list of replicas"),
        (plan(ROW | {"site": None}), "no sound list of replicas"),
        (plan(ROW | {"slice": 3}), "no sound list of replicas"),
        (plan(ROW | {"count": True}), "no sound list of replicas"),
        (plan("fra"), "no sound list of replicas"),
        (plan(server=STANDING | {"count": None}), "no sound list of servers"),
        (plan(server=STANDING | {"tenant": 1}), "no sound list of servers"),
        (plan(periods=None), "no sound list of periods"),
        (plan(periods=["h1"]), "no sound list of periods"),
    ],
)
def test_a_plan_before_that_is_none_is_told_apart(folder: Path, content: str | bytes | None, words: str) -> None:
    (folder / "before").mkdir()
    if content is not None:
        previous(folder, content)
    add(folder, '[stability]\nprevious_plan = "before"')
    assert words in only(folder, "previous-plan").message
