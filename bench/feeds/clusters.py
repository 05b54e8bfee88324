"""How long the Kubernetes family takes for 4,400 sites: python -m bench.feeds.clusters [SITES]

Five shapes at every site, a server of eight GPUs, two regions' classes a site; CPU seconds to render, to read back and
to compare, for each feed.
"""

import sys
from dataclasses import replace
from time import process_time

from bench.feeds.crds import GPU, feeds, small
from placement.feeds.compare import compared
from placement.feeds.view import Region, Replicas, Route, Servers, Shape, Site, View

SITES = 4400
QUARTERS = (1, 2, 4, 4, 8)


def large(sites: int) -> View:
    """A view of so many sites."""
    names = [f"site-{j:05}" for j in range(sites)]
    regions = [f"region-{j:05}" for j in range(sites // 2)]
    shapes = {f"s{j}": Shape(f"s{j}", f"m{j}", GPU, size, "fp4", 40.0, 9.0) for j, size in enumerate(QUARTERS)}
    rows = tuple(
        Replicas(site, shape, "", 1 + (j % 2 if shape == "s0" else 0))
        for j, site in enumerate(names)
        for shape in shapes
    )
    routes = tuple(
        Route(region, f"m{k}", "chat", names[(j + step) % sites], f"s{k}", share)
        for j, region in enumerate(regions)
        for k in range(len(QUARTERS))
        for step, share in ((0, 123_456_789), (1, 876_543_211))
    )
    return replace(
        small(),
        sites={name: Site(name, name, "NL", 0.0, 0.0, ()) for name in names},
        regions={name: Region(name, name, "NL", 0.0, 0.0, None) for name in regions},
        shapes=shapes,
        servers=tuple(Servers(name, "rtx-8", "", GPU, 8, 1) for name in names),
        replicas=rows,
        routes=tuple(sorted(routes)),
        jobs=(),
    )


def main() -> None:
    """Print a line for each feed."""
    view = large(int(sys.argv[1]) if len(sys.argv) > 1 else SITES)
    print(f"{len(view.sites):,} sites, {len(view.replicas):,} rows of replicas, {len(view.routes):,} routes")
    total = 0.0
    for name, feed in feeds():
        began = process_time()
        files = feed.render(view)
        rendered = process_time()
        read = feed.read(files)
        parsed = process_time()
        figures = compared(view, read, feed.says)
        ended = process_time()
        total += ended - began
        size = sum(map(len, files.values())) / 1e6
        times = f"render {rendered - began:.2f} s, read {parsed - rendered:.2f} s, compare {ended - parsed:.2f} s"
        print(f"{name:>30}: {times}; {len(files):,} files, {size:.1f} MB, {figures:,} figures")
    print(f"{total:.1f} s of CPU in all")


if __name__ == "__main__":
    main()
