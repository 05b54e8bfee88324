"""Names to pinned addresses: rebinding, changes, failures, resolvers that hang."""

import itertools
import threading
import time
from ipaddress import ip_network
from typing import Any

from probes.agent.allow import PUBLIC, Policy, Refusal
from probes.agent.lookups import MOST_WORKERS, Lookups, Name, Resolver, system_resolver
from probes.agent.pins import Pins, Unresolved
from probes.agent.targets import Target
from probes.methods.endpoint import Endpoint

LOOPBACK = Policy((ip_network("127.0.0.0/8"), ip_network("::1/128")), frozenset({443}))


class Zone:
    """A resolver whose answers a test changes; a list of addresses, or an error."""

    def __init__(self, **names: list[str] | OSError) -> None:
        self.names: dict[str, list[str] | OSError] = {k.replace("_", "."): v for k, v in names.items()}
        self.asked: list[str] = []

    def __call__(self, host: str, family: int | None) -> list[str]:
        self.asked.append(host)
        answer = self.names[host]
        if isinstance(answer, OSError):
            raise answer
        return [a for a in answer if family is None or (":" in a) == (family == 6)]


class World:
    """Pins over a zone, the events they told, and time that the test moves."""

    def __init__(
        self, zone: Resolver, policy: Policy, *targets: Target, refresh_s: float = 60, keep_s: float = 1000
    ) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.pins = Pins(Lookups(zone, 5.0), policy, refresh_s, keep_s, lambda e, **f: self.events.append((e, f)))
        self.targets = targets
        self.pins.watch(targets)
        self.at(0)

    def at(self, now_s: float) -> None:
        self.pins.refresh(now_s, wait_s=5)

    def endpoint(self, port: int | None = 443) -> Endpoint | Refusal | Unresolved:
        return self.pins.endpoint(self.targets[0], port)

    def told(self, event: str) -> list[dict[str, Any]]:
        return [facts for name, facts in self.events if name == event]


def target(host: str, **more: Any) -> Target:
    return Target(name="t", host=host, methods=("tcp",), **more)


def test_the_address_that_was_checked_is_the_address_used() -> None:
    zone = Zone(a_test=["127.0.0.5"])
    world = World(zone, LOOPBACK, target("a.test"))
    assert world.endpoint() == Endpoint("t", "127.0.0.5", 443, "a.test")
    zone.names["a.test"] = ["10.0.0.1"]
    assert world.endpoint() == Endpoint("t", "127.0.0.5", 443, "a.test")  # until it is resolved and checked anew
    assert zone.asked == ["a.test"]


def test_a_name_that_is_rebound_to_a_private_address_is_measured_no_more() -> None:
    zone = Zone(a_test=["8.8.8.8"])
    world = World(zone, Policy(PUBLIC), target("a.test"))
    assert isinstance(world.endpoint(), Endpoint)
    zone.names["a.test"] = ["127.0.0.1", "169.254.169.254", "::ffff:10.0.0.1"]
    world.at(100)
    found = world.endpoint()
    assert isinstance(found, Refusal) and found.kind == "loopback"
    assert [facts["address"] for facts in world.told("address_refused")] == zone.names["a.test"]
    assert world.told("address_changed") == [{"host": "a.test", "before": "8.8.8.8", "now": None}]


def test_an_address_in_use_stays_while_the_answer_still_holds_it() -> None:
    zone = Zone(a_test=["127.0.0.5", "127.0.0.6"])
    world = World(zone, LOOPBACK, target("a.test"))
    zone.names["a.test"] = ["127.0.0.6", "127.0.0.7", "127.0.0.5"]
    world.at(100)
    found = world.endpoint()
    assert isinstance(found, Endpoint) and found.address == "127.0.0.5" and not world.told("address_changed")
    zone.names["a.test"] = ["127.0.0.6", "127.0.0.7"]
    world.at(200)
    found = world.endpoint()
    assert isinstance(found, Endpoint) and found.address == "127.0.0.6"
    assert world.told("address_changed") == [{"host": "a.test", "before": "127.0.0.5", "now": "127.0.0.6"}]


