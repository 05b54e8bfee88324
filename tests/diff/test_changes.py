"""What changes between two plans of the small world, counted by hand."""

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from placement.diff.changes import Changes, changes
from placement.diff.document import json_schema
from placement.diff.pairing import Moved, paired
from placement.diff.plans import UnreadablePlanError
from placement.diff.steps import with_steps
from placement.plan.reading import StalePlanError
from placement.planning import plan_scenario
from placement.scenario import Scenario, load
from placement.solving import Request
from tests import tiny
from tests.diff.diff_world import SHARES, scenario, write_plan

EAST, WEST, FAR = (("east", "small", "chat"), ("west", "small", "chat"), ("far", "small", "chat"))
CODE = ("west", "large", "code")


@pytest.fixture(scope="module")
def three(tmp_path_factory: pytest.TempPathFactory) -> Scenario:
    return scenario(tmp_path_factory.mktemp("three"))


@pytest.fixture(scope="module")
def found(three: Scenario, tmp_path_factory: pytest.TempPathFactory) -> Changes:
    """alpha reshapes a pair into two singles and loses its large one, which moves to gamma; beta closes."""
    folder = tmp_path_factory.mktemp("plans")
    old = write_plan(
        folder / "old",
        three,
        {("alpha", "s2"): 2, ("beta", "s2"): 1},
        {("alpha", "small-2"): 1, ("alpha", "large-2"): 1, ("beta", "small-1"): 1},
        {
            EAST: {("alpha", "small-2"): SHARES},
            WEST: {("alpha", "small-2"): SHARES // 2, ("beta", "small-1"): SHARES // 2},
            CODE: {("alpha", "large-2"): SHARES},
        },
        cost={"total": 100.0, "servers": 80.0, "egress": 20.0},
        served_share=0.8,
    )
    new = write_plan(
        folder / "new",
        three,
        {("alpha", "s2"): 1, ("gamma", "s2"): 1, ("gamma", "s1"): 1},
        {("alpha", "small-1"): 2, ("gamma", "large-2"): 1, ("gamma", "small-1"): 1},
        {
            EAST: {("alpha", "small-1"): SHARES},
            WEST: {("alpha", "small-1"): 3 * SHARES // 4},
            FAR: {("alpha", "small-1"): SHARES // 2},
            CODE: {("gamma", "large-2"): SHARES},
        },
        cost={"total": 90.0, "servers": 85.0, "egress": 5.0},
        served_share=0.9,
    )
    return changes(old, new, three)


def test_replicas_are_counted_as_added_removed_moved_and_reshaped(found: Changes) -> None:
    # come: 2 + 1 + 1; go: 1 + 1 + 1; alpha's pair becomes one of its singles, the large one goes to gamma,
    # and beta's single went to the nearer of alpha and gamma: further north a degree of longitude is shorter
    counts = found.counts
    assert (counts.added_replicas, counts.removed, counts.unchanged) == (4, 3, 0)
    assert (counts.moved, counts.reshaped) == (2, 1)
    assert {(m.source, m.source_shape, m.target, m.target_shape, m.count) for m in found.said.moves} == {
        ("alpha", "small-2", "alpha", "small-1", 1),
        ("alpha", "large-2", "gamma", "large-2", 1),
        ("beta", "small-1", "gamma", "small-1", 1),
    }


def test_servers_are_bought_and_retired_site_by_site(found: Changes) -> None:
    counts, said = found.counts, found.said
    assert (counts.servers_bought, counts.servers_rented, counts.servers_kept, counts.servers_retired) == (2, 0, 0, 2)
    assert (said.opened, said.closed) == (("gamma",), ("beta",))
    assert said.capex_usd == 4800 + 2600  # an s2 and an s1 at gamma
    assert (found.before.gpus, found.after.gpus) == (6, 5)
    assert (found.before.kw, found.after.kw) == (3.0, 2.5)


def test_traffic_is_weighed_by_requests(found: Changes) -> None:
    # of 24 requests/s: code 4 all changes site; west 9: half at alpha stays, a quarter of it moves there from beta,
    # a quarter is no longer served; half of far's 3 is newly served; east 6 stays, though on another shape
    traffic = found.said.traffic
    assert traffic.changes_site == pytest.approx((4 + 9 / 4) / 24)
    assert traffic.newly_served == pytest.approx(1.5 / 24)
    assert traffic.no_longer_served == pytest.approx(9 / 4 / 24)
    assert [(row.name, row.requests_per_s) for row in traffic.regions] == [("west", 13.0), ("far", 3.0)]
    assert traffic.regions[0].changes_site == pytest.approx((4 + 9 / 4) / 13)


def test_money_and_served_share_are_what_each_plan_says(found: Changes) -> None:
    assert found.before.cost == {"total": 100.0, "servers": 80.0, "egress": 20.0}
    assert (found.before.served_share, found.after.served_share) == (0.8, 0.9)


def test_the_document_keeps_its_schema(found: Changes) -> None:
    committed = json.loads((Path(__file__).parents[2] / "docs" / "diff.schema.json").read_text("utf-8"))
    assert committed == json_schema(), "derive it again: see docs/diff.md"
    value = with_steps(found).model_dump(mode="json", by_alias=True)
    Draft202012Validator(committed).validate(value)
    assert value["steps"]["safe"]


def test_from_nothing_everything_is_added(three: Scenario, tmp_path: Path) -> None:
    new = write_plan(
        tmp_path / "new", three, {("alpha", "s2"): 1}, {("alpha", "small-1"): 2}, {EAST: {("alpha", "small-1"): SHARES}}
    )
    found = changes(None, new, three)
    assert (found.counts.added_replicas, found.counts.servers_bought, found.counts.sites_opened) == (2, 1, 1)
    assert found.document()["old"] is None
    assert found.said.traffic.newly_served == pytest.approx(6 / 24)


def test_a_new_plan_of_other_inputs_is_stale_and_they_are_named(three: Scenario, tmp_path: Path) -> None:
    other = {"inputs_sha256": dict(three.sha256) | {"demand": "0" * 64}}
    new = write_plan(tmp_path / "new", three, {}, {}, {}, provenance=other)
    with pytest.raises(StalePlanError, match="demand"):
        changes(None, new, three)


def test_an_old_plan_of_other_inputs_and_names_is_compared_all_the_same(three: Scenario, tmp_path: Path) -> None:
    stale = {"inputs_sha256": {"demand": "0" * 64}}
    gone = {("gone", "small-1"): 1, ("alpha", "forgotten"): 2}
    old = write_plan(
        tmp_path / "old", three, {("gone", "x9"): 1}, gone, {EAST: {("gone", "small-1"): SHARES}}, provenance=stale
    )
    new = write_plan(
        tmp_path / "new", three, {("beta", "s2"): 1}, {("beta", "small-1"): 1}, {EAST: {("beta", "small-1"): SHARES}}
    )
    found = changes(old, new, three)
    assert (found.counts.added_replicas, found.counts.removed, found.counts.moved) == (1, 3, 1)
    assert found.before.gpus is None  # nobody knows any more what an x9 holds
    assert found.before.inadmissible_share == pytest.approx(6 / 24)


def test_a_folder_without_a_plan_is_named(three: Scenario, tmp_path: Path) -> None:
    with pytest.raises(UnreadablePlanError, match=r"no plan\.json"):
        changes(tmp_path, tmp_path, three)


def test_the_nearest_pair_up_first_each_slice_by_itself() -> None:
    points = {"a": (0.0, 0.0), "b": (0.0, 1.0), "c": (0.0, 9.0), "d": (0.0, 2.0)}
    old = {("a", "s", "", "day"): 2, ("c", "s", "", "day"): 1, ("c", "s", "", "night"): 1}
    new = {("b", "s", "", "day"): 1, ("d", "s", "", "day"): 3, ("a", "s", "bank", "night"): 1}
    assert paired(old, new, {"s": "m"}, points) == [
        Moved("m", "", "day", "a", "s", "b", "s", 1),
        Moved("m", "", "day", "a", "s", "d", "s", 1),
        Moved("m", "", "day", "c", "s", "d", "s", 1),
    ]


def test_figures_are_those_of_a_plan_that_the_product_made(tmp_path: Path) -> None:
    # one plan of tiny: its own latency, and all of its worked-out cost
    read = load(tiny.write(tmp_path / "tiny"))
    document = plan_scenario(read, tmp_path / "plan", Request(work=3)).document
    found = changes(None, tmp_path / "plan", read)
    assert found.after.latency.p50_ms == pytest.approx(document.latency.p50_ms)
    assert found.after.latency.p99_ms == pytest.approx(document.latency.p99_ms)
    assert found.after.cost == tiny.COST | {"total": tiny.TOTAL, "jobs": 0, "moves": 0, "carbon": 0}
    assert found.after.served_share == 1.0
