"""What a person names, as endpoints: parsed, resolved once with the time that took, and screened.

A person who names a target means it, so that loopback and private addresses are measured; multicast and broadcast
never are (`probes.agent.allow`).
"""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from probes.agent.allow import Policy, named_by_hand, refusal_of
from probes.agent.lookups import Answer, Lookups, Name, Resolver, system_resolver
from probes.methods.endpoint import Endpoint

RESOLVER_S: Final = 10.0
_SCHEMES: Final = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Wanted:
    """A target as it was typed: `host` a name or an address; `scheme` and `path` where it was a URL."""

    text: str
    host: str
    port: int | None = None
    scheme: str | None = None
    path: str = "/"


@dataclass(frozen=True, slots=True)
class Aim:
    """A target with its endpoint, or with the problem that keeps it from having one.

    `dns_ms` is what resolving took, None where an address was given. `others` are further addresses of the name, which
    are not measured.
    """

    wanted: Wanted
    endpoint: Endpoint | None = None
    dns_ms: float | None = None
    others: tuple[str, ...] = ()
    problem: str | None = None


def parse(text: str) -> Wanted:
    """A host, an address, either with a port, or a URL; ValueError says what is wrong with it."""
    if "://" in text:
        return _url(text)
    host, port = text, None
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise ValueError("an IPv6 address with a port is written [2001:db8::1]:443")
        port = _port(rest[1:]) if rest else None
    elif text.count(":") == 1:
        host, _, said = text.partition(":")
        port = _port(said)
    if not host or not host.isprintable() or any(mark in host for mark in " /@?#") or host.startswith("-"):
        raise ValueError("is no host name, no address and no URL")
    return Wanted(text, host, port)


def _url(text: str) -> Wanted:
    parts = urlsplit(text)
    if parts.scheme not in _SCHEMES:
        raise ValueError(f"no way to measure {parts.scheme}://; use a host, or a URL of {', '.join(_SCHEMES)}")
    if not parts.hostname or parts.username is not None:
        raise ValueError("the URL names no host, or a user: write https://host/path")
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("a URL is ASCII without blanks: write other characters as %C3%A4")
    place = parts.netloc.rpartition("]")[2]
    port = _port(place.partition(":")[2]) if ":" in place else _SCHEMES[parts.scheme]
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Wanted(text, parts.hostname, port, parts.scheme, path)


def _port(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:6]) < 65_536):
        raise ValueError(f"{text!r} is no port: 1 to 65535")
    return int(text)


def take(
    texts: Sequence[str],
    *,
    family: int | None = None,
    port: int | None = None,
    resolver: Resolver = system_resolver,
    timeout_s: float = RESOLVER_S,
) -> list[Aim]:
    """An aim for each text, in their order; names are resolved side by side, each once. Nothing is raised: what
    cannot be measured says so in its `problem`. `port` is for those that name none.
    """
    wanted = [_parsed(text) for text in texts]
    found = _resolve((one.host for one in wanted if isinstance(one, Wanted)), family, resolver, timeout_s)
    return [one if isinstance(one, Aim) else _aim(one, found, family, port) for one in wanted]


def _parsed(text: str) -> Wanted | Aim:
    try:
        return parse(text)
    except ValueError as error:
        return Aim(Wanted(text, text), problem=str(error))


def _resolve(
    hosts: Iterable[str], family: int | None, resolver: Resolver, timeout_s: float
) -> dict[str, tuple[Answer, float | None]]:
    """The answer for each name, and the ms that it took; addresses are not asked for."""
    took_ms: dict[str, float] = {}

    def timed(host: str, of: int | None) -> list[str]:
        began = time.monotonic_ns()
        try:
            return resolver(host, of)
        finally:
            took_ms[host] = (time.monotonic_ns() - began) / 1e6

    lookups = Lookups(timed, timeout_s)
    names = {host for host in hosts if _version(host) is None}
    for host in sorted(names):
        lookups.ask(Name(host, family))
    # A thread may have to take several names one after the other.
    answers = lookups.wait(timeout_s * (1 + len(names) // 8) + 1)
    return {answer.name.host: (answer, took_ms.get(answer.name.host)) for answer in answers}


def _aim(wanted: Wanted, found: dict[str, tuple[Answer, float | None]], family: int | None, port: int | None) -> Aim:
    version = _version(wanted.host)
    if version is not None:
        if family not in (None, version):
            return Aim(wanted, problem=f"is an IPv{version} address, and -{family} was asked for")
        return _screened(wanted, (wanted.host,), None, port)
    answer, dns_ms = found.get(
        wanted.host, (Answer(Name(wanted.host, family), (), "the resolver did not answer"), None)
    )
    if not answer.addresses:
        return Aim(wanted, dns_ms=dns_ms, problem=_unknown(answer, family))
    return _screened(wanted, answer.addresses, dns_ms, port)


def _screened(wanted: Wanted, addresses: tuple[str, ...], dns_ms: float | None, port: int | None) -> Aim:
    """The first address that may be measured."""
    policy = Policy(named_by_hand(addresses))
    sound = [address for address in addresses if refusal_of(address, None, policy) is None]
    if not sound:
        refusal = refusal_of(addresses[0], None, policy)
        kind = refusal.kind if refusal is not None else "special"
        return Aim(wanted, dns_ms=dns_ms, problem=f"{addresses[0]} is a {kind} address: those are never measured")
    host = None if wanted.host == sound[0] else wanted.host
    endpoint = Endpoint(wanted.host, sound[0], wanted.port or port, host)
    return Aim(wanted, endpoint, dns_ms, tuple(sound[1:]))


def _unknown(answer: Answer, family: int | None) -> str:
    """Why a name has no address, with the mend."""
    said = answer.error or "no address"
    if "did not answer" in said or "emporary failure" in said:
        return f"{said}: is the network up, and the resolver of /etc/resolv.conf within reach?"
    only = f" of IPv{family}" if family else ""
    return f"the name has no address{only} ({said}): is it spelt right" + (
        f", or leave -{family} out?" if only else "?"
    )


def _version(host: str) -> int | None:
    """4 or 6 for an address, None for a name."""
    try:
        return ip_address(host).version
    except ValueError:
        return None
