"""The zone: by hand for a small plan, read back for random ones, and what DNS cannot say is refused by name."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.feeds.feed import FeedError
from placement.feeds.powerdns import PowerDns, PowerDnsOptions
from placement.feeds.powerdns.chances import Chance, chances, served, weights
from placement.feeds.view import Address, Addresses, Route, View
from tests.feeds.feed_world import REGIONS, ROUTES, failed, view
from tests.feeds.random_views import expected, shuffled, views

ZONE = "ai.example.net"


def feed(**options: object) -> PowerDns:
    given = {"zone": ZONE, "nameservers": ("ns1.example.org",), "elsewhere": ("127.0.9.9",), **options}
    return PowerDns(PowerDnsOptions(**given))


def table(path: Path, *lines: str) -> Path:
    path.write_text("\n".join(["client,region", *lines]) + "\n", encoding="utf-8")
    return path


def zone(seen: View, **options: object) -> dict:
    return json.loads(feed(**options).render(seen)["zone.json"])["domains"][0]


def refusals(seen: View, **options: object) -> list[str]:
    with pytest.raises(FeedError) as told:
        feed(**options).render(seen)
    return list(told.value.reasons)


def test_the_zone_of_a_small_plan_by_hand() -> None:
    records = zone(view())["records"]
    assert records[f"berlin.chat.m8.{ZONE}"] == [
        {"cname": {"content": f"ams.sites.m8.{ZONE}.", "weight": 300_001}},
        {"cname": {"content": f"fra.sites.m8.{ZONE}.", "weight": 699_999}},
    ]
    assert records[f"berlin.batch.m70.{ZONE}"] == [
        {"cname": {"content": f"ams.sites.m70.{ZONE}.", "weight": 995_001}},
        {"cname": {"content": f"elsewhere.{ZONE}.", "weight": 4_999}},
    ]
    assert records[f"lagos.chat.m8.{ZONE}"] == [{"cname": {"content": f"los.sites.m8.{ZONE}.", "weight": 10**6}}]
    assert records[f"fra.sites.m8.{ZONE}"] == [{"a": "127.0.1.21"}, {"a": "127.0.1.22"}]
    assert records[f"elsewhere.{ZONE}"] == [{"a": "127.0.9.9"}]
    assert records[f"plan.{ZONE}"] == [{"txt": f'"plan_sha256={"0" * 64}"'}]
    assert zone(view())["services"] == {
        f"batch.m70.{ZONE}": {"default": [f"%mp.batch.m70.{ZONE}", f"unknown.batch.m70.{ZONE}"]},
        f"chat.m8.{ZONE}": {"default": [f"%mp.chat.m8.{ZONE}", f"unknown.chat.m8.{ZONE}"]},
    }
    mapping = json.loads(feed().render(view())["zone.json"])["custom_mapping"]
    assert mapping == {"asn-3320": "berlin", "country-ng": "lagos"}


def test_a_failure_has_a_zone_of_its_own_which_says_which() -> None:
    records = zone(failed("metro-fra"))["records"]
    assert records[f"berlin.chat.m8.{ZONE}"] == [
        {"cname": {"content": f"ams.sites.m8.{ZONE}.", "weight": 10**6}},
    ]
    assert "failure=metro-fra" in records[f"plan.{ZONE}"][0]["txt"]


def test_a_border_within_a_thousandth_has_a_name_of_its_own_down_to_the_last_part() -> None:
    # 700,123,456 for fra: 700 blocks, then 123 of the thousand in block 700, then 456 of the thousand in that.
    assert chances([("fra", 700_123_456), ("ams", 299_876_544)]) == [
        Chance(0, 700, "fra"),
        Chance(700, 1, shares=(("fra", 123_456), ("ams", 876_544))),
        Chance(701, 299, "ams"),
    ]
    assert chances([("fra", 123_456), ("ams", 876_544)]) == [
        Chance(0, 123, "fra"),
        Chance(123, 1, shares=(("fra", 456), ("ams", 544))),
        Chance(124, 876, "ams"),
    ]
    assert chances([("fra", 456), ("ams", 544)]) == [Chance(0, 456, "fra"), Chance(456, 544, "ams")]


@settings(deadline=None)
@given(st.lists(st.integers(1, 1000), min_size=1, max_size=40))
def test_the_server_makes_of_weights_the_thousandths_that_were_meant(parts: list[int]) -> None:
    cuts = sorted({part for part in parts if part < 1000} | {1000})
    thousandths = np.diff([0, *cuts]).tolist()
    assert served(weights(thousandths)) == thousandths


def test_weights_that_are_written_as_they_are_meant_would_lose_a_thousandth() -> None:
    assert served([700, 300]) == [699, 301]  # 700/1000 in single precision is 0.69999999


@settings(max_examples=40, deadline=None)
@given(seen=views())
def test_every_share_is_read_back_exactly_and_the_order_of_rows_is_nothing(seen: View) -> None:
    files = feed().render(seen)
    assert feed().read(files) == {fact: expected(seen, fact) for fact in PowerDns.says}
    assert feed().render(shuffled(seen)) == files


def test_names_that_dns_does_not_know_are_written_as_labels_and_read_back() -> None:
    model = "Llama 3.1/8B"
    shapes = {name: replace(shape, model=model) for name, shape in view().shapes.items()}
    seen = view(
        shapes=shapes,
        routes=(Route("berlin", model, "chat", "ams", "m8-half", 10**9),),
        classes=(("berlin", model, "chat"),),
    )
    assert f"chat.llama-3-1-8b.{ZONE}" in zone(seen)["services"]
    read = feed().read(feed().render(seen))
    assert read[PowerDns.says[0]] == {("berlin", model, "chat", "ams"): 1}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ('"weight": 300001', '"weight": 320001', None),  # another share: read, not refused
        (f'"content": "ams.sites.m8.{ZONE}."', f'"content": "los.sites.m70.{ZONE}."', "is asked for, and not in the"),
        (f'"fra.sites.m8.{ZONE}": [', f'"fra.sites.m9.{ZONE}": [', "is asked for, and not in the zone"),
        ('"asn-3320": "berlin"', '"asn-3320": "lagos"', "nobody is sent to .*berlin.batch.m70"),
        ('"domains": [', '"domains": [{},', "is no zone of this feed"),
        (f'"%mp.chat.m8.{ZONE}"', f'"%cc.chat.m8.{ZONE}"', "chat.m8.ai.example.net: default is sent to %cc"),
    ],
)
def test_a_zone_that_was_changed_reads_otherwise_or_is_refused(old: str, new: str, reason: str | None) -> None:
    content = feed().render(view())["zone.json"].decode()
    assert old in content
    files = {"zone.json": content.replace(old, new, 1).encode()}
    if reason is None:
        assert feed().read(files) != feed().read({"zone.json": content.encode()})
    else:
        with pytest.raises(FeedError, match=reason):
            feed().read(files)


def test_networks_finer_than_resolvers_keep_answers_are_refused_with_those_that_would_do(tmp_path: Path) -> None:
    path = table(tmp_path / "c.csv", "198.51.100.64/26,berlin", "2001:db8:0:7::/64,lagos", "198.51.0.0/16,lagos")
    first, second = refusals(view(), clients=path)
    assert "row 2: client 198.51.100.64/26 is finer than /24" in first
    assert "name 198.51.100.0/24 instead" in first
    assert "name 2001:db8::/56 instead" in second


def test_regions_that_geoip_cannot_tell_apart_are_refused_together(tmp_path: Path) -> None:
    regions = {region.region: replace(region, country="DE", asn=None) for region in REGIONS}
    (told,) = refusals(view(regions=regions))
    assert told.startswith(
        "berlin, lagos are all known by the country DE, so that GeoIP cannot tell them apart; give each"
    )
    path = table(tmp_path / "c.csv", "198.51.100.0/24,lagos")
    services = zone(view(regions=regions), clients=path)["services"]
    assert services[f"chat.m8.{ZONE}"]["198.51.100.0/24"][0] == f"lagos.chat.m8.{ZONE}"


def test_everything_wrong_with_the_table_of_clients_is_told_at_once(tmp_path: Path) -> None:
    lines = ("198.51.100.7/24,berlin", "DE,atlantis", "US-CA,lagos,2", "AS1,berlin", "as1,lagos")
    told = refusals(view(), clients=table(tmp_path / "c.csv", *lines))
    for part in (
        "row 2: client '198.51.100.7/24': 198.51.100.7/24 has host bits set",
        "row 3: there is no region 'atl",
    ):
        assert sum(part in reason for reason in told) == 1
    assert sum("row 4: has 3 cells" in reason for reason in told) == 1
    assert sum("berlin, lagos are all known by AS 1" in reason for reason in told) == 1
    assert "cannot be read" in refusals(view(), clients=tmp_path / "none.csv")[0]


def test_an_unserved_share_needs_a_place_to_go() -> None:
    (told,) = refusals(view(), elsewhere=())
    assert told.startswith("5000000 ppb of berlin/m70/batch are unserved, and DNS cannot drop a share; say with")


def test_addresses_that_dns_cannot_say_are_refused_with_every_reason() -> None:
    addresses = {
        ("ams", ""): (Address("127.0.1.1", 8000),),
        ("fra", ""): (Address("::1", 8001),),
        ("los", "m8"): (Address("a.example", 8000), Address("127.0.1.3", 8000)),
    }
    told = refusals(view(addresses=Addresses(addresses)))
    assert any("m8 is served on several ports (8000 at ams, 8001 at fra)" in reason for reason in told)
    assert any("m8 has IPv4 at ams, IPv6 at fra" in reason for reason in told)
    assert any("los has a.example, 127.0.1.3 for m8" in reason for reason in told)
    assert "fra has no address for m8" in "\n".join(refusals(view(addresses=Addresses({}))))


def test_names_that_one_label_would_stand_for_are_refused() -> None:
    routes = [*ROUTES, Route("Berlin", "m8", "chat", "ams", "m8-half", 10**9)]
    regions = {**view().regions, "Berlin": replace(REGIONS[0], region="Berlin", country="AT", asn=None)}
    told = refusals(view(routes=tuple(sorted(routes)), regions=regions))
    assert told == ["region Berlin, berlin: DNS would call them all berlin; rename all but one"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"zone": "192.0.2.1"}, "is no name that DNS could know"),
        ({"nameservers": (f"ns1.{ZONE}",)}, "within the zone would need addresses"),
        ({"elsewhere": ("a.example", "b.example")}, "give addresses, or one name"),
        ({"ttl_s": 0}, "greater than or equal to 1"),
    ],
)
def test_options_that_make_no_zone_are_refused(options: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        feed(**options)
