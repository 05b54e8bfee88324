"""Random plans for clusters: names of any kind, slices and whole GPUs, tenants, jobs, servers that hold them all."""

from dataclasses import replace

from hypothesis import strategies as st

from placement.feeds.view import Job, Replicas, Servers, Shape, Site, View
from tests.feeds.feed_world import GPU, view

NAMES = st.text(st.characters(categories=("Lu", "Ll", "Nd", "Pd", "Zs", "Po")), min_size=1, max_size=80)
SIZES = (1, 2, 4, 8, 16, 32)


@st.composite
def cluster_views(draw: st.DrawFn) -> View:
    """Up to four sites and three models, each model in up to three shapes, here or there for a tenant; jobs."""
    sites = draw(st.lists(NAMES, min_size=1, max_size=4, unique=True))
    models = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    tenants = ["", *draw(st.lists(NAMES, max_size=2, unique=True))]
    shapes = {
        name: Shape(name, model, GPU, size, "fp8", 40.0, 9.0)
        for model in models
        for size in draw(st.lists(st.sampled_from(SIZES), min_size=1, max_size=3, unique=True))
        for name in [f"{model} x{size}"]
    }
    places = [(site, shape, tenant) for site in sites for shape in shapes for tenant in tenants]
    chosen = draw(st.lists(st.sampled_from(places), max_size=12, unique=True))
    replicas = sorted(Replicas(*place, draw(st.integers(1, 9))) for place in chosen)
    jobs = tuple(
        Job(f"job {j}", "finetune", models[0], GPU, 4 * j, sites[0], (), True)
        for j in range(1, draw(st.integers(1, 3)))
    )
    return replace(
        view(),
        sites={site: Site(site, site, "NL", 0.0, 0.0, ()) for site in sorted(sites)},
        shapes=dict(sorted(shapes.items())),
        servers=tuple(sorted(_servers(draw, replicas, shapes, jobs, sites))),
        replicas=tuple(replicas),
        jobs=jobs,
        routes=(),
        backups={},
        domains={},
        policy=None,
    )


def _servers(
    draw: st.DrawFn, replicas: list[Replicas], shapes: dict[str, Shape], jobs: tuple[Job, ...], sites: list[str]
) -> list[Servers]:
    """Servers of eight GPUs: as many as all of it takes in quarters of whole GPUs, and some to spare."""
    taken: dict[tuple[str, str], int] = {(site, ""): 0 for site in sites}
    taken |= {(row.site, row.tenant): 0 for row in replicas}
    for row in replicas:
        taken[row.site, row.tenant] += row.count * shapes[row.shape].quarter_gpus
    for job in jobs:
        taken[job.site, ""] += job.quarter_gpus
    return [
        Servers(site, "box", tenant, GPU, 8, quarters // 32 + draw(st.integers(1, 3)))
        for (site, tenant), quarters in taken.items()
    ]
