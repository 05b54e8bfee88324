"""The zone with the real server: who is told what, how often, and what happens to it while it runs."""

import os
import socket
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from scapy.layers.dns import DNS, DNSQR, DNSRROPT, EDNS0ClientSubnet
from scipy.stats import binom

from placement.feeds.view import Region, View
from tests.feeds.feed_world import failed, view
from tests.feeds.geoip_database import geoip_database
from tests.feeds.test_powerdns_feed import ZONE, feed, table
from tests.servers import free_port, program

CLIENTS = ("10.1.0.0/16,berlin", "10.2.0.0/16,lagos", "2001:db8:1::/48,lagos")
"""What the server below is told; the default is that a region is known by its country."""
KNOWN = {
    "198.51.0.0/16": {"country": {"iso_code": "DE"}},
    "203.0.0.0/16": {"country": {"iso_code": "US"}, "subdivisions": [{"iso_code": "CA"}]},
    "203.1.0.0/16": {"country": {"iso_code": "US"}, "subdivisions": [{"iso_code": "TX"}]},
    "203.2.0.0/16": {"country": {"iso_code": "FR"}, "continent": {"code": "EU"}},
    "192.0.0.0/16": {"country": {"iso_code": "DE"}, "autonomous_system_number": 3320},
}


@dataclass(frozen=True)
class Server:
    """The server with its folder: `zone.json` is what it reads."""

    folder: Path
    port: int

    def put(self, content: bytes) -> None:
        """A file in the place of the other, at once, and the server told of it."""
        (self.folder / "zone.new").write_bytes(content)
        (self.folder / "zone.new").rename(self.folder / "zone.json")
        control = program("pdns_control", "pdns-server")
        command = [control, f"--socket-dir={self.folder}", f"--config-dir={self.folder}", "rediscover"]
        subprocess.run(command, check=True, capture_output=True, timeout=30)

    def ask(self, name: str, subnet: str = "", kind: str = "A", bits: int = 24) -> DNS:
        """The answer to one question, asked on behalf of a network."""
        (answer,) = self.answers(1, name, subnet, kind, bits)
        return DNS(answer)

    def counted(self, times: int, name: str, subnet: str = "") -> Counter[str]:
        """How often each site was told."""
        sites = {site: b"\3%s\5sites" % site.encode() for site in ("ams", "fra")}
        answers = list(self.answers(times, name, subnet))
        return Counter(site for answer in answers for site, label in sites.items() if label in answer)

    def answers(self, times: int, name: str, subnet: str = "", kind: str = "A", bits: int = 24) -> Iterator[bytes]:
        """The answers to a question that is asked so often, as they come."""
        option = [EDNS0ClientSubnet(family=2 if ":" in subnet else 1, source_plen=bits, address=subnet)]
        query = DNS(id=os.getpid() % 65536, rd=0, qd=DNSQR(qname=f"{name}.{ZONE}", qtype=kind))
        query.ar = DNSRROPT(rdata=option if subnet else [])
        raw = bytes(query)
        with socket.socket(type=socket.SOCK_DGRAM) as wire:
            wire.settimeout(10)
            wire.connect(("127.0.0.1", self.port))  # so that a server which is not there yet is told of
            for _ in range(times):
                wire.send(raw)
                yield wire.recv(4096)

    def told(self, name: str, subnet: str = "", kind: str = "A", bits: int = 24) -> list[str]:
        """What the answer says: names and addresses, without the zone."""
        rows = [row.rdata for row in self.ask(name, subnet, kind, bits).an or []]
        texts = [row.decode() if isinstance(row, bytes) else str(row) for row in rows]
        return sorted(text.removesuffix(f".{ZONE}.") for text in texts)


@contextmanager
def serving(content: bytes, folder: Path, database: str = "") -> Iterator[Server]:
    """A server on loopback, until the block ends."""
    (folder / "zone.json").write_bytes(content)
    port = free_port()
    settings = {
        "launch": "geoip",
        "geoip-zones-file": folder / "zone.json",
        "geoip-database-files": database,
        "edns-subnet-processing": "yes",
        "local-address": "127.0.0.1",
        "local-port": port,
        "socket-dir": folder,
        "security-poll-suffix": "",
        "guardian": "no",
        "daemon": "no",
        "disable-syslog": "yes",
    }
    (folder / "pdns.conf").write_text("".join(f"{key}={value}\n" for key, value in settings.items()))
    command = [program("pdns_server", "pdns-server and pdns-backend-geoip"), f"--config-dir={folder}"]
    with (folder / "log").open("wb") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            server = Server(folder, port)
            until(lambda: answering(server, process))
            yield server
        finally:
            process.terminate()
            process.wait(30)


def answering(server: Server, process: subprocess.Popen) -> bool:
    assert process.poll() is None, (server.folder / "log").read_text()
    try:
        return bool(server.told("plan", kind="TXT"))
    except OSError:
        return False


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def by_network(tmp_path: Path, seen: View) -> bytes:
    return feed(clients=table(tmp_path / "clients.csv", *CLIENTS)).render(seen)["zone.json"]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("pdns")
    with serving(by_network(folder, view()), folder) as server:
        yield server


