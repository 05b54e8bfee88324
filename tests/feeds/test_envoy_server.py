"""The Envoy feed against the real Envoy: what its files say is what requests meet.

How often a site answers is held within bounds that independent draws would leave once in a million runs.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from scipy.stats import binom

from placement.feeds.envoy import Envoy as EnvoyFeed
from placement.feeds.envoy import EnvoyOptions
from placement.feeds.envoy_bootstrap import Bootstrap
from placement.feeds.envoy_names import class_of, cluster_name
from placement.feeds.rendering import write_files
from placement.feeds.view import Address, Addresses, Route, View
from placement.telemetry.config import Classes
from placement.telemetry.mapping import mapping
from tests.feeds.envoy_lab import Client, Envoy, Sites, envoy, wait_for
from tests.feeds.feed_world import failed, view
from tests.servers import free_port

CHANCE = 1e-6
CHAT = ("berlin", "m8", "chat")
BATCH = ("berlin", "m70", "batch")
FILE = "eds/berlin/chat@m8.json"


@dataclass
class Store:
    """Generations of the feed's files, one of them current by a link, as `nearserve publish` keeps them."""

    root: Path
    addresses: Addresses
    options: EnvoyOptions
    generation: int = 0

    def files(self, of: View) -> dict[str, bytes]:
        return dict(EnvoyFeed(self.options).render(replace(of, addresses=self.addresses)))

    def publish(self, files: Mapping[str, bytes]) -> None:
        """The files become the current ones in one step."""
        self.generation += 1
        write_files(self.root / f"g{self.generation}", files)
        link = self.root / "next"
        link.symlink_to(f"g{self.generation}")
        link.replace(self.root / "current")

    def version(self, path: str = FILE) -> str:
        return str(json.loads((self.root / "current" / path).read_bytes())["version_info"])


@dataclass
class Lab:
    store: Store
    sites: Sites
    envoy: Envoy
    client: Client

    def publish(self, of: View) -> None:
        """The view becomes the current generation, and Envoy has read it."""
        self.store.publish(self.store.files(of))
        name = f"cluster.{cluster_name(CHAT)}.version_text"
        wait_for(lambda: self.envoy.stat(name) == self.store.version(), "Envoy has the new weights")

    def shares(self, share: Mapping[str, float], of: tuple[str, str, str] = CHAT, times: int = 3000) -> Counter[str]:
        """Asks, and holds every site's answers against its share; the addresses fra-1 and fra-2 are both of fra."""
        found: Counter[str] = Counter()
        for name, count in self.client.count(times, *of[1:]).items():
            found[name.partition("-")[0]] += count
        assert set(found) <= set(share), found
        for name, part in share.items():
            least, most = binom.ppf(CHANCE / 2, times, part), binom.isf(CHANCE / 2, times, part)
            assert least <= found[name] <= most, (name, found)
        return found


@contextmanager
def lab_of(folder: Path, of: View, **bootstrap: object) -> Iterator[Lab]:
    port, admin_port = free_port(), free_port()
    options = EnvoyOptions(
        bootstrap=Bootstrap(
            folder=f"{folder}/current",
            watch=str(folder),
            port=port,
            admin_port=admin_port,
            **bootstrap,  # type: ignore[arg-type]
        )
    )
    with Sites("ams", "fra-1", "fra-2", "los") as sites:
        at = {name: Address("127.0.0.1", port) for name, port in sites.ports.items()}
        places = {("ams", ""): (at["ams"],), ("fra", ""): (at["fra-1"], at["fra-2"]), ("los", ""): (at["los"],)}
        store = Store(folder, Addresses(places), options)
        store.publish(store.files(of))
        with envoy(folder / "current/bootstrap/berlin.json", admin_port, folder / "log") as running:
            client = Client(port)
            yield Lab(store, sites, running, client)
            client.close()


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    with lab_of(tmp_path_factory.mktemp("envoy"), view()) as lab:
        yield lab


def chat(**share_ppb: int) -> View:
    """The world with other shares of berlin's chat."""
    others = [route for route in view().routes if route[:3] != CHAT]
    routes = [Route(*CHAT, site, "m8-half", share) for site, share in share_ppb.items()]
    return view(routes=tuple(sorted([*others, *routes])))


def test_seventy_of_a_hundred_requests_go_where_the_plan_says(lab: Lab) -> None:
    lab.publish(view())
    found = lab.client.count(1000, "m8", "chat")
    assert abs(found["fra-1"] - found["fra-2"]) < 50, "the addresses of a site share its weight"
    lab.shares({"fra": 0.7, "ams": 0.3})


def test_a_share_of_a_billionth_is_a_weight_that_envoy_takes(lab: Lab) -> None:
    lab.publish(chat(ams=999_999_999, fra=1))
    lab.shares({"ams": 1 - 1e-9, "fra": 1e-9})


def test_new_weights_take_hold_and_no_request_fails_while_the_link_is_swapped(lab: Lab) -> None:
    lab.publish(view())
    swapped, answers = threading.Event(), Counter[str]()

    def ask() -> None:
        client = Client(lab.store.options.bootstrap.port)  # type: ignore[union-attr]
        while not swapped.is_set():
            answers[client.ask("m8", "chat")] += 1
        client.close()

    asking = threading.Thread(target=ask)
    asking.start()
    try:
        for share in range(100_000_000, 1_000_000_000, 100_000_000):
            lab.publish(chat(ams=share, fra=1_000_000_000 - share))
    finally:
        swapped.set()
        asking.join()
    assert set(answers) <= {"ams", "fra-1", "fra-2"}
    assert sum(answers.values()) > 0
    lab.shares({"ams": 0.9, "fra": 0.1})