def test_dns_that_fails_keeps_the_address_for_a_while_and_is_asked_later_and_later() -> None:
    zone = Zone(a_test=["127.0.0.5"])
    world = World(zone, LOOPBACK, target("a.test"), refresh_s=60, keep_s=1000)
    zone.names["a.test"] = OSError(-3, "Temporary failure in name resolution")
    asked = []
    for second in range(67, 1000):
        world.at(second)
        if len(zone.asked) > len(asked) + 1:
            asked.append(second)
    assert isinstance(world.endpoint(), Endpoint)
    gaps = [b - a for a, b in itertools.pairwise(asked)]
    assert 4 <= gaps[0] <= 7 and 8 <= gaps[1] <= 12 and 53 <= gaps[-1] <= 68
    for second in range(1000, 1200):
        world.at(second)
    assert world.endpoint() == "Temporary failure in name resolution"
    assert world.told("address_given_up") == [{"host": "a.test", "address": "127.0.0.5"}]
    zone.names["a.test"] = ["127.0.0.9"]
    world.at(1300)
    assert isinstance(world.endpoint(), Endpoint)


def test_a_name_that_never_resolved_says_why() -> None:
    world = World(Zone(a_test=OSError(-2, "Name or service not known")), LOOPBACK, target("a.test"))
    assert world.endpoint() == "Name or service not known" and isinstance(world.endpoint(), Unresolved)
    assert isinstance(World(Zone(a_test=[]), LOOPBACK, target("a.test")).endpoint(), Unresolved)
    assert isinstance(World(Zone(a_test=["rubbish"]), LOOPBACK, target("a.test")).endpoint(), Unresolved)


def test_while_the_first_lookup_is_under_way_there_is_no_address_and_no_failure() -> None:
    release = threading.Event()

    def slow(_host: str, _family: int | None) -> list[str]:
        release.wait(20)
        return ["127.0.0.5"]

    pins = Pins(Lookups(slow, 20.0), LOOPBACK, 60, 1000, lambda *_, **__: None)
    pins.watch([target("a.test")])
    assert pins.refresh(0) == 0
    assert pins.endpoint(target("a.test"), 443) == Unresolved("")
    release.set()
    pins.refresh(1, wait_s=10)
    assert isinstance(pins.endpoint(target("a.test"), 443), Endpoint)


def test_literal_addresses_are_never_looked_up_and_every_other_spelling_is_checked_after_resolution() -> None:
    zone = Zone()
    world = World(zone, LOOPBACK, target("127.0.0.5"))
    assert world.endpoint() == Endpoint("t", "127.0.0.5", 443, None) and zone.asked == []
    assert isinstance(World(zone, LOOPBACK, target("::1", family=4)).endpoint(), Unresolved)
    for spelling in ("127.1", "0x7f.0.0.1", "2130706433", "localhost"):
        found = World(system_resolver, Policy(PUBLIC), target(spelling)).endpoint()
        assert isinstance(found, Refusal) and found.kind == "loopback", spelling


def test_a_port_that_is_not_listed_is_refused() -> None:
    found = World(Zone(), LOOPBACK, target("127.0.0.5")).endpoint(22)
    assert isinstance(found, Refusal) and found.kind == "port"


def test_a_stricter_allowlist_takes_hold_of_addresses_in_use() -> None:
    world = World(Zone(a_test=["127.0.0.5", "127.0.0.6"]), LOOPBACK, target("a.test"))
    world.pins.enforce(Policy((ip_network("127.0.0.6/32"),)))
    found = world.endpoint()
    assert isinstance(found, Endpoint) and found.address == "127.0.0.6"


def test_a_resolver_that_hangs_costs_its_timeout_and_nothing_else() -> None:
    release = threading.Event()

    def hanging(host: str, family: int | None) -> list[str]:
        if host.startswith("slow"):
            release.wait(20)
        return ["127.0.0.1"]

    lookups = Lookups(hanging, 0.1)
    slow = [Name(f"slow{n}", None) for n in range(2 * MOST_WORKERS)]
    for name in slow:
        lookups.ask(name)
    began = time.monotonic()
    answers = lookups.wait(10)
    assert {answer.name for answer in answers} == {*slow}
    assert all(answer.error == "the resolver did not answer within 0.1 s" for answer in answers)
    assert time.monotonic() - began < 9
    release.set()
    lookups.ask(Name("quick", None))
    assert [answer.addresses for answer in lookups.wait(10) if answer.name.host == "quick"] == [("127.0.0.1",)]
