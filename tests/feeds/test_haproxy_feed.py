"""HAProxy's files: by hand for a small plan, read back for random ones, and what cannot be told is refused by name."""

from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from placement.feeds.feed import FeedError
from placement.feeds.haproxy import Haproxy, HaproxyOptions
from placement.feeds.haproxy.names import backend, place
from placement.feeds.view import BILLION, Address, Addresses, Route, View
from tests.feeds.feed_world import ROUTES, failed, view
from tests.feeds.random_views import expected, shuffled, views

PRINTABLE = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="|"), min_size=1, max_size=6)


def feed(**options: object) -> Haproxy:
    return Haproxy(HaproxyOptions(**options))


def refusals(seen: View, **options: object) -> list[str]:
    with pytest.raises(FeedError) as told:
        feed(**options).render(seen)
    return list(told.value.reasons)


def test_the_files_of_a_small_plan_by_hand() -> None:
    files = feed().render(view())
    assert files["routes.map"].decode().splitlines() == [
        "berlin|m70|batch 5000000/ams::m70/995000000",
        "berlin|m8|chat 0/ams::m8/300000000/fra::m8/700000000",
        "lagos|m8|chat 0/los::m8/1000000000",
    ]
    assert files["haproxy.cfg"].decode().split("\n\n")[3:] == [
        "backend ams::m70 from nearserve\n    server a1 127.0.1.1:8000",
        "backend ams::m8 from nearserve\n    server a1 127.0.1.1:8000",
        "backend fra::m8 from nearserve\n    server a1 127.0.1.21:8000\n    server a2 127.0.1.22:8000",
        "backend los::m8 from nearserve\n    server a1 127.0.1.3:8000\n",
    ]
    assert set(files) == {"haproxy.cfg", "routes.map"}


def test_a_failure_changes_the_routes_alone() -> None:
    """So that a running HAProxy can be told it by its maps, without a reload."""
    normal, failure = feed().render(view()), feed().render(failed("metro-fra"))
    assert normal["haproxy.cfg"] == failure["haproxy.cfg"]
    assert b"berlin|m8|chat 0/ams::m8/1000000000\n" in failure["routes.map"]
    assert feed().render(failed("metro-los"))["haproxy.cfg"] == normal["haproxy.cfg"]  # though nobody is sent to los
    assert b"lagos|m8|chat 1000000000\n" in feed().render(failed("metro-los"))["routes.map"]


def test_by_priority_the_sites_that_stand_in_have_a_line_too() -> None:
    files = feed().render(view(policy="priority"))
    assert files["standbys.map"] == b""  # ams and fra stand in for each other, and each serves the class anyhow
    alone = view(policy="priority", routes=tuple(row for row in ROUTES if row.site != "ams"))
    assert feed().render(alone)["standbys.map"] == b"berlin|m8|chat ams::m8\n"


@settings(max_examples=40, deadline=None)
@given(seen=views(PRINTABLE.filter(lambda name: not name.startswith("#"))))
def test_every_share_is_read_back_exactly_and_the_order_of_rows_is_nothing(seen: View) -> None:
    files = feed().render(seen)
    assert feed().read(files) == {fact: expected(seen, fact) for fact in Haproxy.says}
    assert feed().render(shuffled(seen)) == files


@settings(deadline=None)
@given(site=st.text(min_size=1).filter(lambda text: text.isprintable()), model=st.text(min_size=1))
def test_a_backend_is_told_back_to_its_place(site: str, model: str) -> None:
    if model.isprintable():
        assert place(backend(site, model)) == (site, model)
        assert set(backend(site, model)) <= set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.:")