@pytest.mark.parametrize(
    "spoilt",
    [
        lambda data: data[: len(data) // 2],
        lambda data: data.replace(b'"load_balancing_weight": 300000000', b'"load_balancing_weight": -1'),
        lambda data: data.replace(b"127.0.0.1", b"ams.example"),
    ],
    ids=["cut off", "a negative weight", "a name where an address belongs"],
)
def test_a_malformed_update_is_refused_and_the_last_good_one_kept(lab: Lab, spoilt: object) -> None:
    lab.publish(view())

    def stats(*names: str) -> list[int | str]:
        return [lab.envoy.stat(f"cluster.{cluster_name(CHAT)}.{name}") for name in names]

    def refused() -> int:
        return sum(map(int, stats("update_rejected", "update_failure")))

    before, refusals = stats("update_success", "version_text"), refused()
    files = lab.store.files(view())
    lab.store.publish(files | {FILE: spoilt(files[FILE])})  # type: ignore[operator]
    wait_for(lambda: refused() > refusals, "Envoy refuses the update")
    assert stats("update_success", "version_text") == before
    lab.shares({"fra": 0.7, "ams": 0.3}, times=1000)


def test_two_clusters_in_one_file_are_refused(lab: Lab) -> None:
    """Why every cluster has a file of its own."""
    lab.publish(view())
    files = lab.store.files(view())
    both, other = (json.loads(files[path]) for path in (FILE, "eds/berlin/batch@m70.json"))
    both["resources"] += other["resources"]
    lab.store.publish(files | {FILE: json.dumps(both).encode()})
    wait_for(lambda: "Unexpected EDS resource length: 2" in lab.envoy.log(), "Envoy says why")


def test_what_the_plan_leaves_unserved_is_refused_at_once(lab: Lab) -> None:
    lab.publish(chat(ams=250_000_000, fra=500_000_000))
    lab.shares({"fra": 0.5, "ams": 0.25, "503": 0.25})
    lab.shares({"ams": 0.995, "503": 0.005}, BATCH)


def test_a_class_that_nobody_serves_is_answered_with_503(lab: Lab) -> None:
    lab.publish(chat())
    assert lab.client.count(20, "m8", "chat") == {"503": 20}


def test_files_made_for_a_failure_send_everything_to_the_survivors(lab: Lab) -> None:
    lab.publish(view())
    lab.publish(failed("metro-fra"))
    assert lab.client.count(500, "m8", "chat") == {"ams": 500}


def test_left_to_itself_envoy_shares_what_fails_in_proportion(tmp_path: Path) -> None:
    """`proportional`: of 70, 20 and 10 %, the second and third are two to one when the first is gone."""
    of = chat(ams=200_000_000, fra=700_000_000, los=100_000_000)
    with lab_of(tmp_path, of, health_path="/", health_interval_s=0.1) as lab:
        lab.shares({"fra": 0.7, "ams": 0.2, "los": 0.1})
        lab.sites.fail("fra-1")
        lab.sites.fail("fra-2")
        wait_for(lambda: lab.client.count(20, "m8", "chat").keys() <= {"ams", "los"}, "Envoy finds that fra is down")
        lab.shares({"ams": 2 / 3, "los": 1 / 3})


def test_by_priority_the_first_in_the_order_takes_over_when_no_host_of_the_own_site_is_left(tmp_path: Path) -> None:
    moved = {
        "metro-ams": (),
        "metro-fra": (Route(*CHAT, "los", "m8-half", 1_000_000_000),),
        "metro-los": (),
        "both": (Route(*CHAT, "ams", "m8-half", 1_000_000_000),),
    }
    down = {**view().domains, "both": frozenset({"fra", "los"})}
    of = replace(chat(fra=1_000_000_000), backups=moved, domains=down, policy="priority")
    with lab_of(tmp_path, of, health_path="/", health_interval_s=0.1) as lab:
        assert lab.client.count(200, "m8", "chat").keys() == {"fra-1", "fra-2"}
        lab.sites.fail("fra-1")
        wait_for(lambda: lab.client.count(50, "m8", "chat") == {"fra-2": 50}, "one host of the site is enough")
        lab.sites.fail("fra-2")
        wait_for(lambda: lab.client.count(50, "m8", "chat") == {"los": 50}, "then the first that stands in")
        lab.sites.fail("los")
        wait_for(lambda: lab.client.count(50, "m8", "chat") == {"ams": 50}, "then the second")


def test_envoys_own_counters_name_the_class_whatever_dots_are_in_its_names(tmp_path: Path) -> None:
    dotted = ("berlin", ".llama-3.1/8b", "chat v1.5")
    of = view(routes=(Route(*dotted, "ams", "m8-half", 1_000_000_000),), classes=(dotted,))
    with lab_of(tmp_path, of) as lab:
        assert lab.client.count(5, *dotted[1:]) == {"ams": 5}
        text = lab.envoy.get("stats/prometheus?filter=upstream_rq_completed")
    assert re.findall(
        r"^envoy_cluster_upstream_rq_completed\{envoy_cluster_name=\"(.*)\"\} 5$", text, re.MULTILINE
    ) == ["berlin/%2Ellama-3%2E1%2F8b/chat%20v1%2E5"]
    assert class_of(cluster_name(dotted)) == dotted
    _, telemetry = mapping(Classes(), "envoy")
    assert telemetry((cluster_name(dotted),)) == dotted
