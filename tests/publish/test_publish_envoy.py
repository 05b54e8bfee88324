"""A real Envoy reads below `current`: it follows a switch and a rollback, and a writer's death changes nothing."""

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from placement.feeds.envoy import Envoy as EnvoyFeed
from placement.feeds.envoy import EnvoyOptions
from placement.feeds.envoy_bootstrap import Bootstrap
from placement.feeds.envoy_names import cluster_name
from placement.feeds.rendering import write_files
from placement.feeds.view import Address, Addresses, View
from placement.publish.layout import Layout
from placement.publish.store import Store
from tests.feeds.envoy_lab import Client, Sites, envoy, wait_for
from tests.feeds.feed_world import failed, view
from tests.publish.store_crash import forked
from tests.servers import free_port

VERSION = f"cluster.{cluster_name(('berlin', 'm8', 'chat'))}.version_text"


def test_envoy_follows_current_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    port, admin_port = free_port(), free_port()
    root = tmp_path / "store"
    bootstrap = Bootstrap(folder=f"{root}/current/feeds/envoy/all", watch=str(root), port=port, admin_port=admin_port)
    feed = EnvoyFeed(EnvoyOptions(bootstrap=bootstrap))
    with Sites("ams", "fra") as sites:
        at = {(name, ""): (Address("127.0.0.1", its),) for name, its in sites.ports.items()}
        at["los", ""] = at["ams", ""]

        def publish(of: View, key: str) -> None:
            files = feed.render(replace(of, addresses=Addresses(at)))
            with Store(root).writing() as writer:
                writer.publish(lambda folder: write_files(folder / "feeds/envoy/all", files), {}, key)

        def sites_of(asked: int = 200) -> set[str]:
            return set(client.count(asked, "m8", "chat"))

        publish(view(), "normal")
        own = tmp_path / "envoy.json"
        own.write_bytes((root / "current/feeds/envoy/all/bootstrap/berlin.json").read_bytes())
        with envoy(own, admin_port, tmp_path / "log") as running:
            client = Client(port)
            assert sites_of() == {"ams", "fra"}
            normal = running.stat(VERSION)
            publish(failed("metro-fra"), "without fra")
            wait_for(lambda: running.stat(VERSION) != normal, "Envoy has read the next generation")
            assert sites_of() == {"ams"}

            def die(*_: object) -> None:
                os.kill(os.getpid(), signal.SIGKILL)

            def work() -> None:
                monkeypatch.setattr(Layout, "point", die)
                publish(view(), "again")

            assert forked(work) == -signal.SIGKILL
            assert sites_of() == {"ams"}
            with Store(root).writing() as writer:
                assert writer.mended
                writer.rollback()
            wait_for(lambda: running.stat(VERSION) == normal, "Envoy has gone back")
            assert sites_of() == {"ams", "fra"}
            client.close()