@settings(deadline=None)
@given(
    shares=st.lists(st.integers(0, BILLION), min_size=1, max_size=6).filter(any),
    up=st.lists(st.booleans(), min_size=6, max_size=6),
)
def test_what_is_drawn_is_in_proportion_to_what_is_up_within_a_part_per_billion(
    shares: list[int], up: list[bool]
) -> None:
    """The arithmetic of the frontend over all 10^9 numbers: those that a site gets are counted, not drawn."""
    total = sum(shares)
    shares = [share * BILLION // total for share in shares]
    served = sum(shares)  # the rest is unserved
    alive = [share if there else 0 for share, there in zip(shares, up, strict=False)]
    live = sum(alive)
    if not live:
        return
    begin = 0
    for share in alive:
        # the number d below `served` goes to the site where begin ≤ d·live div served < begin + share
        first, after = (-(-bound * served // live) for bound in (begin, begin + share))
        assert abs(Fraction(after - first, served) - Fraction(share, live)) <= Fraction(1, served)
        begin += share


@pytest.mark.parametrize(
    ("file", "old", "new", "reason"),
    [
        ("routes.map", b"/300000000", b"/300000001", r"routes.map: row 2: 1000000001 ppb, and not 10\^9"),
        ("routes.map", b"ams::m70", b"ams::m8", "row 1: ams::m8 has 995000000"),
        ("routes.map", b"los::m8", b"ams2::m8", "sends to ams2::m8, which has no backend"),
        ("routes.map", b"lagos|m8|chat", b"berlin|m8|chat", "row 3: a line above is of the same class"),
        ("haproxy.cfg", b"sub(txn.unserved)", b"add(txn.unserved)", "does not begin as these options make it"),
        ("haproxy.cfg", b"    server a2", b"    server  a2", "is no backend of ours"),
        ("haproxy.cfg", b"backend los::m8", b"backend los:m8", "'los:m8' is no place of a plan"),
    ],
)
def test_files_that_say_something_else_are_refused(file: str, old: bytes, new: bytes, reason: str) -> None:
    files = dict(feed().render(view()))
    assert old in files[file]
    with pytest.raises(FeedError, match=reason):
        feed().read({**files, file: files[file].replace(old, new, 1)})


def test_everything_that_cannot_be_told_is_refused_at_once(tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_text("client,region\n10.0.0.0/8,berlin\n10.0.0.0/8,lagos\n10.0.0.1/8,berlin\n::/0,x\n")
    routes = (*ROUTES[:3], Route("south berlin", "m8", "chat", "ams", "m8-half", BILLION), ROUTES[-1])
    addresses = {("ams", ""): (Address("a.example", 80),), ("fra", ""): (Address("::1", 80),)}
    seen = view(routes=routes, addresses=Addresses(addresses))
    told = "\n".join(refusals(seen, most_sites=1, region="network", clients=tmp_path / "c.csv"))
    for part in (
        "region 'south berlin': HAProxy's maps hold no blanks",
        "berlin/m8/chat is served by 2 sites; set most_sites = 2",
        "los has no address for m8",
        "a.example, where ams serves m8, is a name",
        "row 3: 10.0.0.0/8 is of berlin in a row above",
        "row 4: client '10.0.0.1/8'",
        "row 5: no region 'x'",
    ):
        assert part in told


def test_of_all_classes_with_too_many_sites_the_worst_is_named_and_the_others_counted() -> None:
    more = (
        *ROUTES,
        Route("lagos", "m8", "chat", "ams", "m8-half", 0),
        Route("lagos", "m8", "chat", "fra", "m8-half", 0),
    )
    told = refusals(view(routes=more), most_sites=1)
    assert told == [
        "lagos/m8/chat is served by 3 sites, and 1 other classes by more than 1; "
        "set most_sites = 3 in the table [haproxy]"
    ]


@pytest.mark.parametrize("name", ["a:6d::m8", "a:20", "a:2E::m8"])
def test_a_name_that_is_spelt_otherwise_is_no_backend_of_ours(name: str) -> None:
    with pytest.raises(ValueError, match="is no place of a plan"):
        place(name)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"region": "cookie:x"}, "says no place of a request"),
        ({"model": "header:x y"}, "says no place of a request"),
        ({"region": "network"}, "belong together"),
        ({"bind": (":80\nuser root",)}, "is no part of a line"),
        ({"unserved_status": 200}, "greater than or equal to 400"),
    ],
)
def test_options_that_make_no_configuration_are_refused(options: dict, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        feed(**options)


def test_a_site_with_an_address_of_ipv6_and_one_by_name() -> None:
    addresses = {(site, ""): (Address("::1", 80), Address("a.example", 81)) for site in view().sites}
    text = feed(resolvers="mine").render(view(addresses=Addresses(addresses)))["haproxy.cfg"].decode()
    assert "    server a1 [::1]:80\n    server a2 a.example:81\n" in text
    assert "fall 2 rise 2 resolvers mine init-addr libc,none\n" in text