def test_who_asks_is_told_by_their_network(small: Server) -> None:
    lagos = ["127.0.1.3", "los.sites.m8"]
    assert small.told("chat.m8", "10.2.7.0") == lagos
    assert small.told("chat.m8", "2001:db8:1::", bits=56) == lagos
    assert small.told("chat.m8", "10.1.7.0") in (
        ["127.0.1.21", "127.0.1.22", "fra.sites.m8"],
        ["127.0.1.1", "ams.sites.m8"],
    )
    assert small.told("lagos.chat.m8") == lagos  # a region by its name, from anywhere


def test_who_belongs_to_no_region_or_to_one_without_service_is_told_elsewhere(small: Server) -> None:
    elsewhere = ["127.0.9.9", "elsewhere"]
    assert small.told("chat.m8", "172.16.0.0") == elsewhere
    assert small.told("batch.m70", "10.2.7.0") == elsewhere  # lagos asks for no m70
    assert small.ask("chat.m9", "10.1.7.0").rcode == 3


@pytest.mark.parametrize("subnet", ["10.1.7.0", "10.2.7.0", "172.16.0.0"])
def test_an_answer_holds_for_no_more_than_the_network_that_was_told_of(small: Server, subnet: str) -> None:
    (option,) = [part for row in small.ask("chat.m8", subnet).ar for part in row.rdata]
    assert (option.source_plen, option.scope_plen) == (24, 32)


def test_the_zone_says_which_plan_it_is(small: Server) -> None:
    assert small.told("plan", kind="TXT") == [f"[b'plan_sha256={'0' * 64}']"]


def assert_as_likely(count: int, of: int, chance: float) -> None:
    """Fails once in a million where the chance is as said."""
    low, high = binom.ppf([0.5e-6, 1 - 0.5e-6], of, chance)
    assert low <= count <= high


def test_seventy_of_a_hundred_are_told_frankfurt(small: Server) -> None:
    told = small.counted(4000, "chat.m8", "10.1.7.0")
    assert_as_likely(told["fra"], 4000, 0.7)
    assert told["fra"] + told["ams"] == 4000


def test_a_border_within_a_thousandth_is_drawn_by_the_server_too(tmp_path: Path) -> None:
    shares = {"ams": 299_650_400, "fra": 700_349_600}
    normal = [row for row in view().routes if row[2:5:2] == ("chat", "m8-half") and row.site in shares]
    routes = tuple(row._replace(share_ppb=shares[row.site]) for row in normal)
    with serving(by_network(tmp_path, view(routes=routes)), tmp_path) as server:
        block = server.counted(2000, "299.berlin.chat.m8")
        # 650 of the block's thousand are of ams, one is cut again, 349 are of fra
        assert_as_likely(block["ams"], 2000, 0.6504)
        assert_as_likely(block["fra"], 2000, 0.3496)
        inner = server.counted(2000, "650.299.berlin.chat.m8")
        assert_as_likely(inner["ams"], 2000, 0.4)


def test_a_new_file_holds_at_once_and_a_broken_one_leaves_what_was(tmp_path: Path) -> None:
    with serving(by_network(tmp_path, view()), tmp_path) as server:
        server.put(by_network(tmp_path, failed("metro-fra")))
        assert {server.told("chat.m8", "10.1.7.0")[-1] for _ in range(50)} == {"ams.sites.m8"}
        content = by_network(tmp_path, view())
        server.put(content[: len(content) // 2])
        assert {server.told("chat.m8", "10.1.7.0")[-1] for _ in range(50)} == {"ams.sites.m8"}
        assert "reload failed" in (tmp_path / "log").read_text()
        server.put(content)
        assert {server.told("chat.m8", "10.1.7.0")[-1] for _ in range(50)} == {"ams.sites.m8", "fra.sites.m8"}


def test_who_asks_is_told_by_what_a_database_says_of_them(tmp_path: Path) -> None:
    """A country, the rest of a country whose parts are regions, and a continent's rest."""
    names = {"berlin": "DE", "lagos": "NG", "west": "US", "east": "US", "telekom": "DE"}
    regions = {name: Region(name, name, country, 0.0, 0.0, None) for name, country in names.items()}
    regions["telekom"] = replace(regions["telekom"], asn=3320)
    route = view().routes[-1]
    sites = {"berlin": "ams", "lagos": "los", "west": "fra", "east": "los", "telekom": "fra"}
    routes = tuple(sorted(route._replace(region=name, site=site) for name, site in sites.items()))
    seen = view(regions=regions, routes=routes, classes=tuple(row[:3] for row in routes))
    (tmp_path / "geo.mmdb").write_bytes(geoip_database(KNOWN))
    clients = table(tmp_path / "clients.csv", "US-CA,west", "DE,berlin", "continent EU,berlin", "198.51.100.0/24,lagos")
    content = feed(clients=clients).render(seen)["zone.json"]
    with serving(content, tmp_path, f"mmdb:{tmp_path / 'geo.mmdb'}") as server:
        for subnet, site in {
            "198.51.7.0": "ams",  # Germany
            "198.51.100.0": "los",  # a network within it that the table names
            "192.0.2.0": "fra",  # an autonomous system within it
            "203.0.113.0": "fra",  # California
            "203.1.113.0": "los",  # the rest of the United States
            "203.2.113.0": "ams",  # France, which nobody names: Europe
        }.items():
            assert server.told("chat.m8", subnet)[-1] == f"{site}.sites.m8", subnet
        assert server.told("chat.m8", "10.0.0.0")[-1] == "elsewhere"
