"""HAProxy's files with the real program: who gets what, how often, and what happens while it runs."""

import http.client
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from scipy.stats import binom

from placement.feeds.haproxy import Haproxy, HaproxyOptions
from placement.feeds.view import Address, Addresses, View
from tests.feeds.feed_world import failed, view
from tests.servers import free_port, program

SITES = ("ams", "fra", "los")
BASE = """global
    stats socket {folder}/socket mode 600 level admin expose-fd listeners
    maxconn 500
"""
SITE = """global
    maxconn 200
frontend site
    mode http
    timeout client 60s
    bind 127.0.0.1:{port}
    http-request return status 200 content-type text/plain string {name}
"""


def until(condition: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.02)


def listening(port: int) -> bool:
    with socket.socket() as wire:
        return wire.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def running(*arguments: object, log: Path) -> Iterator[subprocess.Popen]:
    """The program in the foreground, until the block ends."""
    with log.open("wb") as out:
        process = subprocess.Popen([program("haproxy", "haproxy"), *map(str, arguments)], stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


@dataclass
class World:
    """Three sites, each a program that answers with its name, and an HAProxy before them."""

    folder: Path
    options: HaproxyOptions
    sites: dict[str, subprocess.Popen] = field(default_factory=dict)
    ports: dict[str, int] = field(default_factory=dict)
    proxy: subprocess.Popen | None = None

    @property
    def port(self) -> int:
        return int(self.options.bind[0].rpartition(":")[2])

    def addressed(self, seen: View) -> View:
        """The view with the addresses of this world."""
        addresses = Addresses({(site, ""): (Address("127.0.0.1", port),) for site, port in self.ports.items()})
        return view(**{**vars(seen), "addresses": addresses})

    def put(self, seen: View) -> None:
        """The files of a view in the place of the others."""
        for name, content in Haproxy(self.options).render(self.addressed(seen)).items():
            (self.folder / f"{name}.new").write_bytes(content)
            (self.folder / f"{name}.new").rename(self.folder / name)

    def reload(self) -> None:
        """As `systemctl reload haproxy` does."""
        before, end = self.loaded(), time.monotonic() + 30
        while self.loaded() == before:  # a signal that comes while it loads itself anew is lost
            assert time.monotonic() < end, "it never loaded"
            self.proxy.send_signal(signal.SIGUSR2)
            time.sleep(0.5)

    def loaded(self) -> int:
        return (self.folder / "proxy.log").read_text().count("Loading success")

    def told(self, command: str) -> str:
        """The answer to a command on the socket for operators."""
        with socket.socket(socket.AF_UNIX) as wire:
            wire.settimeout(10)
            wire.connect(str(self.folder / "socket"))
            wire.sendall(command.encode() + b"\n")
            return b"".join(iter(lambda: wire.recv(65536), b"")).decode()

    def state(self, backend: str) -> str:
        """UP or DOWN; with a count behind it on its way to the other."""
        rows = [line.split(",") for line in self.told("show stat").splitlines() if line.startswith(f"{backend},a1,")]
        return rows[0][17]


@contextmanager
def world(folder: Path, seen: View, **options: object) -> Iterator[World]:
    """The sites and the HAProxy of a view, on loopback."""
    bind = (f"127.0.0.1:{free_port()}",)
    made = World(folder, HaproxyOptions(bind=bind, health_interval_ms=50, **options))
    with ExitStack() as stack:
        for name in SITES:
            made.ports[name] = free_port()
            (folder / f"{name}.cfg").write_text(SITE.format(port=made.ports[name], name=name))
            site = running("-db", "-f", folder / f"{name}.cfg", log=folder / f"{name}.log")
            made.sites[name] = stack.enter_context(site)
            until(lambda: listening(made.ports[name]))  # noqa: B023
        made.put(seen)
        (folder / "base.cfg").write_text(BASE.format(folder=folder))
        files = ("-f", folder / "base.cfg", "-f", folder / "haproxy.cfg")
        made.proxy = stack.enter_context(running("-W", *files, log=folder / "proxy.log"))
        until(lambda: listening(made.port) and made.loaded() > 0)
        yield made


@dataclass
class Client:
    """Asks on one connection for as long as that lasts."""

    port: int
    wire: http.client.HTTPConnection | None = None

    def ask(self, region: str, model: str, service: str, path: str = "/", body: str = "", **headers: str) -> str:
        """The site that answered, or the status and HAProxy's reason."""
        self.wire = self.wire or http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        named = {"x-region": region, "x-model": model, "x-service": service, **headers}
        self.wire.request("POST" if body else "GET", path, body or None, {k: v for k, v in named.items() if v})
        answer = self.wire.getresponse()
        content = answer.read().decode()
        if answer.will_close:
            self.close()
        return content if answer.status == 200 else f"{answer.status} {answer.getheader('x-nearserve')}"

    def close(self) -> None:
        if self.wire is not None:
            self.wire.close()
        self.wire = None

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


CHAT = ("berlin", "m8", "chat")


def counted(port: int, requests: int, *asked: str) -> Counter[str]:
    with Client(port) as client:
        return Counter(client.ask(*(asked or CHAT)) for _ in range(requests))


def assert_as_likely(count: int, of: int, chance: float) -> None:
    """Fails once in a million where the chance is as said."""
    low, high = binom.ppf([0.5e-6, 1 - 0.5e-6], of, chance)
    assert low <= count <= high, f"{count} of {of}"


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world(tmp_path_factory.mktemp("haproxy"), view()) as made:
        yield made


def test_haproxy_finds_nothing_to_complain_about(small: World) -> None:
    command = [program("haproxy", "haproxy"), "-c", "-f", small.folder / "base.cfg", "-f", small.folder / "haproxy.cfg"]
    found = subprocess.run(command, capture_output=True, text=True, check=True)
    assert (found.stdout + found.stderr).strip() == "Configuration file is valid"


def test_seventy_of_a_hundred_go_to_frankfurt(small: World) -> None:
    found = counted(small.port, 4000)
    assert_as_likely(found["fra"], 4000, 0.7)
    assert found["fra"] + found["ams"] == 4000


def test_the_unserved_share_is_refused_and_so_is_who_asks_for_nothing_known(small: World) -> None:
    found = counted(small.port, 4000, "berlin", "m70", "batch")
    assert_as_likely(found["429 unserved"], 4000, 0.005)
    assert found["ams"] + found["429 unserved"] == 4000
    assert counted(small.port, 20, "lagos", "m8", "chat") == {"los": 20}
    assert counted(small.port, 1, "lagos", "m70", "batch") == {"404 unknown": 1}
    assert counted(small.port, 1, "", "m8", "chat") == {"404 unknown": 1}


def test_a_planned_failure_is_told_by_a_map_while_it_runs_at_once_and_whole(tmp_path: Path) -> None:
    with world(tmp_path, view()) as made:
        lines = Haproxy(made.options).render(made.addressed(failed("metro-fra")))["routes.map"].decode().splitlines()
        name = str(made.folder / "routes.map")
        name = next(row.split()[1] for row in made.told("show map").splitlines() if "routes.map" in row).strip("()")
        version = made.told(f"prepare map {name}").split()[-1]
        for line in lines:
            made.told(f"add map @{version} {name} {line}")
        assert counted(made.port, 50)["fra"] > 0  # not before all of it is there
        made.told(f"commit map @{version} {name}")
        assert counted(made.port, 50) == {"ams": 50}


def test_a_reload_loses_no_request(tmp_path: Path) -> None:
    with world(tmp_path, view()) as made:
        found: Counter[str] = Counter()
        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                try:
                    with Client(made.port) as client:  # a connection each: an idle one may be closed at any time
                        found[client.ask(*CHAT)] += 1
                except (OSError, http.client.HTTPException) as error:
                    found[repr(error)] += 1

        askers = [threading.Thread(target=ask) for _ in range(4)]
        for thread in askers:
            thread.start()
        try:
            for seen in (failed("metro-fra"), view(), failed("metro-fra")):
                made.put(seen)
                before = sum(found.values())
                made.reload()
                until(lambda: sum(found.values()) > before + 200)  # noqa: B023
        finally:
            stop.set()
            for thread in askers:
                thread.join()
        assert set(found) == {"ams", "fra"}
        assert counted(made.port, 50) == {"ams": 50}


def test_what_fails_is_shared_over_the_others_in_proportion_and_comes_back(tmp_path: Path) -> None:
    shares = {"ams": 200_000_000, "fra": 500_000_000, "los": 200_000_000}
    row = view().routes[1]
    routes = tuple(row._replace(site=site, share_ppb=share) for site, share in shares.items())
    with world(tmp_path, view(routes=routes, policy="proportional", backups={})) as made:
        found = counted(made.port, 3000)
        for site, share in shares.items():
            assert_as_likely(found[site], 3000, share / 10**9)
        made.sites["fra"].terminate()
        until(lambda: made.state("fra::m8") == "DOWN")
        found = counted(made.port, 3000)
        assert_as_likely(found["429 unserved"], 3000, 0.1)  # as before: what is unserved is no reserve
        assert_as_likely(found["ams"], 3000, 0.45)
        assert_as_likely(found["los"], 3000, 0.45)
        assert sum(found.values()) == found["429 unserved"] + found["ams"] + found["los"]
        with running("-db", "-f", tmp_path / "fra.cfg", log=tmp_path / "fra.log"):
            until(lambda: made.state("fra::m8") == "UP")
            assert counted(made.port, 200)["fra"] > 0
        for name in ("ams", "los"):
            made.sites[name].terminate()
        until(lambda: all(made.state(f"{name}::m8") == "DOWN" for name in ("ams", "los")))
        assert set(counted(made.port, 100)) == {"503 down", "429 unserved"}


def test_by_priority_a_class_goes_down_its_order(tmp_path: Path) -> None:
    first, second = (row._replace(share_ppb=10**9) for row in (view().routes[2], view().routes[1]))
    third = second._replace(site="los")
    backups = {"metro-fra": (second,), "both": (third,)}
    domains = {"metro-fra": frozenset({"fra"}), "both": frozenset({"fra", "ams"})}
    with world(tmp_path, view(routes=(first,), policy="priority", backups=backups, domains=domains)) as made:
        for site, following in (("fra", "ams"), ("ams", "los"), ("los", "503 down")):
            assert counted(made.port, 20) == {site: 20}
            made.sites[site].terminate()
            until(lambda: made.state(f"{site}::m8") == "DOWN")  # noqa: B023
            assert counted(made.port, 20) == {following: 20}


def test_a_class_is_told_by_path_query_body_and_network(tmp_path: Path) -> None:
    (tmp_path / "clients.csv").write_text("client,region\n127.0.0.0/8,lagos\n127.0.0.2/32,berlin\n")
    table = tmp_path / "clients.csv"
    options = {"region": "network", "clients": table, "model": "json:model", "service": "path:2"}
    with world(tmp_path, view(), **options) as made, Client(made.port) as client:
        assert client.ask("", "", "", "/v1/chat/completions", '{"messages": [], "model": "m8"}') == "los"
        assert client.ask("", "", "", "/v1/code/completions", '{"model": "m8"}') == "404 unknown"
        assert client.ask("", "", "", "/v1/chat", "no JSON") == "404 unknown"
