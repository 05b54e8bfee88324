"""Steps from one plan to the next, on servers small enough to count GPUs by hand."""

from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.plan.steps import SIZES, Machines, Place, Size, Step, safe_steps

SHAPES = {
    "quarter": Size("g", 1, "small"),
    "one": Size("g", 4, "small"),
    "two": Size("g", 8, "large"),
    "eight": Size("g", 32, "large"),
    "other": Size("h", 4, "small"),
}
SITES = frozenset({"lis", "ber"})


def at(shape: str, site: str = "lis", tenant: str = "", name: str = "") -> Place:
    return site, shape, tenant, name


def steps(
    old: Mapping[Place, int],
    new: Mapping[Place, int],
    servers: Mapping[tuple[str, str, str], list[tuple[int, int]]],
    slices: tuple[str, ...] = ("",),
) -> list[tuple[str, Place, int]]:
    found = safe_steps(old, new, SHAPES, SITES, Machines(servers, slices))
    return [(step.action, step.place, step.count) for step in found]


def test_where_there_is_room_everything_is_added_before_anything_is_drained() -> None:
    servers = {("lis", "g", ""): [(2, 2)], ("ber", "g", ""): [(2, 1)]}
    old, new = {at("one"): 2}, {at("two"): 1, at("one", "ber"): 1}
    assert steps(old, new, servers) == [
        ("add", at("one", "ber"), 1),
        ("add", at("two"), 1),
        ("drain", at("one"), 2),
    ]


def test_where_there_is_none_as_few_as_needed_are_drained_first() -> None:
    # 4 GPUs, all taken by single ones; 2 of a pair shape come: two singles go, a pair comes, and again
    servers = {("lis", "g", ""): [(4, 1)]}
    assert steps({at("one"): 4}, {at("two"): 2}, servers) == [
        ("drain", at("one"), 2),
        ("add", at("two"), 1),
        ("drain", at("one"), 2),
        ("add", at("two"), 1),
    ]


def test_a_model_that_keeps_a_replica_is_drained_before_one_that_would_lose_its_last() -> None:
    # "large" would be gone from the site with the pair; "small" keeps a quarter
    servers = {("lis", "g", ""): [(4, 1)]}
    old = {at("eight"): 0, at("one"): 1, at("two"): 1, at("quarter"): 4}
    new = {at("quarter"): 12}
    found = steps(old, new, servers)
    assert found[0] == ("drain", at("one"), 1)
    assert found[1] == ("add", at("quarter"), 4)


def test_a_pair_needs_a_server_of_two_though_single_gpus_are_free() -> None:
    # two servers of one GPU are free, but pairs fit the server of two alone
    servers = {("lis", "g", ""): [(1, 2), (2, 1)]}
    old = {at("two"): 1}
    new = {at("two"): 1, at("one"): 2}
    assert steps(old, new, servers) == [("add", at("one"), 2)]
    with pytest.raises(ValueError, match="need more GPUs"):
        steps(old, {at("two"): 2}, servers)


def test_dedicated_servers_are_no_room_for_others() -> None:
    servers = {("lis", "g", "bank"): [(4, 1)], ("lis", "g", ""): [(1, 1)]}
    old = {at("one"): 1}
    new = {at("quarter"): 4, at("one", tenant="bank"): 2}
    assert steps(old, new, servers) == [
        ("add", at("one", tenant="bank"), 2),
        ("drain", at("one"), 1),
        ("add", at("quarter"), 4),
    ]


def test_nothing_is_added_while_old_replicas_exceed_what_stands_now() -> None:
    # 4 GPUs are left of 8: the old eight goes first, though a pair would fit by itself
    servers = {("lis", "g", ""): [(4, 1)]}
    assert steps({at("eight"): 1}, {at("two"): 1}, servers) == [("drain", at("eight"), 1), ("add", at("two"), 1)]


