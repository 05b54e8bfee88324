"""Files that say something else than the plan are found out, whatever feed wrote them."""

from collections.abc import Mapping
from dataclasses import replace
from fractions import Fraction

import pytest

from placement.feeds.compare import Difference, DifferentError, compared, differences, planned
from placement.feeds.envoy import DROPPED, SHARES, Envoy, EnvoyOptions
from placement.feeds.feed import Fact
from placement.feeds.tables import Csv
from placement.feeds.view import View
from tests.feeds.feed_world import failed, view

REPLICAS = Fact("replicas", ("site", "model"))
PPB = Fraction(1, 10**9)


def test_the_plans_side_is_what_one_adds_up_by_hand() -> None:
    """70 % of chat are on two shapes at fra; of batch 99.5 % are served, all of it at ams."""
    of = view()
    assert planned(of, REPLICAS) == {
        ("ams", "m70"): 2,
        ("ams", "m8"): 5,
        ("fra", "m8"): 8,
        ("los", "m8"): 1,
    }
    assert planned(of, Fact("servers", ("site",))) == {("ams",): 1, ("fra",): 3, ("los",): 1}
    assert planned(of, Fact("gpus", ("site", "tenant"))) == {
        ("ams", ""): 8,
        ("fra", ""): 8,
        ("fra", "bank"): 4,
        ("los", ""): 4,
    }
    assert planned(of, Fact("quarter_gpus", ("site",))) == {("ams",): 2 * 8 + 5 * 2, ("fra",): 7 * 2 + 4, ("los",): 2}
    assert planned(of, Fact("stands", ("site", "tenant"))) == {
        ("ams", ""): 1,
        ("fra", ""): 1,
        ("fra", "bank"): 1,
        ("los", ""): 1,
    }
    assert planned(of, SHARES) == {
        ("berlin", "m70", "batch", "ams"): 1,
        ("berlin", "m8", "chat", "ams"): Fraction(3, 10),
        ("berlin", "m8", "chat", "fra"): Fraction(7, 10),
        ("lagos", "m8", "chat", "los"): 1,
    }
    turned = Fact("shares", ("service", "site", "region", "model", "shape"))
    assert planned(of, turned)["chat", "fra", "berlin", "m8", "m8-whole"] == Fraction(1, 10)
    assert planned(of, DROPPED) == {("berlin", "m70", "batch"): Fraction(5, 1000)}
    assert planned(failed("metro-fra"), SHARES)["berlin", "m8", "chat", "ams"] == 1


def test_shares_of_what_is_served_sum_to_one_where_some_is_unserved() -> None:
    routes = [route._replace(share_ppb=route.share_ppb // 2) for route in view().routes]
    told = planned(view(routes=tuple(routes)), SHARES)
    assert told["berlin", "m8", "chat", "fra"] == Fraction(7, 10)


@pytest.mark.parametrize(
    ("fact", "said", "wrong"),
    [
        (REPLICAS, {("fra", "m8"): 7}, [("fra", "m8")]),
        (REPLICAS, {("los", "m8"): 0}, [("los", "m8")]),
        (REPLICAS, {("nowhere", "m8"): 1}, [("nowhere", "m8")]),
        (REPLICAS, {("nowhere", "m8"): 0}, []),
        (SHARES, {("berlin", "m8", "chat", "fra"): Fraction(7, 10) + PPB}, [("berlin", "m8", "chat", "fra")]),
        (replace(SHARES, within=PPB), {("berlin", "m8", "chat", "fra"): Fraction(7, 10) + PPB}, []),
        (replace(SHARES, within=PPB), {("berlin", "m8", "chat", "fra"): Fraction(7, 10) + PPB * 2}, [SHARES.by]),
        (DROPPED, {("berlin", "m70", "batch"): Fraction(5, 1000) + PPB * 500}, []),
        (DROPPED, {("berlin", "m70", "batch"): Fraction(5, 1000) + PPB * 501}, [DROPPED.by]),
        (DROPPED, {("lagos", "m8", "chat"): PPB}, []),
        (DROPPED, {("lagos", "m8", "chat"): PPB * 501}, [DROPPED.by]),
    ],
)
def test_whole_numbers_hold_exactly_and_shares_within_what_the_fact_says(
    fact: Fact, said: Mapping[tuple[str, ...], Fraction | int], wrong: list[tuple[str, ...]]
) -> None:
    read = {fact: {**planned(view(), fact), **said}}
    found = differences(view(), read, (fact,))
    assert len(found) == len(wrong)
    assert [difference.key for difference in found] == (list(said) if wrong else [])


def test_what_the_files_leave_out_is_told() -> None:
    read = {REPLICAS: {key: count for key, count in planned(view(), REPLICAS).items() if key != ("ams", "m70")}}
    assert differences(view(), read, (REPLICAS,)) == (Difference(REPLICAS, ("ams", "m70"), None, 2),)
    with pytest.raises(DifferentError, match="replicas of ams, m70: the files say nothing, the plan 2"):
        compared(view(), read, (REPLICAS,))
    with pytest.raises(DifferentError):
        compared(view(), {}, (REPLICAS,))


def test_shares_without_their_class_are_a_fault_of_the_feed() -> None:
    with pytest.raises(ValueError, match="belong to its columns"):
        planned(view(), Fact("shares", ("site",)))
    with pytest.raises(ValueError, match="which it does not say that it says"):
        differences(view(), {REPLICAS: {}}, ())


@pytest.mark.parametrize("of", [view(), failed("metro-fra"), failed("metro-los")], ids=["normal", "fra", "los"])
@pytest.mark.parametrize("feed", [Envoy(EnvoyOptions()), Csv(Csv.Options())], ids=["envoy", "csv"])
def test_what_a_feed_writes_it_reads_back_as_the_plan_says(feed: Envoy | Csv, of: View) -> None:
    assert compared(of, feed.read(feed.render(of)), feed.says) > 0


def test_one_byte_of_a_weight_changed_is_found(tmp_path: object) -> None:
    feed = Envoy(EnvoyOptions())
    files = dict(feed.render(view()))
    path = "eds/berlin/chat@m8.json"
    files[path] = files[path].replace(b'"load_balancing_weight": 300000000', b'"load_balancing_weight": 300000001')
    found = differences(view(), feed.read(files), feed.says)
    assert {difference.key[-1] for difference in found} == {"ams", "fra"}
