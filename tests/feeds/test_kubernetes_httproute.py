"""HTTPRoutes: weights that sum up, by hand and at random; what the Gateway API cannot say is refused."""

import json
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from placement.feeds.compare import compared
from placement.feeds.feed import FeedError
from placement.feeds.kubernetes.httproute import SHARES, HttpRouteFeed, HttpRouteOptions
from placement.feeds.kubernetes.inferencepool import InferencePoolFeed, InferencePoolOptions
from placement.feeds.kubernetes.routing import WHOLE, GatewayRef, weights
from placement.feeds.view import Route, View
from tests.feeds.feed_world import SITES, failed, view
from tests.feeds.random_views import shuffled, views

FEED = HttpRouteFeed(HttpRouteOptions())


@pytest.mark.parametrize(
    ("shares", "whole"),
    [
        ({"a": 1}, {"a": WHOLE}),
        ({"a": 700_000_000, "b": 300_000_000}, {"a": 700_000, "b": 300_000}),
        ({"a": 1, "b": 1, "c": 1}, {"a": 333_334, "b": 333_333, "c": 333_333}),  # equal remainders: by name
        ({"a": 2, "b": 1}, {"a": 666_667, "b": 333_333}),
        ({"a": 999_999_600, "b": 400}, {"a": WHOLE}),  # 0.4 of a unit: nothing of it is left
        ({"a": 999_999_400, "b": 600}, {"a": 999_999, "b": 1}),
    ],
)
def test_weights_by_hand(shares: dict[str, int], whole: dict[str, int]) -> None:
    assert weights(shares) == whole


@given(st.dictionaries(st.text("abc", max_size=4), st.integers(1, 10**9), min_size=1, max_size=16))
def test_weights_sum_up_and_none_is_a_unit_off(shares: dict[str, int]) -> None:
    found, total = weights(shares), sum(shares.values())
    assert sum(found.values()) == WHOLE
    assert all(abs(found.get(name, 0) - Fraction(share * WHOLE, total)) < 1 for name, share in shares.items())


@given(views())
def test_what_is_written_reads_back_to_a_millionth(seen: View) -> None:
    files = FEED.render(seen)
    compared(seen, FEED.read(files), FEED.says)
    assert FEED.render(shuffled(seen)) == files


def test_the_route_of_a_region_by_hand() -> None:
    files = FEED.render(view())
    assert sorted(files) == ["berlin.json", "lagos.json"]
    chat = json.loads(files["berlin.json"])["items"][1]
    assert (chat["metadata"]["name"], chat["metadata"]["namespace"]) == ("m8--chat--berlin", "nearserve")
    (rule,) = chat["spec"]["rules"]
    assert [(ref["kind"], ref["name"], ref["weight"]) for ref in rule["backendRefs"]] == [
        ("ServiceImport", "m8--ams", 300_000),
        ("ServiceImport", "m8--fra", 700_000),
    ]
    assert {header["name"]: header["value"] for header in rule["matches"][0]["headers"]} == {
        "X-Gateway-Model-Name": "m8",
        "X-Nearserve-Service": "chat",
    }


def test_when_a_site_fails_its_backend_is_gone_and_the_weights_sum_up_again() -> None:
    read = FEED.read(FEED.render(failed("metro-fra")))
    assert read[SHARES] == {
        ("berlin", "m70", "batch", "ams"): 1,
        ("berlin", "m8", "chat", "ams"): 1,
        ("lagos", "m8", "chat", "los"): 1,
    }


def test_backends_are_named_as_options_say() -> None:
    options = HttpRouteOptions(backend="Service", names="{site}-{model}-gpu", hostnames=("llm.example",))
    route = json.loads(HttpRouteFeed(options).render(view())["lagos.json"])["items"][0]["spec"]
    assert route["hostnames"] == ["llm.example"]
    (ref,) = route["rules"][0]["backendRefs"]
    assert (ref["group"], ref["kind"], ref["name"], ref["port"]) == ("", "Service", "los-m8-gpu", 8000)


def test_sites_that_a_template_gives_one_name_are_refused() -> None:
    with pytest.raises(FeedError, match="berlin/m8/chat: names gives several sites one name"):
        HttpRouteFeed(HttpRouteOptions(names="{model}")).render(view())


def test_more_sites_than_a_rule_holds_are_refused_and_sixteen_are_not() -> None:
    many = {f"s{j:02}": replace(SITES[0], site=f"s{j:02}") for j in range(17)}
    routes = tuple(Route("berlin", "m8", "chat", site, "m8-half", 10_000_000) for site in many)
    seen = view(sites=many, routes=routes)
    with pytest.raises(FeedError, match="berlin/m8/chat: goes to 17 sites, and a rule holds 16"):
        FEED.render(seen)
    fewer = replace(seen, routes=routes[1:])
    assert compared(fewer, FEED.read(FEED.render(fewer)), FEED.says) == 16


def test_a_route_with_other_weights_is_a_difference_and_one_without_is_refused() -> None:
    files = FEED.render(view())
    moved = {path: text.replace(b'"weight": 700000', b'"weight": 700010') for path, text in files.items()}
    with pytest.raises(Exception, match="berlin"):
        compared(view(), FEED.read(moved), FEED.says)
    with pytest.raises(FeedError, match="says no shares"):
        FEED.read({path: text.replace(b"weight", b"height") for path, text in files.items()})


def test_a_pool_takes_the_pods_and_the_requests_of_its_model_and_tenant() -> None:
    options = InferencePoolOptions(gateway=GatewayRef(name="edge", section="https"), picker="{pool}-picker")
    items = json.loads(InferencePoolFeed(options).render(view())["fra.json"])["items"]
    assert [(item["kind"], item["metadata"]["name"]) for item in items] == [
        ("InferencePool", "m8"),
        ("HTTPRoute", "m8"),
        ("InferencePool", "m8--bank"),
        ("HTTPRoute", "m8--bank"),
    ]
    assert items[2]["spec"]["selector"]["matchLabels"] == {"nearserve/model": "m8", "nearserve/tenant": "bank"}
    assert items[2]["spec"]["endpointPickerRef"]["name"] == "m8--bank-picker"
    headers = items[3]["spec"]["rules"][0]["matches"][0]["headers"]
    assert [header["value"] for header in headers] == ["m8", "bank"]


def test_a_pool_of_other_pods_is_refused() -> None:
    feed = InferencePoolFeed(InferencePoolOptions())
    files = feed.render(view())
    wrong = {
        path: text.replace(b'{"nearserve/model": "m70", "nearserve/tenant": ""}}', b'{"nearserve/model": "m71"}}')
        for path, text in files.items()
    }
    with pytest.raises(FeedError, match=r"ams\.json: InferencePool m70: its pods are"):
        feed.read(wrong)