def test_each_slice_is_moved_by_itself_and_old_ones_of_all_day_stand_in_each() -> None:
    servers = {("lis", "g", ""): [(2, 1)]}
    new = {at("one", name="day"): 2, at("quarter", name="night"): 2}
    assert steps({at("one"): 1}, new, servers, ("day", "night")) == [
        ("add", at("one", name="day"), 1),
        ("add", at("quarter", name="night"), 2),
        ("drain", at("one", name="night"), 1),
    ]


def test_what_stood_in_any_slice_stands_all_day_where_replicas_follow_none() -> None:
    servers = {("lis", "g", ""): [(4, 1)]}
    old = {at("one", name="day"): 3, at("one", name="night"): 1}
    assert steps(old, {at("one"): 2}, servers) == [("drain", at("one"), 1)]


def test_replicas_of_shapes_and_sites_that_are_gone_are_drained_last() -> None:
    old = {at("old-shape"): 2, at("one", "closed"): 1, at("one"): 1}
    assert steps(old, {at("quarter"): 1}, {("lis", "g", ""): [(2, 1)]}) == [
        ("add", at("quarter"), 1),
        ("drain", at("one"), 1),
        ("drain", at("one", "closed"), 1),
        ("drain", at("old-shape"), 2),
    ]


def test_the_same_replicas_need_no_step() -> None:
    assert steps({at("one"): 3}, {at("one"): 3}, {("lis", "g", ""): [(4, 1)]}) == []


counts = st.dictionaries(
    st.tuples(st.sampled_from(["lis", "ber"]), st.sampled_from(list(SHAPES)), st.just(""), st.just("")),
    st.integers(1, 5),
    max_size=5,
)


@given(counts, counts, st.integers(0, 2))
def test_every_step_keeps_every_row_of_gpus_and_the_list_ends_at_the_plan(
    old: dict[Place, int], new: dict[Place, int], spare: int
) -> None:
    servers = {(site, gpu, ""): [(8, _eights(new, site, gpu) + spare)] for site in ("lis", "ber") for gpu in ("g", "h")}
    standing = dict(old)
    exceeded = {row for row, left in _left(standing, servers).items() if left < 0}
    touched: dict[Place, str] = {}
    for step in safe_steps(old, new, SHAPES, SITES, Machines(servers)):
        if step.action == "drain":
            _nothing_more_fits(step, standing, new, servers)
        standing[step.place] = standing.get(step.place, 0) + (step.count if step.action == "add" else -step.count)
        left = _left(standing, servers)
        exceeded &= {row for row, free in left.items() if free < 0}
        assert {row for row, free in left.items() if free < 0} <= exceeded
        assert touched.setdefault(step.place, step.action) == step.action
    assert {place: count for place, count in standing.items() if count} == new


def _eights(new: dict[Place, int], site: str, gpu: str) -> int:
    """Servers of 8 that hold the plan."""
    quarters = sum(SHAPES[p[1]].quarters * n for p, n in new.items() if p[0] == site and SHAPES[p[1]].gpu == gpu)
    return -(-quarters // 32)


def _left(
    standing: dict[Place, int], servers: dict[tuple[str, str, str], list[tuple[int, int]]]
) -> dict[tuple[str, str, int], int]:
    """Quarters left by (site, GPU, size)."""
    return {
        (site, gpu, size): sum(4 * gpus * n for gpus, n in held if 4 * gpus >= size)
        - sum(
            SHAPES[p[1]].quarters * n
            for p, n in standing.items()
            if p[0] == site and SHAPES[p[1]].gpu == gpu and SHAPES[p[1]].quarters >= size
        )
        for (site, gpu, _), held in servers.items()
        for size in SIZES
    }


def _nothing_more_fits(
    step: Step,
    standing: dict[Place, int],
    new: dict[Place, int],
    servers: dict[tuple[str, str, str], list[tuple[int, int]]],
) -> None:
    """No addition of the pool fits beside all that stands before the drain."""
    gpu = SHAPES[step.place[1]].gpu
    for place, count in new.items():
        if place[0] == step.place[0] and SHAPES[place[1]].gpu == gpu and standing.get(place, 0) < count:
            more = standing | {place: standing.get(place, 0) + 1}
            assert min(left for row, left in _left(more, servers).items() if row[:2] == (place[0], gpu)) < 0
