"""(13) What survivors take when a domain fails: whole parts that sum exactly, under each failover policy."""

from pathlib import Path

import numpy as np
import pytest
import sketch
from hypothesis import given
from hypothesis import strategies as st

from placement.plan.build import build_plan
from placement.plan.folder import PlanFiles
from placement.plan.shares import BILLION, WEIGHT, apportion, whole_weights
from placement.problem.names import Offer
from solvers.rules import Policy

BETA, ALPHA = ("beta", "m8-one", "", ""), ("alpha", "m8-one", "", "")
SERVERS = {Offer("alpha", "s2", "buy"): 1, Offer("beta", "s2", "buy"): 1}
METROS = {"fra": ["beta"], "par": ["alpha"]}

Row = tuple[str, str | None, str, int]


def rows(files: PlanFiles) -> list[Row]:
    columns = (files.routes[name].to_pylist() for name in ("region", "failure", "site", "share_ppb"))
    return list(zip(*columns, strict=True))


def drawn(folder: Path, policy: Policy, backup: dict[tuple[str, str, str, sketch.Block], float]) -> PlanFiles:
    """Paris a third at beta and the rest at alpha, berlin at beta."""
    third = 1 / 3
    routes = {("paris", "", BETA): third, ("paris", "", ALPHA): 1 - third, ("berlin", "", BETA): 1.0}
    one = sketch.Sketch(SERVERS, {BETA: 1, ALPHA: 2}, routes, domains=METROS, backup=backup, policy=policy)
    return build_plan(sketch.solved(folder, [one]), {})


def test_what_a_domain_carried_is_what_its_backups_take_and_the_rest_is_lost(tmp_path: Path) -> None:
    backup = {("fra", "paris", "", ALPHA): 1 / 3, ("par", "paris", "", BETA): 2 / 3}
    files = drawn(tmp_path, "planned", backup)
    assert rows(files) == [
        ("berlin", None, "beta", BILLION),
        ("paris", None, "alpha", 666_666_667),
        ("paris", None, "beta", 333_333_333),
        ("paris", "fra", "alpha", 333_333_333),
        ("paris", "par", "beta", 666_666_667),
    ]
    told = files.document.reliability
    assert told is not None
    # of 10 mean requests/s fra carries berlin's 6, which nobody else may serve, and a third of paris' 4
    assert [(d.domain, d.lost_share) for d in told.domains] == [("fra", 0.6), ("par", 0.0)]
    assert told.domains[0].rerouted_share == pytest.approx(0.4 / 3, rel=1e-8)
    assert told.domains[1].rerouted_share == pytest.approx(0.8 / 3, rel=1e-8)
    assert (told.failover, told.price_usd_month) == ("planned", None)


def test_survivors_take_in_proportion_to_their_own_shares(tmp_path: Path) -> None:
    files = drawn(tmp_path, "proportional", {("fra", "paris", "", ALPHA): 1 / 3})
    assert [row for row in rows(files) if row[1]] == [
        ("paris", "fra", "alpha", 333_333_333),
        ("paris", "par", "beta", 666_666_667),
    ]


def test_with_an_order_of_preference_all_goes_to_one(tmp_path: Path) -> None:
    gone = {"all": ["gamma"], "fra": ["beta"]}
    split = {("fra", "paris", "", ALPHA): 0.2, ("fra", "paris", "", BETA): 0.1}
    routes = {("paris", "", BETA): 1.0, ("berlin", "", BETA): 1.0}
    one = sketch.Sketch(SERVERS, {BETA: 2, ALPHA: 1}, routes, domains=gone, backup=split, policy="priority")
    files = build_plan(sketch.solved(tmp_path, [one]), {})
    assert [row for row in rows(files) if row[1]] == [("paris", "fra", "alpha", BILLION)]


groups = st.lists(
    st.tuples(st.integers(0, BILLION), st.lists(st.floats(0, 1), min_size=1, max_size=6)), min_size=1, max_size=5
)


@given(groups, st.randoms())
def test_parts_sum_exactly_and_are_within_one_of_their_quota(
    asked: list[tuple[int, list[float]]], shuffle: "np.random.Generator"
) -> None:
    totals = np.array([total for total, _ in asked], np.int64)
    group = np.array([g for g, (_, shares) in enumerate(asked) for _ in shares], np.int64)
    share = np.array([value for _, shares in asked for value in shares])
    order = np.array(shuffle.sample(range(len(group)), len(group)), np.int64)  # type: ignore[attr-defined]
    group, share = group[order], share[order]
    weight = whole_weights(group, share, len(totals))
    part = apportion(totals, group, weight, np.arange(len(group)))
    for g, total in enumerate(totals.tolist()):
        mine = group == g
        if not share[mine].sum():
            assert not part[mine].any()
            continue
        assert part[mine].sum() == total
        quota = total * weight[mine].astype(object) / int(weight[mine].sum())
        assert all(abs(got - want) < 1 + 1e-6 for got, want in zip(part[mine].tolist(), quota, strict=True))
        # weights are rounded to 2^-32 of the group's sum
        exact = total * share[mine] / share[mine].sum()
        assert np.abs(part[mine] - exact).max() <= 1 + total * len(share) / WEIGHT + 1e-6


def test_of_equal_remainders_the_first_by_name_takes_the_part() -> None:
    totals, group, weight = np.array([10]), np.zeros(3, np.int64), np.ones(3, np.int64)
    assert apportion(totals, group, weight, np.array([2, 0, 1])).tolist() == [3, 4, 3]
