"""Which addresses the agent measures: tables by hand, and Python's own view of the registries as the oracle."""

from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from probes.agent.allow import PUBLIC, Policy, named_by_hand, refusal_of, screened


def policy(*networks: str, ports: frozenset[int] | None = None) -> Policy:
    return Policy(tuple(map(ip_network, networks)), ports)


def kind(address: str, rules: Policy, port: int | None = None) -> str | None:
    refusal = refusal_of(address, port, rules)
    return refusal.kind if refusal else None


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("8.8.8.8", None),
        ("2606:4700::1111", None),
        ("0.0.0.0", "unspecified"),
        ("0.1.2.3", "unspecified"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.254", "loopback"),
        ("169.254.169.254", "link-local"),
        ("10.0.0.1", "private"),
        ("172.31.255.255", "private"),
        ("172.32.0.0", None),
        ("192.168.1.1", "private"),
        ("100.64.0.1", "private"),
        ("100.128.0.1", None),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("192.0.2.1", "reserved"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::7f00:1", "translated"),
        ("::ffff:8.8.8.8", "translated"),
        ("::ffff:127.0.0.1", "translated"),
        ("64:ff9b::808:808", "translated"),
        ("2002:7f00:1::1", "translated"),
        ("fe80::1%eth0", "link-local"),
        ("fec0::1", "private"),
        ("fd00:ec2::254", "private"),
        ("ff02::1", "multicast"),
        ("4000::1", "reserved"),
        ("2001:db8::1", "reserved"),
    ],
)
def test_everything_public_is_listed_and_nothing_else(address: str, expected: str | None) -> None:
    assert kind(address, Policy(PUBLIC)) == expected


@pytest.mark.parametrize(
    ("network", "address", "expected"),
    [
        ("10.0.0.0/8", "10.1.2.3", None),
        ("10.1.0.0/16", "10.2.0.1", "private"),
        ("8.0.0.0/6", "10.1.2.3", "private"),
        ("8.0.0.0/6", "9.1.2.3", None),
        ("203.0.112.0/23", "203.0.113.1", "reserved"),
        ("127.0.0.0/8", "127.0.0.1", None),
        ("224.0.0.251/32", "224.0.0.251", None),
        ("1.1.1.0/24", "8.8.8.8", "unlisted"),
        ("::/0", "8.8.8.8", "unlisted"),
        ("0.0.0.0/0", "2606:4700::1", "unlisted"),
        ("::/1", "4000::1", "reserved"),
        ("4000::/3", "4000::1", None),
        ("fe80::/10", "fe80::1%lo", None),
        ("fd00::/8", "fd00::1", None),
    ],
)
def test_a_special_address_wants_a_network_of_its_own_kind(network: str, address: str, expected: str | None) -> None:
    assert kind(address, policy(network)) == expected


@pytest.mark.parametrize("form", ["::ffff:{}", "64:ff9b::{}", "::{}"])
def test_ipv4_inside_ipv6_must_be_listed_itself_as_well(form: str) -> None:
    translated = ("::ffff:0:0/96", "64:ff9b::/96", "::/96")
    assert kind(form.format("127.0.0.1"), policy(*translated, "0.0.0.0/0")) == "loopback"
    assert kind(form.format("10.0.0.1"), policy(*translated)) == "private"
    assert kind(form.format("8.8.8.8"), policy(*translated)) == "unlisted"
    assert kind(form.format("8.8.8.8"), policy(*translated, "0.0.0.0/0")) is None
    assert kind(form.format("8.8.8.8"), policy("::/0", "0.0.0.0/0")) == "translated"


def test_6to4_and_teredo_lead_to_the_ipv4_address_they_carry() -> None:
    tunnels = ("2002::/16", "2001::/32", "0.0.0.0/0")
    assert kind("2002:a00:1::1", policy(*tunnels)) == "private"
    assert kind("2002:808:808::1", policy(*tunnels)) is None
    # RFC 4380: the client's address is in the low 32 bits, every bit turned.
    assert kind("2001:0:808:808::80ff:fffe", policy(*tunnels)) == "loopback"


def test_ports_are_checked_for_methods_that_have_one() -> None:
    rules = Policy(PUBLIC, frozenset({443}))
    assert kind("8.8.8.8", rules, 443) is None
    assert kind("8.8.8.8", rules, None) is None
    assert kind("8.8.8.8", rules, 22) == "port"
    assert kind("10.0.0.1", rules, 22) == "private"
    assert "port 22 is not listed" in str(refusal_of("8.8.8.8", 22, rules))


def test_a_name_that_answers_with_good_and_bad_addresses_keeps_the_good_in_order() -> None:
    allowed, refused = screened(["8.8.4.4", "127.0.0.1", "8.8.8.8", "ff02::1"], 443, Policy(PUBLIC))
    assert allowed == ["8.8.4.4", "8.8.8.8"]
    assert [(r.address, r.kind) for r in refused] == [("127.0.0.1", "loopback"), ("ff02::1", "multicast")]


def test_naming_an_address_by_hand_lists_it_alone_and_never_multicast_or_broadcast() -> None:
    typed = [
        "127.0.0.1",
        "10.1.2.3",
        "fe80::1%eth0",
        "::ffff:127.0.0.2",
        "224.0.0.1",
        "255.255.255.255",
        "0.0.0.0",
        "::",
    ]
    rules = Policy((*PUBLIC, *named_by_hand(typed)))
    allowed, refused = screened([*typed, "127.0.0.3", "10.1.2.4"], None, rules)
    assert allowed == ["127.0.0.1", "10.1.2.3", "fe80::1%eth0", "::ffff:127.0.0.2"]
    assert [r.kind for r in refused] == ["multicast", "broadcast", "unspecified", "unspecified", "loopback", "private"]
    assert named_by_hand(["ff02::1", "::ffff:224.0.0.1"]) == ()


@given(st.integers(0, 2**32 - 1).map(IPv4Address))
@example(IPv4Address("192.31.196.1"))
def test_no_ipv4_address_that_python_calls_special_counts_as_public(address: IPv4Address) -> None:
    if kind(str(address), Policy(PUBLIC)) is None:
        assert address.is_global and not address.is_multicast
    else:
        assert not address.is_global or address.is_multicast or str(address).startswith(("192.88.99.", "192.0.0."))


@given(
    st.one_of(
        st.integers(0, 2**128 - 1),
        st.integers(0, 2**48 - 1),
        st.builds(lambda top, low: (top << 96) | low, st.integers(0x20010000, 0x3FFFFFFF), st.integers(0, 2**96 - 1)),
    ).map(IPv6Address)
)
def test_no_ipv6_address_that_python_calls_special_counts_as_public(address: IPv6Address) -> None:
    if kind(str(address), Policy(PUBLIC)) is None:
        assert not address.is_private and not address.is_multicast and not address.is_reserved
        assert address.ipv4_mapped is None and address.sixtofour is None and address.teredo is None
