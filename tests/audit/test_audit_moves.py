"""Equation 14 step by step: from what stood before to the whole world's first period, with and without room."""

from copy import deepcopy
from typing import Any

import pytest
from audit_whole_plan import BEFORE, PLAN, plan
from audit_world_whole import scenario, whole_pairs, written

from placement.audit import audit

ADD, DRAIN = PLAN["moves"]
SERVER, REPLICA = BEFORE["servers"][0], BEFORE["replicas"][0]


def before(servers: int = 0, **replicas: int) -> dict[str, Any]:
    """The plan before with so many servers at turku too, and so many replicas there of each shape."""
    document = deepcopy(BEFORE)
    document["servers"] += [{**SERVER, "site": "turku", "count": servers, "new": servers}] if servers else []
    document["replicas"] += [{**REPLICA, "site": "turku", "shape": name, "count": n} for name, n in replicas.items()]
    return document


def steps(*told: tuple[str, str, str, int]) -> list[dict[str, Any]]:
    """Moves of (action, site, shape, count), in order; weights of 16 GB at 100 Mbit/s at turku, 16 at oslo."""
    seconds = {"turku": 1280.0, "oslo": 8000.0}
    return [
        {**ADD, "step": j, "action": action, "site": site, "shape": shape, "count": count,
         "seconds": seconds[site] if action == "add" else 0.0}
        for j, (action, site, shape, count) in enumerate(told, 1)
    ]  # fmt: skip


def broken(tmp_path, stood, moves):
    document = plan() | {"moves": moves}
    report = audit(written(tmp_path, document, before=stood), scenario(tmp_path), whole_pairs())
    return [(v.rule, v.subject) for v in report.violations if v.rule.startswith("14")]


AT_OSLO = ("drain", "oslo", "one", 1)
NO_ROOM = [("14 steps", f"2027-1: step 1: g at turku in {name}, replicas of 1 GPUs or more") for name in (
    "day", "night", "rush")]  # fmt: skip


def test_what_does_not_fit_beside_the_old_waits_until_some_of_it_is_drained(tmp_path):
    full = before(1, quick=2)
    first = steps(("add", "turku", "one", 1), ("drain", "turku", "quick", 2), AT_OSLO)
    assert broken(tmp_path, full, first) == NO_ROOM
    later = steps(("drain", "turku", "quick", 1), ("add", "turku", "one", 1), ("drain", "turku", "quick", 1), AT_OSLO)
    assert broken(tmp_path, full, later) == []


def test_servers_of_both_plans_stand_where_the_site_can_hold_them(tmp_path):
    """Two servers take all of turku's 4 kW; three do not, and then only the one that stays counts."""
    first = steps(("add", "turku", "one", 1), ("drain", "turku", "quick", 2), AT_OSLO)
    assert broken(tmp_path, before(2, quick=2), first) == []
    assert broken(tmp_path, before(3, quick=2), first) == NO_ROOM


def test_rows_of_one_step_are_taken_together_additions_first(tmp_path):
    together = steps(("drain", "turku", "quick", 2), ("add", "turku", "one", 1), AT_OSLO)
    for move in together:
        move["step"] = 1
    assert broken(tmp_path, before(1, quick=2), together) == NO_ROOM
    assert broken(tmp_path, before(1, quick=1), [{**m, "count": min(m["count"], 1)} for m in together]) == []


@pytest.mark.parametrize(
    "gone",
    [{"site": "bergen"}, {"shape": "four"}, {"tenant": "shop"}, {"slice": "noon"}, {"site": "bergen", "slice": "noon"}],
)
def test_what_the_tables_no_longer_know_is_drained_and_nothing_else(gone, tmp_path):
    stood = before()
    stood["replicas"].append({**REPLICA, "site": "oslo", "count": 3, **gone})
    moves = steps(("add", "turku", "one", 1), AT_OSLO)
    names = [gone["slice"]] if "slice" in gone else ["rush", "day", "night"]
    assert [rule for rule, _ in broken(tmp_path, stood, moves)] == ["14 steps"] * len(names)
    drains = [{**DRAIN, "step": 3 + j, "count": 3, **gone, "slice": name} for j, name in enumerate(names)]
    assert broken(tmp_path, stood, [*moves, *drains]) == []
    more = [{**drains[0], "action": "add", "step": 3 + len(names)}, {**drains[0], "step": 4 + len(names)}]
    assert {rule for rule, _ in broken(tmp_path, stood, [*moves, *drains, *more])} == {"14 steps"}


def test_moves_are_counted_from_the_first_period_of_the_plan_before(tmp_path):
    stood = before()
    stood["periods"] = [{"period": "2026-1"}, {"period": "2026-2"}]
    for row in (*stood["servers"], *stood["replicas"]):
        row["period"] = "2026-1"
    stood["replicas"].append({**REPLICA, "site": "turku", "count": 9, "period": "2026-2"})
    assert broken(tmp_path, stood, steps(("add", "turku", "one", 1), AT_OSLO)) == []
    stood["periods"].reverse()  # nine replicas at turku and none at oslo stood in the first
    found = broken(tmp_path, stood, steps(("drain", "turku", "one", 8), ("add", "oslo", "one", 1)))
    assert ("14 moves", "2027-1: replicas added in day") in found  # of the bank
    assert ("14 moves", "2027-1: replicas added in day") not in broken(tmp_path, before(), [])


@pytest.mark.parametrize(
    "broke", [{"replicas": [1]}, {"servers": None}, {"periods": 1}, {"replicas": [{**REPLICA, "count": -1}]}]
)
def test_a_plan_before_that_cannot_be_read_is_named(broke, tmp_path):
    assert ("14 moves", "before") in broken(tmp_path, BEFORE | broke, PLAN["moves"])
