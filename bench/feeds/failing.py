"""Failures of a large plan, one for every site: how long the files of each take, and how many there are.

    python -m bench.feeds.failing PLAN SCENARIO [SITES]

The plan's routes are spread: every class goes to three of SITES sites (4,400 by default), and each site is a domain of
its own whose failure sends its traffic to the other two. No such plan was ever solved; it is what a feed may meet.
"""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from random import Random
from time import perf_counter, process_time

import pyarrow as pa
import pyarrow.parquet as pq

from placement.feeds.addresses import read_addresses
from placement.feeds.config import FeedsConfig, feeds_config
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
    with tempfile.TemporaryDirectory(prefix="nearserve-bench-") as scratch:
        views, config = _spread(plan, scenario, sites, Path(scratch))
        normal = views.at(Moment())
        print(f"{len(normal.routes):,} routes, {len(views.failures):,} failures")
        wall, processor = perf_counter(), process_time()
        done = render_feed(config, "envoy", views, Failovers(plan, views), Path(scratch) / "out")
        took = f"{perf_counter() - wall:.1f} s, {process_time() - processor:.1f} s CPU"
        print(f"envoy: {done.files:,} files, {done.bytes / 1e6:.0f} MB, {done.figures:,} figures agree, {took}")
    return 0


def _spread(plan: Path, scenario: Scenario, sites: list[str], scratch: Path) -> tuple[PlanViews, FeedsConfig]:
    """Views of the spread routes with all their failures, and a configuration for Envoy."""
    lines = [f"{site},,10.{j >> 8}.{j & 255}.1,8000" for j, site in enumerate(texts(scenario.table("sites"), "site"))]
    (scratch / "addresses.csv").write_text("\n".join(["site,model,host,port", *lines, ""]))
    config = feeds_config({"targets": ["envoy"], "addresses": "addresses.csv"}, scratch, "bench")
    views = open_plan(plan, scenario, read_addresses(scratch / "addresses.csv", scenario))
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
    return replace(views, routes=RouteTable(scratch / "routes.parquet")), config


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
