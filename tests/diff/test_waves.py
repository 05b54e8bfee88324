"""The order of safe steps: by hand, by brute force over all orders, and every step audited in the tests' arithmetic."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, assume, given, note, settings
from hypothesis import strategies as st

from placement.audit.case import Case, open_case
from placement.diff import search, waves
from placement.diff.ground import ground
from placement.diff.order import order_on
from placement.diff.plans import NOTHING, Plan, Standing
from placement.diff.steps import steps_of
from placement.scenario import load
from placement.topology import build_pairs
from tests import tiny
from tests.diff.diff_world import (
    CAPACITY,
    DEMAND,
    GPUS,
    MBIT,
    MODEL,
    SERVER_GPUS,
    SERVER_KW,
    SHARES,
    SITES,
    Replicas,
    Routes,
    Servers,
    admissible,
    scenario,
    sent,
)
from tests.diff.walked import World, safe_order_exists, walk

Side = tuple[Servers, Replicas, Routes]
Limits = tuple[int, int]
"""kW and Mbit/s of a site."""
TIGHT, ROOMY, THIN = (1, 1000), (2, 1000), (2, 1)
EAST, WEST, FAR = (("east", "small", "chat"), ("west", "small", "chat"), ("far", "small", "chat"))
CODE_EAST, CODE_WEST = ("east", "large", "code"), ("west", "large", "code")
SMALL, LARGE = (EAST, WEST, FAR), (CODE_EAST, CODE_WEST)


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> dict[Limits, Case]:
    return {limits: case_of(limits, tmp_path_factory.mktemp("world")) for limits in (TIGHT, ROOMY, THIN)}


def case_of(limits: Limits, folder: Path) -> Case:
    read = scenario(folder, *limits)
    return open_case(read, build_pairs(read).pairs)


def plan(side: Side) -> Plan:
    servers, replicas, routes = side
    return Plan(
        **{name: getattr(NOTHING, name) for name in ("sha256", "routes_sha256", "scenario", "period", "inputs_sha256")},
        servers={(site, server, ""): Standing(n, n, 0) for (site, server), n in servers.items()},
        replicas={(site, shape, "", ""): n for (site, shape), n in replicas.items()},
        routes={(*cls, ""): dict(ways) for cls, ways in routes.items()},
        cost=None,
        served_share=None,
        total_tco2e=None,
    )


def steps(case: Case, old: Side, new: Side) -> dict[str, Any]:
    return steps_of(order_on(ground(case, plan(old), plan(new)))).model_dump(mode="json")


def all_at(where: dict[Any, tuple[str, str]]) -> Routes:
    return {cls: {way: SHARES} for cls, way in where.items()}


def moves(rows: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    return [(row["site"], row["what"], row["count"]) for row in rows]


def everything(small: tuple[str, str], large: tuple[str, str]) -> Routes:
    return all_at(dict.fromkeys(SMALL, small) | dict.fromkeys(LARGE, large))


TWO = {("alpha", "s2"): 2, ("beta", "s2"): 2}


def test_where_there_is_room_there_is_one_wave(cases: dict[Limits, Case]) -> None:
    old = (
        TWO,
        {("alpha", "small-1"): 2, ("beta", "large-2"): 1},
        everything(("alpha", "small-1"), ("beta", "large-2")),
    )
    new = (
        TWO,
        {("beta", "small-1"): 2, ("alpha", "large-2"): 1},
        everything(("beta", "small-1"), ("alpha", "large-2")),
    )
    said = steps(cases[ROOMY], old, new)
    assert (said["method"], said["safe"], len(said["waves"])) == ("at once", True, 1)
    wave = said["waves"][0]
    assert moves(wave["add"]) == [("alpha", "large-2", 1), ("beta", "small-1", 2)]
    assert moves(wave["drain"]) == [("alpha", "small-1", 2), ("beta", "large-2", 1)]
    assert wave["switched_share"] == 1.0
    # 40 GB over 1,000 Mbit/s at alpha while 16 GB go to beta: 8000·40/1000 s
    assert (wave["seconds"], said["seconds"]) == (320.0, 320.0)
    # beside the larger of both plans, 2 GPUs at either site, all four stand for a while
    assert said["double"] == {"gpus": 4.0, "kw": 0.0, "rack_units": 0.0}
    walk(said, ROOMY, old, new)


def test_full_sites_swap_within_what_their_replicas_have_to_spare(cases: dict[Limits, Case]) -> None:
    # alpha 4 single GPUs of which 18/10 are busy, beta 2 pairs of which 6/6 = 1 is busy: two and one can go at once
    old = (
        TWO,
        {("alpha", "small-1"): 4, ("beta", "large-2"): 2},
        everything(("alpha", "small-1"), ("beta", "large-2")),
    )
    new = (
        TWO,
        {("beta", "small-1"): 4, ("alpha", "large-2"): 2},
        everything(("beta", "small-1"), ("alpha", "large-2")),
    )
    said = steps(cases[ROOMY], old, new)
    assert (said["method"], said["safe"]) == ("waves", True)
    first = said["waves"][0]
    assert moves(first["add"]) == []
    assert moves(first["drain"]) == [("alpha", "small-1", 2), ("beta", "large-2", 1)]
    walk(said, ROOMY, old, new)


def test_where_nothing_can_be_spared_what_is_short_is_told_exactly(cases: dict[Limits, Case]) -> None:
    # one server a site, both full and busy: 6/6 of a pair at beta; the swap cannot but stop one of them
    one = {("alpha", "s2"): 1, ("beta", "s2"): 1}
    old = (
        one,
        {("alpha", "small-2"): 1, ("beta", "large-2"): 1},
        everything(("alpha", "small-2"), ("beta", "large-2")),
    )
    new = (
        one,
        {("beta", "small-2"): 1, ("alpha", "large-2"): 1},
        everything(("beta", "small-2"), ("alpha", "large-2")),
    )
    said = steps(cases[TIGHT], old, new)
    assert not safe_order_exists(TIGHT, old, new)
    assert (said["method"], said["safe"]) == ("short", False)
    # 6 of 24 requests/s are of `large`, 18 of `small`: the fewer wait
    assert said["worst_missing_share"] == pytest.approx(0.25)
    lost = {(m["model"], m["share_ppb"], m["why"]) for wave in said["waves"] for m in wave["missing"]}
    assert lost == {("large", SHARES, "unserved")}
    walk(said, TIGHT, old, new)


def test_a_reserve_within_the_backup_budget_is_spent_before_anybody_is_left_unserved(cases: dict[Limits, Case]) -> None:
    # far's requests can wait at gamma within the backup budget alone, while alpha exchanges its pair for single GPUs
    servers = {("alpha", "s2"): 1, ("gamma", "s2"): 1}
    old = (servers, {("alpha", "small-2"): 1, ("gamma", "small-2"): 1}, all_at({FAR: ("alpha", "small-2")}))
    new = (servers, {("alpha", "small-1"): 2, ("gamma", "small-2"): 1}, all_at({FAR: ("alpha", "small-1")}))
    said = steps(cases[TIGHT], old, new)
    assert (said["safe"], said["worst_missing_share"]) == (False, 0.0)
    assert said["worst_backup_share"] == pytest.approx(3 / 24)
    walk(said, TIGHT, old, new)


def test_servers_are_exchanged_where_both_kinds_have_no_room(cases: dict[Limits, Case]) -> None:
    # 1 kW: the two singles come when the pair is gone, and what stood on it goes to gamma meanwhile
    replicas = {("alpha", "small-1"): 2, ("gamma", "small-2"): 1}
    routes = all_at(dict.fromkeys((EAST, WEST), ("alpha", "small-1")))
    old = ({("alpha", "s2"): 1, ("gamma", "s2"): 1}, replicas, routes)
    new = ({("alpha", "s1"): 2, ("gamma", "s2"): 1}, replicas, routes)
    said = steps(cases[TIGHT], old, new)
    assert said["safe"]
    assert [len(wave["install"]) for wave in said["waves"]] == [0, 1]
    assert moves(said["waves"][0]["drain"]) == [("alpha", "small-1", 2)]
    assert moves(said["waves"][1]["add"]) == [("alpha", "small-1", 2)]
    walk(said, TIGHT, old, new)


def test_the_same_plan_needs_no_step(cases: dict[Limits, Case]) -> None:
    same = (TWO, {("alpha", "small-1"): 2}, all_at({EAST: ("alpha", "small-1")}))
    assert steps(cases[ROOMY], same, same)["method"] == "nothing to do"


def test_old_routes_beyond_todays_capacity_are_held_back_alike(cases: dict[Limits, Case]) -> None:
    # one replica of 10 requests/s was sent 6 + 9: two thirds of both are what stands today
    old = (TWO, {("alpha", "small-1"): 1}, all_at(dict.fromkeys((EAST, WEST), ("alpha", "small-1"))))
    new = (TWO, {("beta", "small-1"): 2}, all_at(dict.fromkeys((EAST, WEST), ("beta", "small-1"))))
    basis = ground(cases[ROOMY], plan(old), plan(new))
    assert basis.start[*EAST, ""] == basis.start[*WEST, ""] == {("alpha", "small-1"): 666_666_666}
    assert basis.overloaded == {(*EAST, ""): 333_333_334, (*WEST, ""): 333_333_334}
    assert steps(cases[ROOMY], old, new)["overloaded_share"] == pytest.approx(5 / 24)


def test_what_the_scenario_does_not_know_any_more_goes_last(cases: dict[Limits, Case]) -> None:
    old = (
        TWO | {("gone", "s2"): 1},
        {("gone", "small-1"): 2, ("alpha", "old"): 1},
        {EAST: {("gone", "small-1"): SHARES}},
    )
    new = (TWO, {("alpha", "small-1"): 2}, all_at({EAST: ("alpha", "small-1")}))
    said = steps(cases[ROOMY], old, new)
    assert moves(said["waves"][-1]["drain"]) == [("alpha", "old", 1), ("gone", "small-1", 2)]
    assert moves(said["waves"][-1]["retire"]) == [("gone", "s2", 1)]
    assert said["inadmissible_share"] == pytest.approx(6 / 24)
    assert "3 replicas and 1 servers" in said["notes"][0]


def test_times_of_day_are_moved_by_themselves(tmp_path: Path) -> None:
    # by day paris' 8 and berlin's 2 requests/s fill one replica at beta, by night paris' 2 go to alpha
    follows = tiny.document_with("[limits]\nreplicas_follow_slices = true\n")
    read = load(tiny.write(tmp_path, follows | {"demand.csv": tiny.SLICED, "slices.csv": tiny.SLICES}))
    case = open_case(read, build_pairs(read).pairs)

    def sliced(replicas: dict[tuple[str, str], int], where: dict[tuple[str, str], str]) -> Plan:
        routes = {(r, "m8", "chat", at): {(site, "m8-one"): SHARES} for (r, at), site in where.items()}
        stands = {(site, "m8-one", "", at): n for (site, at), n in replicas.items()}
        servers = {("alpha", "s2", ""): Standing(1, 1, 0), ("beta", "s2", ""): Standing(1, 1, 0)}
        return replace(plan(({}, {}, {})), servers=servers, replicas=stands, routes=routes)

    night = {("berlin", "night"): "beta", ("berlin", "day"): "beta"}
    old = sliced(
        {("alpha", "day"): 2, ("beta", "day"): 1, ("beta", "night"): 1},
        night | {("paris", "day"): "alpha", ("paris", "night"): "beta"},
    )
    new = sliced(
        {("beta", "day"): 1, ("alpha", "night"): 2, ("beta", "night"): 1},
        night | {("paris", "day"): "beta", ("paris", "night"): "alpha"},
    )
    said = steps_of(order_on(ground(case, old, new))).model_dump(mode="json")
    (wave,) = said["waves"]
    assert [(row["site"], row["slice"], row["count"]) for row in wave["add"]] == [("alpha", "night", 2)]
    assert [(row["site"], row["slice"], row["count"]) for row in wave["drain"]] == [("alpha", "day", 2)]
    # paris asks 4 by day and 1 by night in the mean, of 12 in both halves of the day together
    assert wave["switched_share"] == pytest.approx(5 / 12)
    assert said["double"]["gpus"] == 0.0  # by day nothing is added, by night nothing goes


def random_side(limits: Limits, random: Random) -> Side:
    """A plan that keeps every rule: servers, replicas that fit, and as much traffic as they and chance take."""
    servers: dict[tuple[str, str], int] = {}
    replicas: dict[tuple[str, str], int] = {}
    for site in SITES:
        left = limits[0] * SERVER_KW["s2"]
        for kind in random.sample(sorted(SERVER_GPUS), 2):
            count = random.randint(0, int(left / SERVER_KW[kind]))
            left -= count * SERVER_KW[kind]
            servers[site, kind] = count
        for shape in random.sample(sorted(GPUS), 3):
            for _ in range(random.choice((0, 1, 1, 2))):
                more = replicas | {(site, shape): replicas.get((site, shape), 0) + 1}
                if not list(World(limits, servers, more, {}).broken()):
                    replicas = more
    room = {way: float(count) for way, count in replicas.items()}
    routes: dict[tuple[str, str, str], dict[tuple[str, str], int]] = {}
    for cls in random.sample(sorted(DEMAND), len(DEMAND)):
        left_ppb = SHARES
        for site, shape in random.sample(sorted(replicas), len(replicas)):
            if MODEL[shape] == cls[1] and admissible(cls[0], site) and left_ppb:
                wire = limits[1] - float(sent(routes).get(site, 0))
                parts = room[site, shape] / float(DEMAND[cls] / CAPACITY[shape]), wire / float(DEMAND[cls] * MBIT)
                share = min(left_ppb, int(min(parts) * SHARES * (1 - 1e-6)))
                if share > 0:
                    routes.setdefault(cls, {})[site, shape] = share
                    room[site, shape] -= share / SHARES * float(DEMAND[cls] / CAPACITY[shape])
                    left_ppb -= share
    return servers, replicas, routes


def states(old: Side, new: Side) -> int:
    """How many states of single steps lie between two plans."""
    count = 1
    for was, will in ((old[0], new[0]), (old[1], new[1])):
        for name in {*was, *will}:
            count *= abs(was.get(name, 0) - will.get(name, 0)) + 1
    return count


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**9), limits=st.sampled_from((TIGHT, TIGHT, ROOMY, THIN)))
def test_every_step_keeps_every_rule_where_sites_are_taken_one_by_one(
    cases: dict[Limits, Case], seed: int, limits: Limits
) -> None:
    # as at sites too many for one program, and without the search
    random = Random(seed)
    old, new = random_side(limits, random), random_side(limits, random)
    with patch.object(waves, "JOINT_COUNTS", -1), patch.object(search, "MOST_STATES", 0):
        said = steps(cases[limits], old, new)
    note(f"{old}\n{new}\n{said['method']}")
    walk(said, limits, old, new)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 10**9), limits=st.sampled_from((TIGHT, TIGHT, ROOMY, THIN)))
def test_every_step_keeps_every_rule_and_a_safe_order_is_found_where_there_is_one(
    cases: dict[Limits, Case], seed: int, limits: Limits
) -> None:
    random = Random(seed)
    old, new = random_side(limits, random), random_side(limits, random)
    assume(states(old, new) <= 400)
    said = steps(cases[limits], old, new)
    note(f"{old}\n{new}\n{said['method']}")
    walk(said, limits, old, new)
    if not said["safe"]:
        assert not safe_order_exists(limits, old, new)


def test_the_walk_itself_sees_what_is_wrong(cases: dict[Limits, Case]) -> None:
    old = (
        TWO,
        {("alpha", "small-1"): 4, ("beta", "large-2"): 2},
        everything(("alpha", "small-1"), ("beta", "large-2")),
    )
    new = (
        TWO,
        {("beta", "small-1"): 4, ("alpha", "large-2"): 2},
        everything(("beta", "small-1"), ("alpha", "large-2")),
    )
    for spoilt in _spoilt(steps(cases[ROOMY], old, new)):
        with pytest.raises(AssertionError):
            walk(spoilt, ROOMY, old, new)


def _spoilt(said: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Orders that are wrong: a wave too few, the drain too large, the waves the other way round."""
    yield said | {"waves": said["waves"][1:]}
    first = said["waves"][0]
    more = [row | {"count": row["count"] + 1} for row in first["drain"]]
    yield said | {"waves": [first | {"drain": more}, *said["waves"][1:]]}
    yield said | {"waves": said["waves"][::-1]}
