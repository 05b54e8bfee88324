"""Failures of a large plan, one for every site: how long the files of each take, and how many there are.

    python -m bench.feeds.failing PLAN SCENARIO [SITES] [FAILURES] [TARGET ...]

The plan's routes are spread: every class goes to three of SITES sites (4,400 by default), and each site is a domain of
its own whose failure sends its traffic to the other two. No such plan was ever solved; it is what a feed may meet.
Files are made for the first FAILURES of them (all by default), for Envoy if no other target is named.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from random import Random
from time import perf_counter, process_time

import pyarrow as pa
import pyarrow.parquet as pq

from bench.feeds.rendered import made_up
from placement.feeds.addresses import read_addresses
from placement.feeds.config import FeedsConfig
from placement.feeds.failover import Failovers, rewritten
from placement.feeds.names import Names
from placement.feeds.rendering import render_feed
from placement.feeds.routes import RouteTable
from placement.feeds.view import Moment
from placement.feeds.views import PlanViews, open_plan
from placement.frames import texts
from placement.plan.document import Domain, Reliability
from placement.plan.folder import ROUTES
from placement.scenario import Scenario, load

PARTS_PPB = (500_000_000, 300_000_000, 200_000_000)


def main(arguments: list[str]) -> int:
    """Print the figures."""
    if len(arguments) < 2:
        print("needs a plan and its scenario: python -m bench.feeds.failing PLAN SCENARIO")
        return 0
    plan, scenario = Path(arguments[0]), load(Path(arguments[1]))
    sites = texts(scenario.table("sites"), "site")[: int(arguments[2]) if len(arguments) > 2 else None]
    failures = tuple(sorted(sites))[: int(arguments[3]) if len(arguments) > 3 else None]
    targets = arguments[4:] or ["envoy"]
    with tempfile.TemporaryDirectory(prefix="nearserve-bench-") as scratch:
        config = made_up(scenario, targets, Path(scratch))
        views = _spread(plan, scenario, sites, config, Path(scratch))
        normal = views.at(Moment())
        print(f"{len(normal.routes):,} routes, {len(views.failures):,} failures, files for {len(failures):,} of them")
        for target in targets:
            for some in ((), failures):
                options = config.options[target].model_copy(update={"failures": some})
                _measure(replace(config, options={target: options}), target, views, plan, Path(scratch))
    return 0


def _measure(config: FeedsConfig, target: str, views: PlanViews, plan: Path, scratch: Path) -> None:
    """Render a target and print how long that took."""
    count = len(config.options[target].failures or ())
    wall, processor = perf_counter(), process_time()
    done = render_feed(config, target, views, Failovers(plan, views), scratch / f"{target}-{count}")
    took = f"{perf_counter() - wall:.1f} s, {process_time() - processor:.1f} s CPU"
    size = f"{done.files:,} files, {done.bytes / 1e6:.0f} MB, {done.figures:,} figures agree"
    print(f"{target}, {count:,} failures: {size}, {took}", flush=True)


def _spread(plan: Path, scenario: Scenario, sites: list[str], config: FeedsConfig, scratch: Path) -> PlanViews:
    """Views of the spread routes with all their failures."""
    assert config.addresses is not None
    views = open_plan(plan, scenario, read_addresses(config.addresses, scenario))
    shapes = {shape.model: name for name, shape in views.at(Moment()).shapes.items()}
    random = Random(7)
    rows = [
        (*cls, None, None, site, shapes[cls[1]], None, share)
        for cls in views.at(Moment()).classes
        for site, share in zip(random.sample(sites, 3), PARTS_PPB, strict=True)
    ]
    table = pa.table(dict(zip(ROUTES.names, map(list, zip(*rows, strict=True)), strict=True)), schema=ROUTES)
    names = Names(scenario)
    object.__setattr__(names, "domains", {site: frozenset({site}) for site in sites})
    told = tuple(Domain(domain=site, rerouted_share=0.0, lost_share=0.0) for site in sites)
    reliability = Reliability(failover="planned", domains=told, price_usd_month=None)
    document = views.document.model_copy(update={"reliability": reliability})
    pq.write_table(table, scratch / "routes.parquet")
    views = replace(views, document=document, routes=RouteTable(scratch / "routes.parquet"), _names=names)
    pq.write_table(rewritten(views, "proportional"), scratch / "routes.parquet")
    return replace(views, routes=RouteTable(scratch / "routes.parquet"))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
