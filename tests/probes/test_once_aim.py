"""What a person types as a target, and what becomes of it: parsed, resolved once, screened."""

import socket
import time

import pytest

from probes.once.aim import parse, take


@pytest.mark.parametrize(
    ("text", "host", "port", "scheme", "path"),
    [
        ("example.net", "example.net", None, None, "/"),
        ("example.net:8443", "example.net", 8443, None, "/"),
        ("192.0.2.1", "192.0.2.1", None, None, "/"),
        ("192.0.2.1:53", "192.0.2.1", 53, None, "/"),
        ("2001:db8::1", "2001:db8::1", None, None, "/"),
        ("[2001:db8::1]:443", "2001:db8::1", 443, None, "/"),
        ("[2001:db8::1]", "2001:db8::1", None, None, "/"),
        ("fe80::1%eth0", "fe80::1%eth0", None, None, "/"),
        ("https://example.net/a/b?c=d", "example.net", 443, "https", "/a/b?c=d"),
        ("http://[2001:db8::1]:8080", "2001:db8::1", 8080, "http", "/"),
        ("ws://example.net", "example.net", 80, "ws", "/"),
    ],
)
def test_what_people_type(text: str, host: str, port: int | None, scheme: str | None, path: str) -> None:
    wanted = parse(text)
    assert (wanted.host, wanted.port, wanted.scheme, wanted.path) == (host, port, scheme, path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no host name"),
        ("two words", "no host name"),
        ("user@example.net", "no host name"),
        ("example.net/path", "no host name"),
        ("-n", "no host name"),
        ("example.net:0", "no port"),
        ("example.net:http", "no port"),
        ("example.net:65536", "no port"),
        ("[2001:db8::1", r"\[2001:db8::1\]:443"),
        ("[2001:db8::1]443", r"\[2001:db8::1\]:443"),
        ("ftp://example.net", "no way to measure ftp://"),
        ("https://user@example.net/", "names no host, or a user"),
        ("https:///x", "names no host, or a user"),
        ("http://example.net:99999/", "no port"),
        ("https://example.net/ä ö", "ASCII"),
    ],
)
def test_what_cannot_be_meant_is_told(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse(text)


def test_a_name_is_resolved_once_however_often_it_stands_and_its_time_is_told() -> None:
    asked = []

    def resolver(host: str, family: int | None) -> list[str]:
        asked.append((host, family))
        time.sleep(0.05)
        return ["192.0.2.1", "192.0.2.2"]

    first, second = take(["one.example:80", "one.example:443"], resolver=resolver)
    assert asked == [("one.example", None)]
    assert first.endpoint is not None and second.endpoint is not None
    assert (first.endpoint.address, first.endpoint.port, first.endpoint.host) == ("192.0.2.1", 80, "one.example")
    assert (second.endpoint.port, second.others) == (443, ("192.0.2.2",))
    assert first.dns_ms is not None and first.dns_ms >= 50


def test_an_address_is_asked_of_nobody() -> None:
    def resolver(host: str, family: int | None) -> list[str]:
        raise AssertionError(host)

    (aim,) = take(["192.0.2.1"], resolver=resolver, port=443)
    assert aim.endpoint is not None
    assert (aim.endpoint.name, aim.endpoint.port, aim.endpoint.host, aim.dns_ms) == ("192.0.2.1", 443, None, None)


def test_names_are_resolved_side_by_side() -> None:
    def slow(host: str, family: int | None) -> list[str]:
        time.sleep(0.2)
        return ["192.0.2.1"]

    began = time.monotonic()
    aims = take([f"h{number}.example" for number in range(6)], resolver=slow)
    assert time.monotonic() - began < 0.8  # one after the other: 1.2 s
    assert all(aim.endpoint is not None for aim in aims)


@pytest.mark.parametrize("address", ["224.0.0.1", "255.255.255.255", "0.0.0.0", "ff02::1", "::"])
def test_multicast_and_broadcast_are_refused_also_behind_a_name(address: str) -> None:
    named, plain = take(["trap.example", address], resolver=lambda host, family: [address])
    for aim in (named, plain):
        assert aim.endpoint is None
        assert aim.problem is not None and address in aim.problem and "never measured" in aim.problem


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "10.1.2.3", "192.168.0.1", "fd00::1", "169.254.1.1"])
def test_loopback_and_private_addresses_are_meant_when_they_are_named(address: str) -> None:
    (aim,) = take([address])
    assert aim.endpoint is not None and aim.endpoint.address == address


def test_an_address_that_may_be_measured_is_found_behind_one_that_may_not() -> None:
    (aim,) = take(["odd.example"], resolver=lambda host, family: ["224.0.0.1", "192.0.2.1"])
    assert aim.endpoint is not None and aim.endpoint.address == "192.0.2.1"


def test_problems_are_told_kindly() -> None:
    def nobody(host: str, family: int | None) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    def away(host: str, family: int | None) -> list[str]:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    assert "is it spelt right?" in str(take(["x.example"], resolver=nobody)[0].problem)
    assert "of IPv6" in str(take(["x.example"], family=6, resolver=nobody)[0].problem)
    assert "is the network up" in str(take(["x.example"], resolver=away)[0].problem)
    assert "is an IPv4 address" in str(take(["192.0.2.1"], family=6)[0].problem)


def test_a_resolver_that_hangs_is_given_up() -> None:
    def hangs(host: str, family: int | None) -> list[str]:
        time.sleep(5)
        return ["192.0.2.1"]

    began = time.monotonic()
    (aim,) = take(["slow.example"], resolver=hangs, timeout_s=0.1)
    assert aim.endpoint is None and "did not answer" in str(aim.problem)
    assert time.monotonic() - began < 3
