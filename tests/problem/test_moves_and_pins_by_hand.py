"""(14) What stood before, what moving costs, and models held by decree: the tiny scenario, on paper."""

from pathlib import Path

import numpy as np
import pytest
import tiny
from scenes import SLICED, SLICES, Changes, blocks, built, in_periods, old_plan, only, with_keys

from placement.problem import Previous, read_previous
from placement.problem.moves import PreviousPlanError
from placement.problem.pins import NO_LIMIT
from solvers.problem import Problem

PRICED = with_keys("[stability]", 'previous_plan = "old"', "usd_per_move = 12", "max_moves = 3")
OLD = Previous({("beta", "m8-one", "", ""): 2})
DAY = {"slices.csv": SLICES, "demand.csv": SLICED}
FOLLOWING = with_keys(
    "[limits]", "replicas_follow_slices = true", "[stability]", 'previous_plan = "old"', "max_moves = 3"
)


@pytest.fixture(autouse=True)
def _old_plan(tmp_path: Path) -> None:
    old_plan(tmp_path / "old")


def test_moves_count_from_what_stood(tmp_path: Path) -> None:
    found = built(tmp_path, PRICED, previous=OLD)
    rule = only(found).rules.moves
    assert rule is not None
    assert blocks(found) == [("alpha", "m8-one", ""), ("beta", "m8-one", "")]
    assert rule.before.tolist() == [0, 2]
    assert rule.usd.tolist() == [12, 12]
    assert rule.most == 3


def test_only_the_first_period_moves_and_its_months_share_the_price(tmp_path: Path) -> None:
    periods = {"periods.csv": "period,start_date,months\np1,2026-01-01,6\np2,2026-07-01,12\n"}
    found = built(tmp_path, in_periods("p1", "p2"), periods, PRICED, previous=OLD)
    first, second = (problem.rules.moves for problem in found.rollout.periods)
    assert first is not None and first.usd.tolist() == [2, 2]
    assert second is None


def test_a_plan_that_nothing_is_counted_from_is_no_rule(tmp_path: Path) -> None:
    assert only(built(tmp_path, previous=OLD)).rules.moves is None


def test_a_limit_without_a_plan_to_count_from_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(PreviousPlanError, match="previous_plan"):
        built(tmp_path, PRICED, previous=None)


def test_replicas_that_follow_the_slices_are_counted_in_each(tmp_path: Path) -> None:
    before = {("beta", "m8-one", "", "day"): 2, ("beta", "m8-one", "", "night"): 1, ("alpha", "m8-one", "", ""): 1}
    found = built(tmp_path, DAY, FOLLOWING, previous=Previous(before))
    rule = only(found).rules.moves
    assert rule is not None
    standing = dict(zip(blocks(found), rule.before.tolist(), strict=True))
    assert standing == {
        ("alpha", "m8-one", "day"): 1,
        ("alpha", "m8-one", "night"): 1,
        ("beta", "m8-one", "day"): 2,
        ("beta", "m8-one", "night"): 1,
    }


def test_where_slices_are_one_what_stood_in_any_of_them_is_there(tmp_path: Path) -> None:
    before = {("beta", "m8-one", "", "day"): 2, ("beta", "m8-one", "", "night"): 1}
    rule = only(built(tmp_path, DAY, PRICED, previous=Previous(before))).rules.moves
    assert rule is not None and rule.before.tolist() == [0, 2]


def test_a_shape_that_stood_is_kept_though_another_beats_it(tmp_path: Path) -> None:
    worse = {"shapes.csv": tiny.FILES["shapes.csv"] + "m8-worse,m8,g96,1,bf16,chat,balanced,9,60,40,16,by hand\n"}
    stood = Previous({("beta", "m8-worse", "", ""): 1})
    old_plan(tmp_path / "kept" / "old")
    kept = built(tmp_path / "kept", worse, PRICED, previous=stood)
    assert [shape.shape for shape in kept.names[0].shapes] == ["m8-one", "m8-worse"]
    rule = only(kept).rules.moves
    assert rule is not None
    assert dict(zip(blocks(kept), rule.before.tolist(), strict=True))[("beta", "m8-worse", "")] == 1
    gone = built(tmp_path / "gone", worse, previous=stood)
    assert [shape.shape for shape in gone.names[0].shapes] == ["m8-one"]


