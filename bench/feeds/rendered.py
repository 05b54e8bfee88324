"""Every feed of a plan of 4,400 sites: rendered, written, on the disk, read back and compared.

    python -m bench.feeds.rendered PLAN SCENARIO [TARGET ...]

PLAN and SCENARIO are as `nearserve init X --from edge --sites 4400 --regions 1000 --models 20 --seed 7` and
`nearserve plan` make them, or as bench.feeds.wide says. Addresses and clients are made up: every site has one address,
every region a network of its own. Seconds are of the wall and of the processor; what comes before the first feed is
told apart.
"""

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from placement.feeds.addresses import read_addresses
from placement.feeds.config import FeedsConfig, feeds_config
from placement.feeds.failover import Failovers, named
from placement.feeds.feed import FeedError
from placement.feeds.kubernetes.routing import MOST_BACKENDS
from placement.feeds.registry import feed_names
from placement.feeds.rendering import render_feed
from placement.feeds.routes import RouteTable
from placement.feeds.view import Addresses
from placement.feeds.views import PlanViews, open_plan
from placement.frames import texts
from placement.publish.durable import sync_tree
from placement.scenario import Scenario, load

LIMIT_S = 30.0
"""What issue 7 allows for all feeds together."""
PODS: dict[str, Any] = {"image": "registry.example/{model}:1"}
WEIGHTS = {**PODS, "uri": "hf://example/{model}"}
OPTIONS: dict[str, dict[str, Any]] = {
    "powerdns": {
        "zone": "ai.example.net",
        "nameservers": ["ns.example.com"],
        "elsewhere": ["192.0.2.1"],
        "clients": "clients.csv",
    },
    "haproxy": {"clients": "clients.csv", "region": "network", "most_sites": 64},
    **dict.fromkeys(("karmada", "kubernetes", "leaderworkerset"), PODS),
    "kserve": WEIGHTS,
    "helm": {**WEIGHTS, "volume_gb": 500.0},
}


def main(arguments: list[str]) -> int:
    """Print the table; 1 where all feeds take longer than they may."""
    if len(arguments) < 2:
        print("needs a plan and its scenario: python -m bench.feeds.rendered PLAN SCENARIO")
        return 0
    plan, targets = Path(arguments[0]), arguments[2:] or list(feed_names())
    with _told("scenario read"):
        scenario = load(Path(arguments[1]))
    with tempfile.TemporaryDirectory(prefix="nearserve-bench-") as scratch:
        return _render(plan, scenario, targets, Path(scratch))


def _render(plan: Path, scenario: Scenario, targets: list[str], scratch: Path) -> int:
    config = made_up(scenario, targets, scratch)
    began = perf_counter()
    with _told("plan and addresses opened"):
        assert config.addresses is not None
        addresses: Addresses = read_addresses(config.addresses, scenario)
        views = _narrow(open_plan(plan, scenario, addresses), scratch)
        failovers = Failovers(plan, views)
    for target in config.targets:
        with _told(target) as said:
            try:
                done = render_feed(config, target, views, failovers, scratch / "out" / target)
                said.append(f"{done.files:7,} files {done.bytes / 1e6:7.1f} MB {done.figures:8,} figures agree")
            except FeedError as error:
                said.append(f"refused: {error.reasons[0][:90]} ({len(error.reasons)} reasons)")
    with _told("on the disk"):
        sync_tree(scratch / "out")
    took_s = perf_counter() - began
    print(f"{'all':28}{took_s:8.2f} s of {LIMIT_S:g}")
    return int(took_s > LIMIT_S)


def _narrow(views: PlanViews, scratch: Path) -> PlanViews:
    """The views with no more sites of a class than a rule of an HTTPRoute holds; the rest of such classes is unserved.

    Plans keep to that by max_sites, which the search for plans as large as these cannot honour.
    """
    table = views.routes
    rows = table.rows(views.moments[0])
    cls = table.class_of(rows)
    order = np.lexsort((-rows.share_ppb, cls))
    begins = np.flatnonzero(np.diff(cls[order], prepend=-1))
    rank = np.arange(len(order)) - np.repeat(begins, np.diff([*begins, len(order)]))
    kept = np.zeros(len(order), bool)
    kept[order[rank < MOST_BACKENDS]] = True
    if kept.all():
        return views
    classes = len(np.unique(cls[order[rank >= MOST_BACKENDS]]))
    print(f"{classes} classes go to more than {MOST_BACKENDS} sites: of these the largest {MOST_BACKENDS} are kept")
    pq.write_table(named(table, views.moments[0], rows.where(kept)), scratch / "routes.parquet")
    return replace(views, routes=RouteTable(scratch / "routes.parquet"))


@contextmanager
def _told(what: str) -> Iterator[list[str]]:
    """How long the block took, and what it has to say."""
    wall, processor, said = perf_counter(), process_time(), list[str]()
    yield said
    print(
        f"{what:28}{perf_counter() - wall:8.2f} s {process_time() - processor:8.2f} s CPU  {''.join(said)}", flush=True
    )


def made_up(scenario: Scenario, targets: list[str], scratch: Path) -> FeedsConfig:
    """Every target with what its options must say; addresses of all sites, a network of each region."""
    sites, regions = (texts(scenario.table(f"{kind}s"), kind) for kind in ("site", "region"))
    lines = [f"{site},,10.{j >> 8}.{j & 255}.1,8000" for j, site in enumerate(sites)]
    (scratch / "addresses.csv").write_text("\n".join(["site,model,host,port", *lines, ""]))
    nets = [f"100.{64 + (j >> 8)}.{j & 255}.0/24,{region}" for j, region in enumerate(regions)]
    (scratch / "clients.csv").write_text("\n".join(["client,region", *nets, ""]))
    tables = {name: OPTIONS.get(name, {}) for name in targets}
    return feeds_config({"targets": targets, "addresses": "addresses.csv", **tables}, scratch, "bench")


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