def test_a_previous_plan_is_read_from_its_first_period(tmp_path: Path) -> None:
    folder = old_plan(
        tmp_path / "before",
        {"site": "beta", "shape": "m8-one", "count": 2, "period": "p1"},
        {"site": "beta", "shape": "m8-one", "count": 5, "period": "p2"},
        {"site": "alpha", "shape": "m8-one", "count": 1, "period": "p1", "tenant": "bank", "slice": "day"},
        periods=("p1", "p2"),
    )
    expected = {("beta", "m8-one", "", ""): 2, ("alpha", "m8-one", "bank", "day"): 1}
    assert read_previous(folder).replicas == read_previous(folder / "plan.json").replicas == expected


@pytest.mark.parametrize("text", ["", "[]", '{"schema": "nearserve-plan-1"}'])
def test_a_file_that_is_no_plan_is_an_error(tmp_path: Path, text: str) -> None:
    (tmp_path / "plan.json").write_text(text, "utf-8")
    with pytest.raises(PreviousPlanError):
        read_previous(tmp_path)
    with pytest.raises(PreviousPlanError):
        read_previous(tmp_path / "nowhere")


def pins(*rows: str) -> Changes:
    return {"pins.csv": "model,site,min_replicas,max_replicas,reason\n" + "".join(f"{row},law\n" for row in rows)}


def pin_entries(problem: Problem) -> list[tuple[int, int]]:
    rule = problem.rules.pins
    assert rule is not None
    return list(zip(rule.entry_pin.tolist(), rule.entry_block.tolist(), strict=True))


def test_a_pin_bounds_all_shapes_of_its_model_at_its_site(tmp_path: Path) -> None:
    two = {"shapes.csv": tiny.FILES["shapes.csv"] + "m8-two,m8,g96,2,bf16,chat,balanced,9,60,40,16,by hand\n"}
    found = built(tmp_path, two, pins("m8,alpha,3,", "m8,beta,,0"))
    problem, rule = only(found), only(found).rules.pins
    assert rule is not None
    assert found.names[0].pins == (("m8", "alpha"), ("m8", "beta"))
    assert rule.least.tolist() == [3, 0]
    assert rule.most.tolist() == [NO_LIMIT, 0]
    assert blocks(found) == [(s, d, "") for s in ("alpha", "beta") for d in ("m8-one", "m8-two")]
    assert pin_entries(problem) == [(0, 0), (0, 1), (1, 2), (1, 3)]
    assert problem.block_max[:2].tolist() == [3, 3]  # demand alone would fill 1
    assert problem.offer_max[0] == 5  # 3 x 1 + 3 x 2 GPUs on servers of 2


def test_a_pin_holds_a_model_that_nobody_asks_for(tmp_path: Path) -> None:
    models = {"models.csv": "model,kind\nm8,chat\nm9,chat\n"}
    shapes = "m9-a,m9,g96,1,fp8,chat,balanced,5,50,40,16,by hand\nm9-b,m9,g96,1,fp8,chat,other,6,50,40,16,by hand\n"
    found = built(tmp_path, models, {"shapes.csv": tiny.FILES["shapes.csv"] + shapes}, pins("m9,alpha,2,"))
    problem = only(found)
    assert [shape.shape for shape in found.names[0].shapes] == ["m8-one", "m9-a"]  # one shape for every size
    assert ("alpha", "m9-a", "") in blocks(found) and ("beta", "m9-a", "") not in blocks(found)
    assert problem.block_max[blocks(found).index(("alpha", "m9-a", ""))] == 2


def test_a_pin_that_no_server_could_carry_has_no_entry_and_cannot_be_met(tmp_path: Path) -> None:
    sites = {"sites.csv": tiny.FILES["sites.csv"].replace("48.86,2.35,10,42", "48.86,2.35,0.5,42")}
    problem = only(built(tmp_path, sites, pins("m8,alpha,1,")))
    assert pin_entries(problem) == []
    assert problem.rules.pins is not None and problem.rules.pins.least.tolist() == [1]


def test_a_pin_holds_in_every_slice_and_period(tmp_path: Path) -> None:
    sliced = in_periods("p1", "p2", text=SLICED)
    found = built(
        tmp_path,
        sliced,
        {"slices.csv": SLICES},
        with_keys("[limits]", "replicas_follow_slices = true"),
        pins("m8,alpha,2,"),
    )
    for h, problem in enumerate(found.rollout.periods):
        assert [(site, t) for site, _, t in blocks(found, h)][:2] == [("alpha", "day"), ("alpha", "night")]
        assert pin_entries(problem) == [(0, 0), (0, 1)]
        assert np.array_equal(problem.block_max[:2], [2, 2])
